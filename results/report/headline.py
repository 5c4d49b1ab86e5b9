"""The headline figures of a result, and all of its figures as one table."""

from collections.abc import Iterator, Sequence

from wattbench.results.document import Result
from wattbench.results.figures import known_part
from wattbench.results.imported import Document
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import (
    Block,
    Card,
    Cards,
    Cell,
    Column,
    Prose,
    Row,
    Section,
    Table,
    without_empty_columns,
)
from wattbench.results.report.subject import Subject
from wattbench.results.report.words import absolute, amount, comparing, name_of, spread, unit_of

__all__ = ["figures_section", "headline_section", "latencies_of", "metric_of", "metrics_of"]

CARDS = (
    "throughput.output_tokens",
    "throughput.requests",
    "efficiency.tokens_per_j",
    "efficiency.requests_per_j",
    "energy.per_request",
    "energy.per_output_token",
    "power.mean",
)
ENERGIES = ("efficiency.tokens_per_j", "energy.per_request", "power.mean")
"""Those that a reader looks for: where they are not known, the page says why."""

LATENCIES = ("latency.request", "latency.ttft", "latency.tpot")


def metrics_of(document: Document) -> tuple[Metric, ...]:
    """Return the figures of a document, none where it did not get that far."""
    if isinstance(document, Result):
        return document.summary.metrics if document.summary else ()
    return document.metrics


def latencies_of(document: Document) -> tuple[QuantileMetric, ...]:
    """Return the latencies of a document, none where it did not get that far."""
    if isinstance(document, Result):
        return document.summary.latencies if document.summary else ()
    return document.latencies


def metric_of(document: Document, name: str) -> Metric | None:
    """Return the first figure of that name: for energies that of the device's own scope."""
    return next((metric for metric in metrics_of(document) if metric.name == name), None)


def headline_section(subject: Subject, key: str = "figures") -> Section:
    """Return the figures that a reader looks for first, each with its interval and uncertainty or why it is missing."""
    document, trust = subject.document, subject.trust
    cards = tuple(_cards(document))
    power = metric_of(document, "power.mean")
    blocks: list[Block] = [
        Cards(cards=cards) if cards else Prose(text="Nothing was measured, so there is no figure."),
        Prose(text=f"Standing of these figures: {trust.tier} ({trust.basis}).", quiet=True),
    ]
    if power is not None and power.value is not None:
        blocks.append(Prose(text=f"Energies are gross, at the scope {power.scope}: {power.boundary}.", quiet=True))
    return Section(key=key, title="Headline figures", blocks=tuple(blocks))


def figures_section(document: Document) -> Section:
    """Return every figure with its interval, uncertainties, method, or the reason why it is not known."""
    columns = (
        Column(name="figure"),
        Column(name="scope"),
        Column(name="value", right=True),
        Column(name="unit"),
        Column(name="interval", right=True),
        Column(name="absolute (k=2)", right=True, title="against the truth"),
        Column(name="comparing (k=2)", right=True, title="against another run on the same board"),
        Column(name="method, or why it is not known", wide=True),
    )
    rows = tuple(_row(metric) for metric in metrics_of(document))
    blocks: list[Block] = []
    if rows:
        caption = "Medians over repeats; energies gross, by scope"
        blocks = [
            without_empty_columns(Table(caption=caption, columns=columns, rows=rows)),
            *_latency_table(latencies_of(document)),
        ]
    else:
        blocks = [Prose(text="Nothing was measured, so there is no figure.")]
    return Section(key="all-figures", title="All figures", blocks=tuple(blocks))


def _cards(document: Document) -> Iterator[Card]:
    for name in CARDS:
        metric = metric_of(document, name)
        if metric is None or (metric.value is None and name not in ENERGIES):
            continue
        repeats = document.summary.repeats if isinstance(document, Result) and document.summary else 0
        if name == "efficiency.requests_per_j" and _known(document, "efficiency.tokens_per_j"):
            continue  # one of the two says what a watt is worth
        yield _card(metric, repeats)
    for latency in latencies_of(document):
        if latency.name in LATENCIES and latency.count and (latency.quantiles or latency.mean is not None):
            yield _latency_card(latency)


