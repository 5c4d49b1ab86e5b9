"""The sections on energy: its ladder of scopes with uncertainties, and how prefill and decode share time and energy."""

from collections.abc import Iterator, Mapping, Sequence
from math import fsum

from wattbench.results.document import Result
from wattbench.results.energy import BudgetTerm, ChannelEnergy
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.metrics import Metric
from wattbench.results.rates import overlap_reason, phase_reason, succeeded
from wattbench.results.readable import number
from wattbench.results.report.blocks import Block, Cell, Chart, Column, Entries, Entry, Fold, Prose, Row, Section, Table
from wattbench.results.report.charts import drawn, plain, values
from wattbench.results.report.headline import metric_of, metrics_of
from wattbench.results.report.subject import Subject
from wattbench.results.report.words import COVERAGE, absolute, comparing, percent, unit_of

__all__ = ["ladder_section", "phases_section"]

FIRST_OF_RUNG = "power.mean"
"""The figures of each rung begin with it (docs/metrics.md)."""

PHASES = ("prefill", "decode")
Rung = Mapping[str, Metric]


def ladder_section(subject: Subject) -> Section:
    """Return mean power and energy at every scope that was read, each with both uncertainties, or why there is none."""
    document = subject.document
    rungs = [rung for rung in _rungs(metrics_of(document)) if rung[FIRST_OF_RUNG].value is not None]
    blocks: list[Block] = []
    if rungs:
        drawn_of = [rung for rung in rungs if _energy(rung) is not None]
        blocks += [_ladder_chart(drawn_of)] if drawn_of else []
        blocks += [_ladder_table(rungs), *_budget(document)]
    else:
        blocks.append(Prose(text=f"No energy is known: {_no_energy(document)}."))
    blocks += [
        Entries(entries=tuple(Entry(head=label if not i else "", text=line) for i, line in enumerate(lines)))
        for label, lines in subject.notes.items()
        if lines
    ]
    return Section(key="energy", title="Energy ladder", blocks=tuple(blocks))


def phases_section(result: Result) -> Section:
    """Return how much of the time and of the energy is prefill's and decode's, and the rates and limits of both."""
    reason = phase_reason(result.load, decode=True) or overlap_reason(result.repeats)
    if reason is not None:
        blocks: list[Block] = [Prose(text=f"The phases are not told apart: {reason}.")]
    else:
        blocks = [*_split_chart(result), _split_table(result)]
    return Section(key="phases", title="Prefill and decode", blocks=tuple(blocks))


def _rungs(metrics: Sequence[Metric]) -> list[Rung]:
    found: list[dict[str, Metric]] = []
    for metric in metrics:
        if metric.name == FIRST_OF_RUNG:
            found.append({})
        if found and metric.name.startswith(("power.", "energy.", "efficiency.")):
            found[-1][metric.name] = metric
    return list(found)


def _energy(rung: Rung) -> Metric | None:
    metric = rung.get("energy.per_request")
    return metric if metric is not None and metric.value is not None else None


def _no_energy(document: Document) -> str:
    power = metric_of(document, FIRST_OF_RUNG)
    why = power.reason if power is not None else None
    return why or document.power.unavailable_reason or "nothing was measured"


def _ladder_chart(rungs: Sequence[Rung]) -> Chart:
    rows = []
    for place, rung in enumerate(rungs):
        metric = _energy(rung)
        assert metric is not None, "only rungs with an energy are drawn"
        assert metric.value is not None, "the same"
        reach = COVERAGE * (metric.u_absolute_rel or 0.0) * metric.value
        name = f"{place + 1}. {plain(metric.scope or 'no scope', 24)}"
        rows.append({"scope": name, "energy": metric.value, "low": metric.value - reach, "high": metric.value + reach})
    y = {"field": "scope", "type": "nominal", "title": None, "sort": None}
    x = {"type": "quantitative", "title": "J/request", "axis": {"tickCount": 6}}
    bars = {
        "mark": {"type": "bar", "color": "var(--one)", "opacity": 0.75, "height": {"band": 0.6}},
        "encoding": {"y": y, "x": {"field": "energy", **x}},
    }
    reach_of = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"y": y, "x": {"field": "low", **x}, "x2": {"field": "high"}},
    }
    text = "; ".join(f"{row['scope']}: {number(float(str(row['energy'])))} J/request" for row in rows)
    note = "Lines: absolute uncertainty, k=2, where it is stated."
    spec = {"data": values(rows), "layer": [bars, reach_of]}
    return drawn(
        "ladder-chart", "Energy of a request by scope", f"{text}. {note}", spec, height=40 * len(rows), named=True
    )


def _ladder_table(rungs: Sequence[Rung]) -> Table:
    columns = (
        Column(name="scope"),
        Column(name="mean power", right=True),
        Column(name="idle", right=True),
        Column(name="J/request", right=True),
        Column(name="tokens/s/W", right=True),
        Column(name="absolute (k=2)", right=True, title="against the truth"),
        Column(name="comparing (k=2)", right=True, title="against another run on the same board"),
        Column(name="what is inside, and how it was found", wide=True),
    )
    caption = "What each scope has inside; a wider one includes the narrower ones it sees"
    return Table(caption=caption, columns=columns, rows=tuple(map(_rung_row, rungs)), sortable=False)


def _rung_row(rung: Rung) -> Row:
    power = rung[FIRST_OF_RUNG]
    energy = rung.get("energy.per_request") or power
    return (
        Cell(text=power.scope or ""),
        *(_figure(rung.get(name)) for name in ("power.mean", "power.idle", "energy.per_request")),
        _figure(rung.get("efficiency.tokens_per_j")),
        Cell(text=absolute(energy), order=energy.u_absolute_rel),
        Cell(text=comparing(energy), order=energy.u_comparison_rel),
        Cell(text=f"{power.boundary or 'boundary not stated'}; {power.method}"),
    )


