"""The page of several results: each held against the first, ratios with intervals, differences, and all raw data."""

import math
from collections.abc import Iterator, Sequence

from wattbench.results.compare import METRICS, Comparison, ComparisonOptions, Row, compare
from wattbench.results.compare_sides import side_of
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import (
    Badge,
    Block,
    Cell,
    Chart,
    Column,
    Entries,
    Entry,
    Fold,
    Page,
    Prose,
    Section,
    Table,
    Tone,
    without_empty_columns,
)
from wattbench.results.report.charts import drawn, plain, values
from wattbench.results.report.headline import figures_section, latencies_of, metric_of
from wattbench.results.report.money import cost_section
from wattbench.results.report.origins import environment_section, raw_section, reproduce_section
from wattbench.results.report.single import FOOT
from wattbench.results.report.subject import Subject, badges_of, subtitle_of, title_of, verdict_section
from wattbench.results.report.traffic import curve_section
from wattbench.results.report.words import absolute, amount, name_of, spread, unit_of

__all__ = ["several_page"]

TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "equal": "info", "inconclusive": "plain"}
SHAPES = {"better": "triangle-up", "worse": "triangle-down", "equal": "square", "inconclusive": "circle"}
COLOURS = {"better": "var(--three)", "worse": "var(--two)", "equal": "var(--one)", "inconclusive": "var(--six)"}
"""Each verdict has a shape and a colour, so that neither alone has to be told."""

SIDE_BY_SIDE = (
    "throughput.output_tokens",
    "throughput.requests",
    "efficiency.tokens_per_j",
    "energy.per_request",
    "power.mean",
)
OWN_TICKS = 4.0
STEPS_OF_DECADES = 30.0
"""From where on an axis of ratios has ticks at 1, 2 and 5, and from where on at powers of ten alone."""

REACH = 1000.0
"""Ratios with an end beyond this factor are not drawn, since they would press all others together."""


def several_page(
    subjects: Sequence[Subject], options: ComparisonOptions, version: str, *, allow_invalid: bool = False
) -> Page:
    """Return the page of at least two documents.

    Raises UsageError for unlike ones unless `options.force`, DocumentError for invalid ones unless `allow_invalid`, and
    what `single_page` raises.
    """
    sides = [side_of(s.document, s.result_id, s.name, allow_invalid=allow_invalid) for s in subjects]
    comparison = compare(sides, options)
    return Page(
        title=f"{len(subjects)} results of {_common(subjects)}",
        subtitle=f"each held against the first, {comparison.first}",
        badges=(),
        warnings=comparison.warnings,
        sections=tuple(_sections(subjects, comparison)),
        foot=(*(f"{s.name}: {s.result_id}" for s in subjects), FOOT.format(version=version)),
    )


def _common(subjects: Sequence[Subject]) -> str:
    titles = [title_of(s.document).partition(" on ")[0] for s in subjects]
    return titles[0] if len(set(titles)) == 1 else "unlike things"


def _sections(subjects: Sequence[Subject], comparison: Comparison) -> Iterator[Section]:
    yield _standings(subjects)
    curve = curve_section(subjects)
    if curve is not None:
        yield curve
    yield _ratios(comparison)
    yield _differences(comparison)
    for place, subject in enumerate(subjects, start=1):
        yield _own(subject, place)
    yield raw_section(subjects)


def _standings(subjects: Sequence[Subject]) -> Section:
    """Return the verdict of each result with its doubts, then the headline figures of all."""
    names = [name for name in SIDE_BY_SIDE if any(_known(s, name) for s in subjects)]
    columns = (
        Column(name="result"),
        *(Column(name=f"{name_of(name)}, {_unit(subjects, name)}", right=True) for name in names),
        Column(name="latency p50", right=True),
    )
    rows = tuple(
        (
            Cell(text=f"{place}. {subject.name}", badges=badges_of(subject.document, subject.trust)),
            *(_figure(subject, name) for name in names),
            _latency(subject),
        )
        for place, subject in enumerate(subjects, start=1)
    )
    table = Table(caption="The results side by side", columns=columns, rows=rows)
    heads = Entries(entries=tuple(_head(subject, place) for place, subject in enumerate(subjects, start=1)))
    return Section(key="verdict", title="Verdicts and figures", blocks=(heads, table))