def _known(document: Document, name: str) -> bool:
    metric = metric_of(document, name)
    return metric is not None and metric.value is not None


def _card(metric: Metric, repeats: int) -> Card:
    if metric.value is None:
        return Card(label=name_of(metric.name), value="", unit="", missing=metric.reason or "no reason is recorded")
    us = [f"{absolute(metric)} absolute", f"{comparing(metric)} comparing"] if metric.scope is not None else []
    notes = [f"uncertainty (k=2): {', '.join(us)}"] if us else []
    if part := known_part(metric, repeats):
        notes.append(part)
    return Card(
        label=name_of(metric.name),
        value=number(metric.value),
        unit=unit_of(metric.unit),
        spread=spread(metric.interval) or "no interval: one value",
        note="; ".join(notes),
    )


def _latency_card(latency: QuantileMetric) -> Card:
    if not latency.quantiles:
        return _mean_card(latency)
    median = next((q for q in latency.quantiles if q.q == 0.5), latency.quantiles[0])
    value, unit = time(median.value).rsplit(" ", 1)
    tails = [f"p{100 * q.q:g} {time(q.value)}" for q in latency.quantiles if q is not median]
    bounds = [f"p{100 * q.q:g} at most {time(q.bound)}" for q in latency.quantiles if q.bound is not None and q.q > 0.5]
    sure = f"99 % sure: {', '.join(bounds)}" if bounds else "too few requests for a sure bound"
    return Card(
        label=f"{name_of(latency.name)}, p{100 * median.q:g}",
        value=value,
        unit=unit,
        spread=f"{', '.join(tails)} (n={latency.count})",
        note=sure,
    )


def _mean_card(latency: QuantileMetric) -> Card:
    """Return the card of a latency of which the mean alone is known."""
    value, _, unit = time(latency.mean or 0.0).rpartition(" ")
    spread_text = f"no quantiles (n={latency.count})"
    return Card(label=f"{name_of(latency.name)}, mean", value=value, unit=unit, spread=spread_text, note=latency.method)


def _row(metric: Metric) -> Row:
    known = metric.value is not None
    why = metric.method if known else f"not known: {metric.reason}"
    value, unit = ("-", unit_of(metric.unit)) if metric.value is None else amount(metric.value, metric.unit)
    return (
        Cell(text=name_of(metric.name)),
        Cell(text=metric.scope or ""),
        Cell(text=value, order=metric.value),
        Cell(text=unit),
        Cell(text=spread(metric.interval, metric.unit)),
        Cell(text=absolute(metric) if known else "", order=metric.u_absolute_rel),
        Cell(text=comparing(metric) if known else "", order=metric.u_comparison_rel),
        Cell(text=why),
    )


def _latency_table(latencies: Sequence[QuantileMetric]) -> Iterator[Table]:
    if not latencies:
        return
    columns = (
        Column(name="latency"),
        Column(name="count", right=True),
        Column(name="mean", right=True),
        Column(name="quantiles"),
        Column(name="99 % sure bounds"),
        Column(name="method, or why it is not known", wide=True),
    )
    rows = tuple(_latency_row(latency) for latency in latencies)
    yield Table(caption="Latencies over all requests of all repeats", columns=columns, rows=rows)


def _latency_row(latency: QuantileMetric) -> Row:
    quantiles = ", ".join(f"p{100 * q.q:g} {time(q.value)}" for q in latency.quantiles)
    bounds = ", ".join(f"p{100 * q.q:g} {time(q.bound)}" for q in latency.quantiles if q.bound is not None)
    return (
        Cell(text=name_of(latency.name)),
        Cell(text=str(latency.count), order=latency.count),
        Cell(text="-" if latency.mean is None else time(latency.mean), order=latency.mean),
        Cell(text=quantiles or "-"),
        Cell(text=bounds or "-"),
        Cell(text=f"not known: {latency.reason}" if latency.reason else latency.method),
    )
