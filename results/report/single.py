"""The page of one result, measured here or imported: verdict first, raw data last."""

from collections.abc import Iterator, Sequence

from wattbench.results.document import Result
from wattbench.results.imported import Document, ImportedResult, OfficialFigure
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import Block, Cell, Column, Page, Prose, Row, Section, Table
from wattbench.results.report.distributions import latency_chart, throughput_chart
from wattbench.results.report.energies import ladder_section, phases_section
from wattbench.results.report.headline import figures_section, headline_section, latencies_of, metric_of
from wattbench.results.report.limits import claims_section, roofline_section
from wattbench.results.report.money import cost_section
from wattbench.results.report.origins import environment_section, raw_section, reproduce_section
from wattbench.results.report.subject import Subject, badges_of, subtitle_of, title_of, verdict_section
from wattbench.results.report.trace import curves_of, trace_chart
from wattbench.results.report.traffic import traffic_section
from wattbench.results.report.words import unit_of

__all__ = ["FOOT", "single_page"]

FOOT = "Written by wattbench {version}. This page loads nothing; all of it is in this file."
RATES = ("throughput.output_tokens", "throughput.requests")
LATENCIES = ("latency.request", "latency.ttft", "latency.itl")


def single_page(subject: Subject, version: str) -> Page:
    """Return the page of one document; `version` is that of the wattbench that writes it.

    Raises UsageError where vl-convert or inputs of a cost are missing, DocumentError where a cost has no throughput.
    """
    document = subject.document
    return Page(
        title=title_of(document),
        subtitle=subtitle_of(document),
        badges=badges_of(document, subject.trust),
        warnings=subject.warnings,
        sections=tuple(_sections(subject)),
        foot=(f"{subject.name}: {subject.result_id}", FOOT.format(version=version)),
    )


def _sections(subject: Subject) -> Iterator[Section]:
    document = subject.document
    yield verdict_section(document)
    yield headline_section(subject)
    if isinstance(document, ImportedResult):
        yield _official_section(document)
    traffic = traffic_section(document)
    if traffic is not None:
        yield traffic
    yield _trace_section(subject)
    yield _distributions_section(document)
    if isinstance(document, Result):
        yield roofline_section(document)
    yield ladder_section(subject)
    if isinstance(document, Result):
        yield phases_section(document)
    yield claims_section(document)
    cost = cost_section(subject)
    if cost is not None:
        yield cost
    yield figures_section(document)
    yield environment_section(document)
    yield reproduce_section(document)
    yield raw_section((subject,))


def _trace_section(subject: Subject) -> Section:
    curves = curves_of(subject.document.power, subject.polls)
    block: Block
    if curves:
        block = trace_chart("power-chart", subject.document, curves)
    else:
        why = subject.polls_reason or subject.document.power.unavailable_reason or "no sensor has two good readings"
        block = Prose(text=f"No trace: {why}.")
    return Section(key="power", title="Power over the run", blocks=(block,))


def _distributions_section(document: Document) -> Section:
    charts: list[Block] = []
    if isinstance(document, Result):
        metric = next((m for name in RATES if (m := metric_of(document, name)) and m.value is not None), None)
        charts += [] if metric is None else [throughput_chart("throughput-chart", metric)]
        for latency in latencies_of(document):
            if latency.name in LATENCIES:
                key = f"{latency.name.replace('.', '-')}-chart"
                chart = latency_chart(key, latency, document.repeats)
                charts += [] if chart is None else [chart]
        missing = "no request was completed in a measured window"
    else:
        missing = "the import keeps no single requests, so only the quantiles under all figures are known"
    blocks = charts or [Prose(text=f"Not drawn: {missing}.")]
    return Section(key="spread", title="Throughput and latency", blocks=tuple(blocks))


def _official_section(document: ImportedResult) -> Section:
    """Return the tool's own figures by its own formula."""
    columns = (
        Column(name="scenario"),
        Column(name="performance", right=True),
        Column(name="power", right=True),
        Column(name="J/query", right=True),
        Column(name="efficiency", right=True),
        Column(name="samples", right=True),
        Column(name="formula", wide=True),
    )
    rows = tuple(map(_official_row, document.official))
    table = Table(caption=f"What {document.source.tool} says by its own formula", columns=columns, rows=rows)
    blocks: Sequence[Block] = (table,) if rows else (Prose(text="The tool has no figure of its own."),)
    return Section(key="official", title="The tool's own figures", blocks=tuple(blocks))


def _official_row(figure: OfficialFigure) -> Row:
    rate = "-"
    if figure.performance is not None:
        seconds = figure.performance_unit == "s"
        rate = (
            time(figure.performance) if seconds else f"{number(figure.performance)} {unit_of(figure.performance_unit)}"
        )
    share = "-" if figure.efficiency is None else f"{number(figure.efficiency)} {unit_of(figure.efficiency_unit)}"
    expected = "" if figure.samples_expected is None else f" of {figure.samples_expected}"
    energy = figure.energy_per_query_j
    return (
        Cell(text=f"{figure.scenario}{' (inferred)' if figure.inferred else ''}"),
        Cell(text=rate, order=figure.performance),
        Cell(text="-" if figure.power_w is None else f"{number(figure.power_w)} W", order=figure.power_w),
        Cell(text="-" if energy is None else number(energy), order=energy),
        Cell(text=share, order=figure.efficiency),
        Cell(text=f"{figure.samples}{expected}", order=figure.samples),
        Cell(text=figure.method),
    )
