"""From a document to its rows: a pure function of the document, its log entry and what the store says about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from wattbench.results.document import Result
from wattbench.results.energy import DIGEST
from wattbench.results.identity.classes import class_text, hardware_classes
from wattbench.results.identity.comparability import NO_SCOPE, comparability_fields, comparability_key, scopes_of
from wattbench.results.identity.facts import fingerprint_of
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.index.row import IndexRow
from wattbench.results.latency import latency_metrics
from wattbench.results.metrics import Interval, Metric, QuantileMetric
from wattbench.results.stats import median, median_interval

__all__ = ["REASONS", "Facts", "Logged", "row_of", "rows_of", "unreadable_row"]

REASONS = {
    "unreadable": "the document cannot be read by this wattbench; `problem` says why",
    "imported": "another tool measured it, by rules of its own",
    "derived": "it was computed from another document",
    "unfinished": "the run did not finish",
    "invalid": "its verdict is invalid",
    "mock": "the backend is a mock: its figures are made up",
    "emulated": "the device was emulated",
    "replayed": "its power comes from a recording",
    "modelled": "its power is a model's estimate",
    "unmapped": "the vendor database does not know the device, so its class cannot be told",
    "inconsistent": "its figures do not follow from its raw data",
    "unverifiable": "its raw data is missing, so its figures could not be computed again",
    "low_coverage": "samples of power cover too little of a window",
    "withdrawn": "a note withdraws it",
}
"""Why a row is in no ranking, by code; `standing` and notes may add codes of the verification."""

DOUBT_REASONS = {"mock": "mock", "emulated": "emulated", "replayed_power": "replayed", "modelled_power": "modelled"}

THROUGHPUTS = (("output", "throughput.output_tokens"), ("input", "throughput.input_tokens"))
"""What tokens/s counts: tokens out, or tokens in of loads that have none out."""

MEDIAN, TAIL = 0.5, 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What the log says of a document: its id, when it was logged (UTC, ISO 8601), by whom, how large it is."""

    id: str
    at: str
    uploader: str | None = None
    size_bytes: int | None = None
    schema: str | None = None
    kind: str | None = None
    withdrawal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a document beside itself: its verification, its tier of trust, and its notes.

    `reasons` are codes of the verification that keep it out of rankings.
    """

    standing: str = "unchecked"
    tier: str = "self-reported"
    reasons: tuple[str, ...] = ()
    withdrawn: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """A median with the ends of its interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def row_of(document: Document, logged: Logged, facts: Facts) -> IndexRow:
    """Return the row of a document at its own scope."""
    return rows_of(document, logged, facts)[0]


def rows_of(document: Document, logged: Logged, facts: Facts) -> tuple[IndexRow, ...]:
    """Return one row for each scope of power that the document has, its own first."""
    scopes = scopes_of(document)
    common = _imported(document) if isinstance(document, ImportedResult) else _measured(document)
    classes = hardware_classes(document)
    reasons = _reasons(document, facts, mapped=all(each.mapped for each in classes))
    counts = [each.count for each in classes]
    whole = replace(
        common,
        id=logged.id,
        logged_at=logged.at,
        uploader=logged.uploader,
        size_bytes=logged.size_bytes,
        class_id=" + ".join(each.class_id for each in classes),
        hardware=class_text(classes),
        devices=None if None in counts else sum(count for count in counts if count is not None),
        fingerprint=fingerprint_of(document),
        doubts=_joined(doubt.code for doubt in document.doubts),
        tier=facts.tier,
        standing=facts.standing,
        rankable=not reasons,
        reasons=_joined(reasons),
        withdrawn=facts.withdrawn,
        disputed=facts.disputed,
    )
    return tuple(_at(whole, document, scope, primary=scope == scopes[0]) for scope in scopes)


