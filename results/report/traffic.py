"""What a page says of traffic: how requests came and what became of them, and the curve over several levels of load."""

from collections.abc import Sequence

from wattbench.results.document import Result
from wattbench.results.imported import Document
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import Cell, Column, Fact, Facts, Row, Section, Table
from wattbench.results.report.headline import latencies_of, metric_of
from wattbench.results.report.subject import Subject
from wattbench.results.traffic_words import traffic_lines, traffic_words

__all__ = ["curve_section", "traffic_section"]

CURVE_MIN = 2

COLUMNS = (
    Column(name="load"),
    Column(name="requests/s", right=True),
    Column(name="latency p50", right=True),
    Column(name="first token p99", right=True),
    Column(name="power, W", right=True),
    Column(name="J/query", right=True),
    Column(name="failed", right=True),
    Column(name="verdict"),
)


def traffic_section(document: Document) -> Section | None:
    """Return what a run of traffic has to say; None for other documents."""
    if not isinstance(document, Result) or document.plan.traffic is None:
        return None
    words = traffic_words(document.plan.traffic, document.plan.scenario)
    arrival = f"{document.plan.scenario}: {words}" if words else document.plan.scenario
    lines = (("arrival", arrival), *traffic_lines(document))
    facts = Facts(facts=tuple(Fact(label=label, text=text) for label, text in lines))
    return Section(key="traffic", title="Requests", blocks=(facts,))


def curve_section(subjects: Sequence[Subject]) -> Section | None:
    """Return latency, power and joules per query at each level of load, rising; None for fewer than two levels."""
    served = [s.document for s in subjects if isinstance(s.document, Result) and s.document.plan.traffic is not None]
    if len(served) < CURVE_MIN:
        return None
    ordered = sorted(served, key=lambda result: _value(result, "throughput.requests") or 0.0)
    table = Table(caption="One row a result, by its throughput", columns=COLUMNS, rows=tuple(map(_row, ordered)))
    return Section(key="load-curve", title="Over the load", blocks=(table,))


def _row(result: Result) -> Row:
    assert result.plan.traffic is not None
    summary = result.summary
    failed = 0 if summary is None else summary.failed_requests
    rate, watts, joules = (_value(result, n) for n in ("throughput.requests", "power.mean", "energy.per_request"))
    return (
        Cell(text=traffic_words(result.plan.traffic, result.plan.scenario) or result.plan.scenario),
        _number_cell(rate),
        _time_cell(_quantile_s(result, "latency.request", 0.5)),
        _time_cell(_quantile_s(result, "latency.ttft", 0.99)),
        _number_cell(watts),
        _number_cell(joules),
        Cell(text=str(failed), order=failed),
        Cell(text=result.verdict.standing if result.verdict is not None else "-"),
    )


def _value(result: Result, name: str) -> float | None:
    metric = metric_of(result, name)
    return None if metric is None else metric.value


def _quantile_s(result: Result, name: str, q: float) -> float | None:
    found = next((latency for latency in latencies_of(result) if latency.name == name), None)
    return None if found is None else next((each.value for each in found.quantiles if each.q == q), None)


def _number_cell(value: float | None) -> Cell:
    return Cell(text="-" if value is None else number(value), order=value)


def _time_cell(seconds: float | None) -> Cell:
    return Cell(text="-" if seconds is None else time(seconds), order=seconds)