def _head(subject: Subject, place: int) -> Entry:
    document = subject.document
    doubts = ", ".join(dict.fromkeys(doubt.code for doubt in document.doubts if doubt.severity != "note"))
    return Entry(
        badge=badges_of(document, subject.trust)[0],
        head=f"{place}. {subject.name}",
        text=f"({doubts or 'no doubt'})",
        advice=f"{title_of(document)}; {subtitle_of(document)}",
    )


def _known(subject: Subject, name: str) -> bool:
    metric = metric_of(subject.document, name)
    return metric is not None and metric.value is not None


def _unit(subjects: Sequence[Subject], name: str) -> str:
    units = [metric.unit for s in subjects if (metric := metric_of(s.document, name)) is not None]
    return unit_of(units[0]) if units else ""


def _figure(subject: Subject, name: str) -> Cell:
    metric = metric_of(subject.document, name)
    if metric is None or metric.value is None:
        return Cell(text=f"- ({(metric.reason if metric else None) or 'not measured'})")
    sure = absolute(metric) or spread(metric.interval).partition(" (")[0] or "no interval"
    return Cell(text=f"{number(metric.value)} ({sure})", order=metric.value)


def _latency(subject: Subject) -> Cell:
    found = [
        q.value
        for x in latencies_of(subject.document)
        if x.name == "latency.request"
        for q in x.quantiles
        if q.q == 0.5
    ]
    return Cell(text=time(found[0]), order=found[0]) if found else Cell(text="-")


def _ratios(comparison: Comparison) -> Section:
    blocks: list[Block] = []
    for place, name in enumerate(dict.fromkeys(row.result for row in comparison.rows), start=2):
        rows = [row for row in comparison.rows if row.result == name]
        if any(_reach(row) <= REACH for row in rows):
            blocks.append(_forest(f"ratios-{place}", name, rows, comparison))
    blocks.append(_table(comparison))
    reasons = [f"{row.result}, {row.metric}: {row.reason}" for row in comparison.rows if row.reason]
    lines = (*dict.fromkeys(reasons), *comparison.notes)
    blocks.append(Entries(entries=tuple(Entry(text=line) for line in lines)))
    return Section(key="ratios", title="Ratios to the first", blocks=tuple(blocks))


def _reach(row: Row) -> float:
    """Return the factor from 1 to the farthest end of a ratio and its interval; infinite where there is no ratio."""
    ends = [end for end in (row.ratio, row.low, row.high) if end is not None]
    return max((max(end, 1 / end) if end > 0 else math.inf for end in ends), default=math.inf)


def _forest(key: str, name: str, rows: Sequence[Row], comparison: Comparison) -> Chart:
    """Return the ratios of one result to the first with their intervals, on a logarithmic axis around 1."""
    known = [row for row in rows if _reach(row) <= REACH]
    left = sum(row.ratio is not None for row in rows) - len(known)
    reach = max(1.1, *map(_reach, known)) * 1.03
    delta = comparison.options.delta
    data = [
        {
            "figure": plain(f"{name_of(row.metric)}{f', {row.scope}' if row.scope else ''}", 44),
            "ratio": row.ratio,
            "low": row.ratio if row.low is None else row.low,
            "high": row.ratio if row.high is None else row.high,
            "verdict": row.outcome or "inconclusive",
        }
        for row in known
    ]
    verdicts = [word for word in SHAPES if any(row["verdict"] == word for row in data)]
    x = {
        "type": "quantitative",
        "title": "ratio to the first",
        "scale": {"type": "log", "domain": [1 / reach, reach], "nice": False},
        "axis": {"labelExpr": "format(datum.value, '.3~g')", "labelOverlap": "greedy", **_ticks(reach)},
    }
    y = {"field": "figure", "type": "nominal", "title": None, "sort": None}
    domain = {"field": "verdict", "type": "nominal", "title": "verdict"}
    band = {
        "data": values([{"low": max(1 / (1 + delta), 1 / reach), "high": min(1 + delta, reach)}]),
        "mark": {"type": "rect", "color": "var(--calm)", "opacity": 0.25},
        "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}},
    }
    lines = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"y": y, "x": {"field": "low", **x}, "x2": {"field": "high"}},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {
            "y": y,
            "x": {"field": "ratio", **x},
            "fill": {**domain, "scale": {"domain": verdicts, "range": [COLOURS[word] for word in verdicts]}},
            "shape": {**domain, "scale": {"domain": verdicts, "range": [SHAPES[word] for word in verdicts]}},
        },
    }
    text = f"{name} over {comparison.first}, with intervals at 95 %; the band is what counts as equal."
    text += f" {left} beyond a factor of {REACH:g} are in the table alone." if left else ""
    spec = {"data": values(data), "layer": [band, lines, points]}
    return drawn(key, f"Ratios of {plain(name)}", text, spec, height=28 * len(data), named=True)