def unreadable_row(logged: Logged, facts: Facts, problem: str) -> IndexRow:
    """Return the row of a document that is in the log and cannot be read: it is shown with the reason, never lost."""
    return IndexRow(
        id=logged.id,
        scope=NO_SCOPE,
        primary_scope=True,
        schema=logged.schema,
        kind=logged.kind,
        status=None,
        problem=problem,
        started_at=None,
        time_us=_microseconds(logged.at),
        logged_at=logged.at,
        uploader=logged.uploader,
        size_bytes=logged.size_bytes,
        harness_version=None,
        tier=facts.tier,
        standing=facts.standing,
        reasons=_joined(("unreadable", *facts.reasons)),
        withdrawn=facts.withdrawn,
        disputed=facts.disputed,
    )


def _measured(result: Result) -> IndexRow:
    backend, plan, summary = result.backend, result.plan, result.summary
    row = replace(
        _blank(result),
        started_at=result.run.started_at,
        time_us=_microseconds(result.run.started_at),
        batch=plan.batch,
        slots=plan.slots,
        parallelism=plan.tensor_parallel,
        backend=backend.name if backend is not None else plan.backend,
        engine=backend.engine if backend is not None else None,
        tuning=backend.tuning if backend is not None else plan.tuning,
        device=(backend.device_name if backend is not None else None) or plan.device,
        repeats=len(result.repeats),
        requests=summary.requests if summary is not None else None,
    )
    if summary is None:
        return row
    latencies = [latency_metrics(result.load, (repeat,)) for repeat in result.repeats]
    ttft, tpot = (_median_of(latencies, name) for name in ("latency.ttft", "latency.tpot"))
    return replace(
        _with_latencies(_with_rates(row, summary.metrics), summary.latencies),
        ttft_p50_s_low=ttft.low,
        ttft_p50_s_high=ttft.high,
        tpot_p50_s_low=tpot.low,
        tpot_p50_s_high=tpot.high,
    )


def _imported(document: ImportedResult) -> IndexRow:
    origin = document.clock.origin_utc if document.clock is not None else None
    row = replace(
        _blank(document),
        started_at=origin,
        time_us=_microseconds(origin),
        backend=document.source.tool,
        engine=document.source.version,
        device=document.system.accelerator or document.system.processor,
        requests=document.work.requests,
    )
    return _with_latencies(_with_rates(row, document.metrics), document.latencies)


def _blank(document: Document) -> IndexRow:
    """Return a row with what both kinds of documents say of themselves and of what ran."""
    fields = {name: None if value is None else str(value) for name, value in comparability_fields(document).items()}
    return IndexRow(
        id="",
        scope=NO_SCOPE,
        primary_scope=False,
        schema=document.schema,
        kind=document.kind,
        status=document.status,
        problem=None,
        started_at=None,
        time_us=None,
        logged_at=None,
        uploader=None,
        size_bytes=None,
        harness_version=document.harness.version,
        load=fields["load"],
        load_version=fields["load_version"],
        load_digest=_digest(fields["load_digest"]),
        model=fields["model"],
        precision=fields["precision"],
        compute_precision=fields["compute_precision"],
        weights=fields["weights"],
        scenario=fields["scenario"],
        verdict=document.verdict.standing if document.verdict is not None else None,
    )


def _with_rates(row: IndexRow, metrics: Sequence[Metric]) -> IndexRow:
    requests = _rate(_metric(metrics, "throughput.requests"))
    counted = [(word, _rate(_metric(metrics, name))) for word, name in THROUGHPUTS]
    tokens, rate = next(((word, rate) for word, rate in counted if rate.value is not None), (None, _Rate()))
    return replace(
        row,
        requests_per_s=requests.value,
        requests_per_s_low=requests.low,
        requests_per_s_high=requests.high,
        tokens=tokens,
        tokens_per_s=rate.value,
        tokens_per_s_low=rate.low,
        tokens_per_s_high=rate.high,
    )


def _with_latencies(row: IndexRow, latencies: Sequence[QuantileMetric]) -> IndexRow:
    request, ttft, tpot = (
        next((each for each in latencies if each.name == name), None)
        for name in ("latency.request", "latency.ttft", "latency.tpot")
    )
    return replace(
        row,
        latency_p50_s=_quantile(request, MEDIAN)[0],
        latency_p99_s=_quantile(request, TAIL)[0],
        latency_p99_bound_s=_quantile(request, TAIL)[1],
        ttft_p50_s=_quantile(ttft, MEDIAN)[0],
        ttft_p99_s=_quantile(ttft, TAIL)[0],
        ttft_p99_bound_s=_quantile(ttft, TAIL)[1],
        tpot_p50_s=_quantile(tpot, MEDIAN)[0],
        tpot_p99_s=_quantile(tpot, TAIL)[0],
        tpot_p99_bound_s=_quantile(tpot, TAIL)[1],
    )


