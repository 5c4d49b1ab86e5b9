"""The power trace: watts over the run from its raw polls, its phases, and both drawn."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattbench.results.document import Result
from wattbench.results.energy import ChannelRecord, Polls, PowerRecord
from wattbench.results.imported import Document
from wattbench.results.report.blocks import Chart
from wattbench.results.report.charts import COLOURS, drawn, plain, values

__all__ = ["LONG", "Curve", "Span", "curves_of", "downsampled", "spans_of", "trace_chart"]

LONG = 2000
"""A curve of more points than this is drawn by uPlot too, for readers with JavaScript."""

DRAWN = 600
"""The most points of a curve in the SVG: pairs of least and greatest over spans of equal length."""

KEPT = 12_000
"""The most points of a curve for uPlot; the whole log is in the file of polls."""

CURVES_MAX = len(COLOURS)
MEASURED = "measured window"
LABEL_SHARE = 0.07
"""A phase that takes a smaller share of the run has no name over it: it would run into its neighbour's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Watts of one channel over time, in seconds since the clock's origin; a NaN parts two pieces."""

    name: str
    times_s: tuple[float, ...]
    watts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A phase of the run, or a measured window, in seconds since the clock's origin."""

    name: str
    start_s: float
    end_s: float

    @property
    def measured(self) -> bool:
        """Return whether it is a measured window."""
        return self.name == MEASURED


def curves_of(power: PowerRecord, polls: Sequence[Polls]) -> tuple[Curve, ...]:
    """Return a curve for each physical source that has two good polls: of its power channel, or else of its counter.

    The instants are those of the log (the source's own where it gave one, else the middle of the read), set back by
    the channel's lag. A counter's watts are its steps over the time between them; a step back parts the curve.
    """
    logs = {log.channel: log for log in polls}
    chosen: dict[str, ChannelRecord] = {}
    for channel in sorted(power.channels, key=lambda c: c.kind == "counter"):
        if _good(logs.get(channel.id)) >= 2:
            chosen.setdefault(channel.group, channel)
    order = {channel.id: place for place, channel in enumerate(power.channels)}
    found = sorted(chosen.values(), key=lambda c: order[c.id])
    return tuple(curve for c in found if len((curve := _curve(c, logs[c.id])).times_s) >= 2)


def spans_of(document: Document) -> tuple[Span, ...]:
    """Return the phases of a run, then its measured windows; of an imported result its one window."""
    if not isinstance(document, Result):
        window = document.window
        return () if window is None else (_span(MEASURED, window.start_ns, window.end_ns),)
    phases = [_span(p.name, p.window.start_ns, p.window.end_ns) for p in document.phases]
    windows = [_span(MEASURED, r.window.start_ns, r.window.end_ns) for r in document.repeats]
    return (*phases, *windows)


def downsampled(curve: Curve, most: int) -> Curve:
    """Return a curve of at most `most` points that keeps every peak: each span's least and greatest, in their order."""
    if len(curve.times_s) <= most:
        return curve
    spans = most // 2
    start, length = curve.times_s[0], curve.times_s[-1] - curve.times_s[0]
    buckets: dict[int, list[int]] = {}
    for i, t in enumerate(curve.times_s):
        place = min(spans - 1, int((t - start) / length * spans)) if length > 0 else 0
        buckets.setdefault(place, []).append(i)
    rows = [i for rows in buckets.values() for i in _extremes(rows, curve.watts)]
    return Curve(
        name=curve.name, times_s=tuple(curve.times_s[i] for i in rows), watts=tuple(curve.watts[i] for i in rows)
    )


def trace_chart(key: str, document: Document, curves: Sequence[Curve]) -> Chart:
    """Return the trace of at least one curve, with phases and measured windows behind it."""
    shown = curves[:CURVES_MAX]
    spans = spans_of(document)
    total = sum(len(curve.times_s) for curve in shown)
    names = ", ".join(dict.fromkeys(span.name for span in spans if not span.measured))
    windows = sum(span.measured for span in spans)
    left = f" {len(curves) - len(shown)} more sources are in the file of polls." if len(curves) > len(shown) else ""
    text = (
        f"Watts of {', '.join(plain(c.name) for c in shown)} over the run; {total} readings."
        f" Blue bands: {windows} measured {'window' if windows == 1 else 'windows'};"
        f" grey bands: {names or 'no other phase is recorded'}.{left}"
    )
    longest = max(len(curve.times_s) for curve in shown)
    if longest > DRAWN:
        text += " The drawing keeps the least and the greatest reading of each stretch of time."
    return drawn(
        key, "Power over the run", text, _spec(shown, spans), height=280, samples=_samples(shown, spans, longest)
    )


def _good(log: Polls | None) -> int:
    return 0 if log is None else sum(value is not None for value in log.value)