def _ticks(reach: float) -> dict[str, object]:
    """Return where an axis from 1 / reach to reach has its ticks: the drawing's own choice, 1-2-5, or decades.

    Its own choice is every tenth of a decade, whose numbers stand upon each other on a long axis.
    """
    if reach < OWN_TICKS:
        return {"tickCount": 7}
    steps = (1, 2, 5) if reach < STEPS_OF_DECADES else (1,)
    places = [step * 10.0**decade for decade in range(-3, 4) for step in steps]
    return {"values": [place for place in places if 1 / reach <= place <= reach]}


def _table(comparison: Comparison) -> Table:
    columns = (
        Column(name="result"),
        Column(name="figure"),
        Column(name="scope"),
        Column(name="better is"),
        Column(name="first", right=True),
        Column(name="this", right=True),
        Column(name="unit"),
        Column(name="ratio", right=True),
        Column(name="95 %", right=True),
        Column(name="verdict"),
    )
    rows = tuple(map(_cells, comparison.rows))
    caption = "Every figure of each result over that of the first"
    return without_empty_columns(Table(caption=caption, columns=columns, rows=rows))


def _cells(row: Row) -> tuple[Cell, ...]:
    interval = "-" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
    first, this = ("-" if value is None else amount(value, row.unit)[0] for value in (row.first, row.other))
    units = [amount(value, row.unit)[1] for value in (row.first, row.other) if value is not None]
    return (
        Cell(text=row.result),
        Cell(text=name_of(row.metric)),
        Cell(text=row.scope or ""),
        Cell(text="more" if METRICS[row.metric] else "less"),
        Cell(text=first, order=row.first),
        Cell(text=this, order=row.other),
        Cell(text=" | ".join(dict.fromkeys(units)) or unit_of(row.unit)),
        Cell(text="-" if row.ratio is None else f"{row.ratio:.3f}", order=row.ratio),
        Cell(text=interval, order=row.low),
        Cell(text=row.outcome or "-", tone=TONES.get(row.outcome or "", "plain")),
    )


def _differences(comparison: Comparison) -> Section:
    columns = (
        Column(name="result"),
        Column(name="field"),
        Column(name="first"),
        Column(name="this"),
        Column(name="may differ"),
    )
    rows = tuple(
        (
            Cell(text=each.result),
            Cell(text=each.field),
            Cell(text=each.first),
            Cell(text=each.other),
            Cell(text="no" if each.blocking else "yes", tone="bad" if each.blocking else "plain"),
        )
        for each in sorted(comparison.differences, key=lambda d: not d.blocking)
    )
    caption = "Fields in which a result differs from the first"
    block: Block = (
        Table(caption=caption, columns=columns, rows=rows) if rows else Prose(text="They differ in no field.")
    )
    return Section(key="differences", title="What differs", blocks=(block,))


def _own(subject: Subject, place: int) -> Section:
    """Return what a page of a result's own would say of it, folded."""
    document = subject.document
    parts = [
        verdict_section(document),
        figures_section(document),
        *([cost] if (cost := cost_section(subject)) is not None else []),
        environment_section(document),
        reproduce_section(document),
    ]
    folds = tuple(Fold(summary=part.title, blocks=part.blocks) for part in parts)
    what = Entry(badge=Badge(text=subject.trust.tier, tone=subject.trust.tone), text=subtitle_of(document))
    blocks: tuple[Block, ...] = (Entries(entries=(what,)), *folds)
    return Section(key=f"result-{place}", title=f"{place}. {subject.name}", blocks=blocks)