def _at(row: IndexRow, document: Document, scope: str, *, primary: bool) -> IndexRow:
    """Return the row at one scope: its energies, and the key under which it is compared."""
    summary = document.summary if isinstance(document, Result) else None
    metrics = document.metrics if isinstance(document, ImportedResult) else summary.metrics if summary else ()
    efficiency = _metric(metrics, "efficiency.tokens_per_j", scope)
    per_joule, per_request = _rate(efficiency), _rate(_metric(metrics, "energy.per_request", scope))
    power = _metric(metrics, "power.mean", scope)
    mean = _rate(power)
    return replace(
        row,
        scope=scope,
        primary_scope=primary,
        comparability_key=comparability_key(comparability_fields(document, scope)),
        boundary=power.boundary if power is not None else None,
        tokens_per_j=per_joule.value,
        tokens_per_j_low=per_joule.low,
        tokens_per_j_high=per_joule.high,
        u_tokens_per_j_rel=efficiency.u_absolute_rel if efficiency is not None else None,
        energy_per_request_j=per_request.value,
        energy_per_request_j_low=per_request.low,
        energy_per_request_j_high=per_request.high,
        power_w=mean.value,
        power_w_low=mean.low,
        power_w_high=mean.high,
    )


def _reasons(document: Document, facts: Facts, *, mapped: bool) -> list[str]:
    codes = {DOUBT_REASONS[doubt.code] for doubt in document.doubts if doubt.code in DOUBT_REASONS}
    backend = document.backend if isinstance(document, Result) else None
    verdict = document.verdict
    found = {
        "imported": document.kind == "imported",
        "derived": document.kind == "derived",
        "unfinished": document.status != "complete",
        "invalid": verdict is not None and verdict.standing == "invalid",
        "mock": "mock" in codes or (backend is not None and backend.mock),
        "emulated": "emulated" in codes or (backend is not None and backend.emulated),
        "replayed": "replayed" in codes,
        "modelled": "modelled" in codes,
        "unmapped": not mapped,
        "inconsistent": facts.standing == "inconsistent",
        "withdrawn": facts.withdrawn,
    }
    own = [code for code in REASONS if found.get(code, False)]
    return [*own, *(code for code in facts.reasons if code not in own)]


def _metric(metrics: Sequence[Metric], name: str, scope: str | None = None) -> Metric | None:
    return next((m for m in metrics if m.name == name and (scope is None or m.scope == scope)), None)


def _rate(metric: Metric | None) -> _Rate:
    return _Rate() if metric is None else _spanned(metric.value, metric.interval)


def _spanned(value: float | None, interval: Interval | None) -> _Rate:
    return _Rate(value=value, low=interval.low if interval else None, high=interval.high if interval else None)


def _median_of(repeats: Sequence[Sequence[QuantileMetric]], name: str) -> _Rate:
    """Return the median over the repeats' own medians, with its interval."""
    found = [_quantile(next(m for m in each if m.name == name), MEDIAN)[0] for each in repeats]
    known = [value for value in found if value is not None]
    return _spanned(median(known), median_interval(known)) if known else _Rate()


def _quantile(latency: QuantileMetric | None, q: float) -> tuple[float | None, float | None]:
    found = next((each for each in latency.quantiles if each.q == q), None) if latency is not None else None
    return (None, None) if found is None else (found.value, found.bound)


def _microseconds(text: str | None) -> int | None:
    """Return an instant as microseconds since 1970, or None for what is none (a document may say anything)."""
    try:
        at = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    if at is None:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    elapsed = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def _digest(text: str | None) -> str | None:
    """Return a digest, or None for what is none: a document may say anything."""
    return text if text is not None and DIGEST.fullmatch(text) else None


def _joined(codes: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(codes))
