"""The charts of a run's own spread: throughput by repeat, and latencies over all requests."""

from collections.abc import Iterator, Sequence

from wattbench.results.latency import weighted_latencies
from wattbench.results.measurement import Repeat
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import Chart
from wattbench.results.report.charts import drawn, plain, values
from wattbench.results.report.words import name_of, spread, unit_of

__all__ = ["latency_chart", "throughput_chart"]

STEPS_MAX = 240
"""The most steps of a drawn distribution; each further value would be less than a pixel from the next."""


def throughput_chart(key: str, metric: Metric) -> Chart:
    """Return a rate of each repeat, its median, and the interval of that. The metric has a value."""
    assert metric.value is not None, "a rate that is drawn is known"
    unit = plain(unit_of(metric.unit), 24)
    rows = [{"repeat": i + 1, "rate": sample} for i, sample in enumerate(metric.samples)]
    y = {"type": "quantitative", "title": unit, "scale": {"zero": False}}
    band = {
        "data": values([{"low": metric.interval.low, "high": metric.interval.high}] if metric.interval else []),
        "mark": {"type": "rect", "color": "var(--band)", "opacity": 0.18},
        "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}},
    }
    middle = {
        "data": values([{"median": metric.value}]),
        "mark": {"type": "rule", "strokeDash": [5, 3]},
        "encoding": {"y": {"field": "median", **y}},
    }
    points = {
        "data": values(rows),
        "mark": {"type": "point", "filled": True, "size": 70, "color": "var(--one)", "opacity": 1},
        "encoding": {
            "x": {"field": "repeat", "type": "ordinal", "axis": {"labelAngle": 0}},
            "y": {"field": "rate", **y},
        },
    }
    count = len(metric.samples)
    text = f"{count} {'repeat' if count == 1 else 'repeats'}; median {number(metric.value)} {unit} (dashed)"
    text += f", interval {spread(metric.interval)} (band)." if metric.interval else "; one repeat has no interval."
    layers = [*([band] if metric.interval else []), middle, points]
    return drawn(key, f"{name_of(metric.name)} by repeat", text, {"layer": layers}, wide=False)


def latency_chart(key: str, metric: QuantileMetric, repeats: Sequence[Repeat]) -> Chart | None:
    """Return the share of requests (or of token gaps) that were done within a time; None where there is none."""
    pairs = sorted(weighted_latencies(metric.name, repeats)) if metric.count else []
    if not pairs:
        return None
    scale, unit = (1000.0, "ms") if pairs[-1][0] < 1 else (1.0, "s")
    rows = [{"latency": float(f"{scale * t:.6g}"), "share": round(p, 5)} for t, p in _steps(pairs)]
    marks = [
        {
            "latency": scale * q.value,
            "quantile": f"p{100 * q.q:g}",
            "share": q.q,
            "text": f"p{100 * q.q:g} {time(q.value)}",
        }
        for q in metric.quantiles
    ]
    x = {"type": "quantitative", "title": unit, "scale": {"zero": False}, "axis": {"tickCount": 5}}
    y = {"type": "quantitative", "title": "share done by then", "scale": {"domain": [0, 1]}, "axis": {"format": ".0%"}}
    line = {
        "data": values(rows),
        "mark": {"type": "line", "interpolate": "step-after", "color": "var(--one)", "strokeWidth": 1.8},
        "encoding": {"x": {"field": "latency", **x}, "y": {"field": "share", **y}},
    }
    points = {
        "data": values(marks),
        "mark": {"type": "point", "filled": True, "size": 60, "color": "var(--two)", "opacity": 1},
        "encoding": {
            "x": {"field": "latency", **x},
            "y": {"field": "share", **y},
            "detail": {"field": "quantile", "type": "nominal"},
        },
    }
    of = "gaps between tokens" if metric.name == "latency.itl" else "requests"
    named = ", ".join(str(mark["text"]) for mark in marks)
    return drawn(
        key, name_of(metric.name), f"{metric.count} {of}: {named} (dots).", {"layer": [line, points]}, wide=False
    )


def _steps(pairs: Sequence[tuple[float, int]]) -> Iterator[tuple[float, float]]:
    """Yield the steps of the empirical distribution from 0 to 1: latency in s, share done by then."""
    total = sum(weight for _, weight in pairs)
    yield pairs[0][0], 0.0
    done, last = 0, -1
    for i, (value, weight) in enumerate(pairs):
        done += weight
        place = done * STEPS_MAX // total
        if i + 1 < len(pairs) and (pairs[i + 1][0] == value or place == last):
            continue
        last = place
        yield value, done / total