def _figure(metric: Metric | None) -> Cell:
    if metric is None or metric.value is None:
        return Cell(text="-")
    return Cell(text=f"{number(metric.value)}{' W' if metric.unit == 'W' else ''}", order=metric.value)


def _budget(document: Document) -> Iterator[Block]:
    """Yield the uncertainty budget of the first window's first channel that has one, folded away."""
    if isinstance(document, ImportedResult):
        energies: tuple[ChannelEnergy, ...] = () if document.energy is None else (document.energy,)
    else:
        energies = document.repeats[0].energy if document.repeats else ()
    for energy in energies:
        if energy.budget:
            heads = tuple(
                Column(name=name, right=right)
                for name, right in (("term", False), ("type", False), ("u (k=1)", True), ("comparing", True))
            )
            table = Table(
                caption=f"Relative standard uncertainties of {energy.channel} over the first window",
                columns=(*heads, Column(name="basis", wide=True)),
                rows=tuple(map(_term, energy.budget)),
            )
            yield Fold(summary="Where the uncertainty comes from", blocks=(table,))
            return


def _term(term: BudgetTerm) -> Row:
    return (
        Cell(text=term.name),
        Cell(text=term.kind),
        Cell(text=percent(term.u_rel), order=term.u_rel),
        Cell(text=percent(term.compared_rel), order=term.compared_rel),
        Cell(text=term.basis),
    )


def _seconds(result: Result) -> tuple[float, float]:
    """Return how long prefill and decode of all successful executions took, in seconds."""
    parts: tuple[list[float], list[float]] = ([], [])
    for done in (repeat.completions for repeat in result.repeats):
        for i in succeeded(done):
            first_ns = done.first_output_ns[i]
            if first_ns is not None:
                parts[0].append((first_ns - done.start_ns[i]) / 1e9)
                parts[1].append((done.end_ns[i] - first_ns) / 1e9)
    return fsum(parts[0]), fsum(parts[1])


def _joules(result: Result) -> tuple[float | None, float | None]:
    both = [metric_of(result, f"energy.{phase}") for phase in PHASES]
    known = [None if metric is None else metric.value for metric in both]
    return known[0], known[1]


def _shares(parts: Sequence[float | None]) -> tuple[float, ...] | None:
    known = [part for part in parts if part is not None and part >= 0]
    total = fsum(known)
    return tuple(part / total for part in known) if len(known) == len(parts) and total > 0 else None


def _split_chart(result: Result) -> Iterator[Chart]:
    found = {"time": _shares(_seconds(result)), "energy": _shares(_joules(result))}
    rows = [
        {"of": of, "phase": phase, "share": share}
        for of, shares in found.items()
        if shares is not None
        for phase, share in zip(PHASES, shares, strict=True)
    ]
    if not rows:
        return
    encoding = {
        "y": {"field": "of", "type": "nominal", "title": None, "sort": None},
        "x": {"field": "share", "type": "quantitative", "title": "share", "axis": {"format": ".0%"}, "stack": "zero"},
        "fill": {
            "field": "phase",
            "type": "nominal",
            "scale": {"domain": list(PHASES), "range": ["var(--one)", "var(--two)"]},
        },
        "order": {"field": "phase", "type": "nominal", "sort": "descending"},
    }
    text = "; ".join(f"{row['phase']} takes {percent(float(str(row['share'])))} of the {row['of']}" for row in rows)
    spec = {
        "data": values(rows),
        "mark": {"type": "bar", "opacity": 0.85, "height": {"band": 0.6}},
        "encoding": encoding,
    }
    height = 40 * len({row["of"] for row in rows})
    yield drawn("phases-chart", "Prefill and decode", f"{text}.", spec, height=height, named=True)


def _split_table(result: Result) -> Table:
    columns = (
        Column(name="phase"),
        Column(name="time", right=True),
        Column(name="of the time", right=True),
        Column(name="rate", right=True),
        Column(name="energy", right=True),
        Column(name="absolute (k=2)", right=True),
        Column(name="of the measured ceiling", right=True),
        Column(name="why a figure is missing", wide=True),
    )
    seconds = _seconds(result)
    shares = _shares(seconds) or (None, None)
    rows = tuple(_phase_row(result, i, seconds[i], shares[i]) for i in range(len(PHASES)))
    return Table(caption="Both phases over all repeats", columns=columns, rows=rows, sortable=False)


def _phase_row(result: Result, i: int, seconds: float, share: float | None) -> Row:
    phase = PHASES[i]
    rate, energy = metric_of(result, f"throughput.{phase}_tokens"), metric_of(result, f"energy.{phase}")
    reached = metric_of(result, "utilisation.bandwidth" if i else "utilisation.prefill_flops")
    reasons = [metric.reason for metric in (rate, energy, reached) if metric is not None and metric.reason]
    return (
        Cell(text=phase),
        Cell(text=f"{number(seconds)} s", order=seconds),
        Cell(text="-" if share is None else percent(share), order=share),
        _with_unit(rate),
        _with_unit(energy),
        Cell(text=absolute(energy) if energy is not None and energy.value is not None else "-"),
        Cell(text="-" if reached is None or reached.value is None else percent(reached.value)),
        Cell(text="; ".join(dict.fromkeys(reasons))),
    )


def _with_unit(metric: Metric | None) -> Cell:
    if metric is None or metric.value is None:
        return Cell(text="-")
    return Cell(text=f"{number(metric.value)} {unit_of(metric.unit)}", order=metric.value)
