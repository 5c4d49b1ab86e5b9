"""Measured against published MLPerf results of the same model and scenario, by MLCommons' rules of messaging."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wattbench.results.compare_models import same_model, same_scenario
from wattbench.results.document import Result
from wattbench.results.errors import UsageError
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.vendor.mlperf import PublishedFigure
from wattbench.results.vendor.records import Stated

__all__ = ["RULES", "MlperfRow", "compare_mlperf", "efficiency_with"]

RULES = (
    "published figures are MLPerf(R) Inference results: cite each with round, division, id and date of retrieval",
    "the measured figures are unverified: Result not verified by MLCommons Association",
    "performance per watt only where the submission measured its own system's power at the wall: no TDP, rated or"
    " supply power takes its place",
    "figures per accelerator are derived and no metric of MLPerf; results of the closed and the open division are not"
    " to be compared with each other",
)
"""MLCommons' Messaging Guidelines (section 10 for power), in our words; docs/compare.md says more."""

RATES = {"token_throughput": "throughput.output_tokens", "throughput": "throughput.requests"}
LATENCY = "latency.request"
LATENCY_QUANTILE = 0.9
WHOLE = ("wall", "node")


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfRow:
    """A published figure beside the measured one of the same model and scenario, in `unit`.

    `ratio` is measured / published of the whole systems, `ratio_per_accelerator` (of rates) that of one device of each.
    `efficiency_*` are in `efficiency_unit` (a rate a watt, or requests a joule): the published one of the submission's
    own power at the wall, the measured one where the whole machine was measured. `reasons` say what is missing,
    `differs` what is not the same.
    """

    citation: str
    submitter: str
    system: str
    accelerator: str | None
    accelerators: int | None
    metric: str
    unit: str
    measured: float
    published: float
    ratio: float
    ratio_per_accelerator: float | None
    efficiency_measured: float | None
    efficiency_published: float | None
    efficiency_unit: str | None
    reasons: tuple[str, ...]
    differs: tuple[str, ...]


def compare_mlperf(document: Document, published: Iterable[PublishedFigure]) -> tuple[MlperfRow, ...]:
    """Return the published figures of a document's model and scenario beside its own.

    Raises UsageError where the document names no model, or nothing is published of its model and scenario.
    """
    model, scenario = _model(document), _scenario(document)
    rows = tuple(published)
    of_model = [figure for figure in rows if same_model(figure.model, model)]
    found = [figure for figure in of_model if same_scenario(figure.scenario, scenario)]
    if not found:
        has = sorted({figure.scenario for figure in of_model})
        why = f"its scenarios are {', '.join(has)}" if has else f"the models are {', '.join(_models(rows))}"
        what = f"No MLPerf result is stored for {model} in scenario {scenario}"
        raise UsageError(what, why, "Measure one of these, or compare with --claims.")
    return tuple(row for figure in found if (row := _row(document, figure)) is not None)


def efficiency_with(figure: PublishedFigure, power: float | Stated) -> float:
    """Return a published throughput over a power in W.

    Raises UsageError for any but the wall power of the same submission: MLCommons allows no other.
    """
    if isinstance(power, Stated) or figure.wall_power_w is None or power != figure.wall_power_w:
        what = f"{figure.citation}: its throughput is not divided by this power"
        why = "a nameplate" if isinstance(power, Stated) else "a power of another run"
        remedy = "Performance per watt is formed from the submission's own wall power alone (docs/compare.md)."
        raise UsageError(what, f"{why} is no measured power of this submission", remedy)
    return figure.value / figure.wall_power_w


def _models(published: Iterable[PublishedFigure]) -> list[str]:
    return sorted({figure.model for figure in published})


def _model(document: Document) -> str:
    model = document.work.model if isinstance(document, ImportedResult) else document.load.model
    if not model:
        raise UsageError("The model of this result is not stated", "its import did not name it", "Import with --model.")
    return model


def _scenario(document: Document) -> str:
    return document.work.scenario if isinstance(document, ImportedResult) else document.plan.scenario


