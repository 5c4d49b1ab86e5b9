"""One result as other tools take it: who measured what in flat text, and every figure with unit, scope and method."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wattbench.results.compare_sides import warnings_of
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.metrics import Metric, QuantileMetric

__all__ = ["Exported", "ExportedFigure", "Subject", "exported_of", "marks_of"]

MARKS = {"mock": "MOCK", "emulated": "EMULATED", "replayed_power": "REPLAYED"}
"""The doubts that say that a result's figures are no measurement of this device at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a figure is of: the document, the tool, the load and the device; None where it is not stated.

    `marks` are what every figure has to be read with: INVALID, UNFINISHED, MOCK, EMULATED, REPLAYED; empty for a
    result that may be quoted. `reasons` say why in words. Token counts are per request.
    """

    result_id: str
    kind: str
    status: str
    verdict: str
    marks: tuple[str, ...]
    reasons: tuple[str, ...]
    tool: str
    tool_version: str | None
    started_at: str | None
    load: str | None
    load_version: str | None
    model: str | None
    family: str | None
    precision: str | None
    scenario: str
    weights: str | None
    batch: int | None
    input_tokens: float | None
    output_tokens: float | None
    device: str | None
    devices: int | None
    processor: str | None
    engine: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFigure:
    """One figure: `statistic` is median (of repeats), single (one value), mean, a percentile such as p99, or p99_bound.

    A bound is 99 % sure. `value` is None with a `reason`. `low` to `high` is the interval at `level`, `spread` the
    interquartile range, `count` how many values the statistic is of, `u_*_rel` relative standard uncertainties (k=1).
    """

    name: str
    unit: str
    statistic: str
    value: float | None
    reason: str | None
    count: int | None
    samples: tuple[float, ...]
    low: float | None
    high: float | None
    level: float | None
    spread: float | None
    scope: str | None
    boundary: str | None
    method: str
    u_absolute_rel: float | None
    u_comparison_rel: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One result: its subject and its figures; `document` is what it was made of."""

    subject: Subject
    figures: tuple[ExportedFigure, ...]
    document: Document


def exported_of(document: Document, result_id: str, name: str, *, allow_invalid: bool = False) -> Exported:
    """Return a result for export; `name` is for messages.

    Raises DocumentError for one without figures and, unless `allow_invalid`, for an invalid, unfinished, mock,
    emulated or replayed one.
    """
    reasons = warnings_of(document)
    if reasons and not allow_invalid:
        raise DocumentError(
            f"{name} is not exported",
            "; ".join(reasons),
            "Measure again, or use --allow-invalid: what can carry a mark then carries it.",
        )
    metrics, latencies = _figures_in(document)
    if not metrics:
        raise DocumentError(f"{name} has no figures", f"the run is {document.status}", "Measure again.")
    subject = _imported(document, result_id) if isinstance(document, ImportedResult) else _measured(document, result_id)
    figures = (*map(_metric_figure, metrics), *(f for each in latencies for f in _latency_figures(each)))
    return Exported(subject=subject, figures=figures, document=document)


def marks_of(document: Document) -> tuple[str, ...]:
    """Return the marks of a document that is not to be quoted, none for any other."""
    severe = {doubt.code for doubt in document.doubts if doubt.severity == "severe"}
    found = [mark for code, mark in MARKS.items() if code in severe]
    unfinished = [] if document.status == "complete" else ["UNFINISHED"]
    return tuple((["INVALID"] if severe or unfinished else []) + unfinished + found)


def _figures_in(document: Document) -> tuple[Iterable[Metric], Iterable[QuantileMetric]]:
    if isinstance(document, ImportedResult):
        return document.metrics, document.latencies
    return (document.summary.metrics, document.summary.latencies) if document.summary else ((), ())


def _measured(result: Result, result_id: str) -> Subject:
    load, plan, backend = result.load, result.plan, result.backend
    return Subject(
        result_id=result_id,
        kind=result.kind,
        status=result.status,
        verdict=result.verdict.standing if result.verdict else "none",
        marks=marks_of(result),
        reasons=warnings_of(result),
        tool=result.harness.name,
        tool_version=result.harness.version,
        started_at=result.run.started_at,
        load=load.name,
        load_version=str(load.version),
        model=load.model,
        family=load.family,
        precision=backend.precision_effective if backend else plan.precision,
        scenario=plan.scenario,
        weights=result.weights.origin if result.weights else None,
        batch=plan.batch,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        device=(backend.device_name if backend else None) or plan.device,
        devices=max(1, plan.tensor_parallel),
        processor=result.environment.cpu.model,
        engine=f"{backend.name}/{backend.engine}" if backend else plan.backend,
    )


def _imported(result: ImportedResult, result_id: str) -> Subject:
    work, system = result.work, result.system
    return Subject(
        result_id=result_id,
        kind=result.kind,
        status=result.status,
        verdict=result.verdict.standing,
        marks=marks_of(result),
        reasons=warnings_of(result),
        tool=result.source.tool,
        tool_version=result.source.version,
        started_at=result.measured_at,
        load=None,
        load_version=None,
        model=work.model,
        family=None,
        precision=work.precision,
        scenario=work.scenario,
        weights=None,
        batch=None,
        input_tokens=_each(work.input_tokens, work.requests),
        output_tokens=_each(work.output_tokens, work.requests),
        device=system.accelerator or system.processor,
        devices=system.n_devices,
        processor=system.processor,
        engine=system.software,
    )


def _each(total: int | None, requests: int | None) -> float | None:
    return None if total is None or not requests else total / requests


def _metric_figure(metric: Metric) -> ExportedFigure:
    n = len(metric.samples)
    interval = metric.interval
    return ExportedFigure(
        name=metric.name,
        unit=metric.unit,
        statistic="median" if n > 1 else "single",
        value=metric.value,
        reason=metric.reason,
        count=n,
        samples=metric.samples,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        level=interval.level if interval else None,
        spread=metric.spread,
        scope=metric.scope,
        boundary=metric.boundary,
        method=metric.method,
        u_absolute_rel=metric.u_absolute_rel,
        u_comparison_rel=metric.u_comparison_rel,
    )


def _latency_figures(latency: QuantileMetric) -> Iterator[ExportedFigure]:
    yield _latency_figure(latency, "mean", latency.mean)
    for point in latency.quantiles:
        percentile = f"p{100 * point.q:.6g}"
        yield _latency_figure(latency, percentile, point.value)
        if point.bound is not None:
            yield _latency_figure(latency, f"{percentile}_bound", point.bound)


def _latency_figure(latency: QuantileMetric, statistic: str, value: float | None) -> ExportedFigure:
    return ExportedFigure(
        name=latency.name,
        unit=latency.unit,
        statistic=statistic,
        value=value,
        reason=latency.reason,
        count=latency.count,
        samples=() if value is None else (value,),
        low=None,
        high=None,
        level=None,
        spread=None,
        scope=None,
        boundary=None,
        method=latency.method,
        u_absolute_rel=None,
        u_comparison_rel=None,
    )