def _curve(channel: ChannelRecord, log: Polls) -> Curve:
    lag_ns = round((channel.lag_s or 0.0) * 1e9)
    middles = ((before + after) // 2 for before, after in zip(log.before_ns, log.after_ns, strict=True))
    columns = zip(middles, log.taken_ns or (None,) * len(log.value), log.value, strict=True)
    good = sorted(((middle if taken is None else taken) - lag_ns, v) for middle, taken, v in columns if v is not None)
    points = list(_counted(good) if channel.kind == "counter" else ((t / 1e9, v) for t, v in good))
    known = [(t, w) for t, w in points if not math.isinf(w)]
    return Curve(name=channel.id, times_s=tuple(t for t, _ in known), watts=tuple(w for _, w in known))


def _counted(good: Sequence[tuple[int, float]]) -> Iterator[tuple[float, float]]:
    """Yield the watts between the readings at which a counter moved, in the middle of each span."""
    last_ns, last_j = good[0]
    for at_ns, energy_j in good[1:]:
        if energy_j == last_j or at_ns <= last_ns:
            continue
        middle_s = (at_ns + last_ns) / 2e9
        yield middle_s, (energy_j - last_j) / ((at_ns - last_ns) / 1e9) if energy_j > last_j else math.nan
        last_ns, last_j = at_ns, energy_j


def _extremes(rows: Sequence[int], watts: Sequence[float]) -> list[int]:
    known = [i for i in rows if not math.isnan(watts[i])]
    if not known:
        return [rows[0]]
    low, high = min(known, key=lambda i: watts[i]), max(known, key=lambda i: watts[i])
    gaps = [i for i in rows if math.isnan(watts[i])][:1]
    return sorted({low, high, *gaps})


def _span(name: str, start_ns: int, end_ns: int) -> Span:
    return Span(name=name, start_s=start_ns / 1e9, end_s=end_ns / 1e9)


def _spec(curves: Sequence[Curve], spans: Sequence[Span]) -> Mapping[str, Any]:  # any: JSON
    first, last = min(c.times_s[0] for c in curves), max(c.times_s[-1] for c in curves)
    domain = [min([first, *(s.start_s for s in spans)]), max([last, *(s.end_s for s in spans)])]
    x = {
        "type": "quantitative",
        "title": "seconds since the start of the run",
        "scale": {"domain": domain, "nice": False},
    }
    wide = [s for s in spans if not s.measured and s.end_s - s.start_s >= LABEL_SHARE * (last - first)]
    names = {
        "data": values([{"at": (s.start_s + s.end_s) / 2, "phase": plain(s.name, 16)} for s in wide]),
        "mark": {"type": "text", "y": -8, "color": "var(--quiet)"},
        "encoding": {"x": {"field": "at", **x}, "text": {"field": "phase", "type": "nominal"}},
    }
    bands = [_bands(spans, x)] if spans else []
    return {"layer": [*bands, _lines(curves, x), *([names] if wide else [])]}


def _bands(spans: Sequence[Span], x: Mapping[str, Any]) -> Mapping[str, Any]:  # any: JSON
    """Return the layer of phases and measured windows."""
    rows = [{"from": s.start_s, "to": s.end_s, "phase": plain(s.name)} for s in spans]
    phases = list(dict.fromkeys(str(row["phase"]) for row in rows))

    def told(place: int) -> Mapping[str, Any]:  # any: JSON
        scale = {"domain": phases, "range": [_band(name)[place] for name in phases]}
        return {"field": "phase", "type": "nominal", "title": "phase", "scale": scale, "legend": None}

    return {
        "data": values(rows),
        "mark": {"type": "rect"},
        "encoding": {"x": {"field": "from", **x}, "x2": {"field": "to"}, "fill": told(0), "fillOpacity": told(1)},
    }


def _lines(curves: Sequence[Curve], x: Mapping[str, Any]) -> Mapping[str, Any]:  # any: JSON
    """Return the layer of curves."""
    points = [
        {"t": round(t, 3), "w": None if math.isnan(w) else float(f"{w:.5g}"), "source": plain(curve.name)}
        for curve in curves
        for thin in (downsampled(curve, DRAWN),)
        for t, w in zip(thin.times_s, thin.watts, strict=True)
    ]
    scale = {"domain": [plain(c.name) for c in curves], "range": list(COLOURS[: len(curves)])}
    return {
        "data": values(points),
        "mark": {"type": "line", "strokeWidth": 1.4},
        "encoding": {
            "x": {"field": "t", **x},
            "y": {"field": "w", "type": "quantitative", "title": "watts"},
            "stroke": {"field": "source", "type": "nominal", "title": "source", "scale": scale},
        },
    }


def _band(name: str) -> tuple[str, float]:
    if name == MEASURED:
        return "var(--band)", 0.25
    return "var(--calm)", 0.2 if name == "idle" else 0.1


def _samples(curves: Sequence[Curve], spans: Iterable[Span], longest: int) -> Mapping[str, Any] | None:  # any: JSON
    """Return what uPlot draws, None where the SVG shows all there is."""
    if longest <= LONG:
        return None
    thin = [downsampled(curve, KEPT) for curve in curves]
    channels = [
        {
            "name": plain(curve.name),
            "times_s": [round(t, 3) for t in curve.times_s],
            "watts": [None if math.isnan(w) else float(f"{w:.5g}") for w in curve.watts],
        }
        for curve in thin
    ]
    phases = [{"start_s": round(s.start_s, 3), "end_s": round(s.end_s, 3), "measured": s.measured} for s in spans]
    return {"channels": channels, "phases": phases, "colours": [c[4:-1] for c in COLOURS[: len(curves)]]}