def _row(document: Document, figure: PublishedFigure) -> MlperfRow | None:
    """Return the row of one published figure; None where the document has nothing of its kind."""
    measured = _measured(document, figure)
    if measured is None:
        return None
    is_rate = figure.metric in RATES
    own = _devices(document)
    per = None
    if is_rate and own and figure.accelerators:
        per = (measured / own) / (figure.value / figure.accelerators)
    efficiency, why = _efficiency(document, figure)
    reasons = [why] if why else []
    if figure.wall_power_w is None:
        reasons.append("no power was published with it, so there is no performance per watt")
    return MlperfRow(
        citation=figure.citation,
        submitter=figure.submitter,
        system=figure.system,
        accelerator=figure.accelerator,
        accelerators=figure.accelerators,
        metric=figure.metric,
        unit=figure.unit,
        measured=measured,
        published=figure.value,
        ratio=measured / figure.value,
        ratio_per_accelerator=per,
        efficiency_measured=efficiency,
        efficiency_published=figure.efficiency,
        efficiency_unit=f"{figure.unit}/W" if is_rate else "samples/J",
        reasons=tuple(reasons),
        differs=tuple(_differs(document, figure)),
    )


def _measured(document: Document, figure: PublishedFigure) -> float | None:
    name = RATES.get(figure.metric)
    if name is not None:
        metric = _metric(document, name)
        return metric.value if metric is not None and metric.value else None
    if figure.metric != "p90_latency":
        return None
    latency = next((each for each in _latencies(document) if each.name == LATENCY), None)
    quantiles = latency.quantiles if latency is not None else ()
    return next((q.value for q in quantiles if q.q == LATENCY_QUANTILE and q.value > 0), None)


def _efficiency(document: Document, figure: PublishedFigure) -> tuple[float | None, str]:
    """Return the measured performance per watt of the whole machine, or None and why there is none.

    Of a latency that is requests a joule, as MLPerf has it.
    """
    rate = _metric(document, RATES.get(figure.metric, "throughput.requests"))
    powers = [m for m in _all_metrics(document) if m.name == "power.mean" and m.value]
    whole = next((m.value for m in powers if m.scope in WHOLE), None)
    if whole is not None and rate is not None and rate.value is not None:
        return rate.value / whole, ""
    if figure.wall_power_w is None:
        return None, ""
    scopes = ", ".join(dict.fromkeys(m.scope for m in powers if m.scope)) or "no power"
    return None, f"the result has {scopes}, and MLPerf's power is that of the whole system at the wall"


def _differs(document: Document, figure: PublishedFigure) -> Iterator[str]:
    if isinstance(document, Result):
        load = document.load
        yield f"requests: {load.input_tokens} in, {load.output_tokens} out each; MLPerf's are its data set's"
        if document.weights is None or document.weights.origin != "real":
            yield "weights: synthetic; MLPerf's are the model's, with an accuracy to reach"
        precision = document.backend.precision_effective if document.backend else document.plan.precision
        yield f"precision: {precision}; published with {figure.weight_data_types or 'not stated'}"
    if figure.inferred:
        yield "the published figure is inferred from another scenario"
    own = _devices(document)
    if own != figure.accelerators and (own or figure.accelerators):
        yield f"devices: {own or 'not stated'}; published with {figure.accelerators or 'not stated'}"


def _devices(document: Document) -> int | None:
    return document.system.n_devices if isinstance(document, ImportedResult) else 1


def _metric(document: Document, name: str) -> Metric | None:
    return next((m for m in _all_metrics(document) if m.name == name), None)


def _all_metrics(document: Document) -> tuple[Metric, ...]:
    if isinstance(document, ImportedResult):
        return document.metrics
    return document.summary.metrics if document.summary else ()


def _latencies(document: Document) -> tuple[QuantileMetric, ...]:
    if isinstance(document, ImportedResult):
        return document.latencies
    return document.summary.latencies if document.summary else ()
