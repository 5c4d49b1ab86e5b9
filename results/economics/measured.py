"""What the cost model takes from a result, measured here or imported: rates, lengths, phases and watts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wattbench.results.document import Result
from wattbench.results.doubts import Doubt
from wattbench.results.energy import provenance_by_scope
from wattbench.results.errors import DocumentError
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.metrics import Metric, QuantileMetric, Summary
from wattbench.results.stats import standard_uncertainty

__all__ = ["LatencyQuantile", "Measured", "MeasuredPower", "Quantity", "measured_of"]

WALL_SCOPES = ("wall", "node")
"""Scopes that see the whole machine; all others see a part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A value with its relative standard uncertainty (k=1), None where nothing states it."""

    value: float
    u_rel: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPower:
    """Mean power at work of one rung in W, at rest where it was measured, and what the rung sees.

    `provenance` is "declared" where the watts were not measured in the run but stated or modelled.
    """

    scope: str
    boundary: str
    active: Quantity
    idle_w: float | None
    provenance: Literal["measured", "declared"] = "measured"

    @property
    def whole_machine(self) -> bool:
        """Return whether the rung sees everything behind the machine's plug."""
        return self.scope in WALL_SCOPES


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyQuantile:
    """One quantile of a latency in s: the bound that is 99 % sure where there is one, else the empirical value."""

    name: str
    q: float
    value_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one result. Token counts are per query, None where an imported result does not state them.

    `prefill_share` is prefill's part of the busy time, None where the phases are not known apart. `success_share` is
    the part of all queries that did not fail. `powers` go from the narrowest boundary to the widest; `warnings` say
    what is wrong with the result, `notes` what it does not state. `measured_at` is when it began (UTC, ISO 8601).
    """

    result_id: str
    load: str
    precision: str
    device: str
    queries_per_s: Quantity
    input_tokens: float | None
    output_tokens: float | None
    prefill_share: float | None
    success_share: float
    powers: tuple[MeasuredPower, ...]
    no_power_reason: str | None
    warnings: tuple[str, ...]
    load_digest: str | None = None
    latencies: tuple[LatencyQuantile, ...] = ()
    notes: tuple[str, ...] = ()
    measured_at: str | None = None


def measured_of(result: Document, result_id: str, *, allow_invalid: bool = False) -> Measured:
    """Return what the cost model needs of a result.

    Raises DocumentError for one that has no throughput, and, unless `allow_invalid`, for an invalid, mock, emulated or
    replayed one; what was allowed is in `warnings`.
    """
    warnings = _warnings(result.doubts, result.status)
    if warnings and not allow_invalid:
        raise DocumentError(
            "No cost is computed from this result",
            "; ".join(warnings),
            "Measure again, or use --allow-invalid: every output then says so.",
        )
    if isinstance(result, ImportedResult):
        return _of_imported(result, result_id, warnings)
    return _of_run(result, result_id, warnings)


def _of_run(result: Result, result_id: str, warnings: tuple[str, ...]) -> Measured:
    summary = result.summary
    rate = _rate(summary.metric("throughput.requests") if summary else None, result.status)
    assert summary is not None, "a rate stands in a summary"
    return Measured(
        result_id=result_id,
        load=result.load.name,
        precision=result.plan.precision,
        device=(result.backend.device_name if result.backend else None) or result.plan.device,
        queries_per_s=rate,
        input_tokens=_ratio(summary, "throughput.input_tokens", rate.value),
        output_tokens=_ratio(summary, "throughput.output_tokens", rate.value),
        prefill_share=_prefill_share(summary),
        success_share=1 - summary.failed_requests / max(1, summary.requests),
        powers=_with_provenance(_powers(summary.metrics), result),
        no_power_reason=result.power.unavailable_reason,
        warnings=warnings,
        load_digest=result.load.digest,
        latencies=_quantiles(summary.latencies),
        measured_at=result.run.started_at,
    )


def _of_imported(result: ImportedResult, result_id: str, warnings: tuple[str, ...]) -> Measured:
    rate = _rate(result.metric("throughput.requests"), result.status)
    tokens = {kind: _tokens(result, f"throughput.{kind}_tokens", rate) for kind in ("input", "output")}
    powers = _powers(result.metrics)
    power = result.metric("power.mean")
    reason = result.power.unavailable_reason or (power.reason if power else "the import has no power")
    return Measured(
        result_id=result_id,
        load=result.work.model or "model not stated",
        precision=result.work.precision or "precision not stated",
        device=result.system.name or "system not stated",
        queries_per_s=rate,
        input_tokens=tokens["input"],
        output_tokens=tokens["output"],
        prefill_share=None,
        success_share=_success_share(result),
        powers=powers,
        no_power_reason=None if powers else reason,
        warnings=warnings,
        latencies=_quantiles(result.latencies),
        notes=(_not_stated(result, tokens),),
        measured_at=result.measured_at,
    )


def _tokens(result: ImportedResult, name: str, rate: Quantity) -> float | None:
    """Return the tokens of a query, None where their rate is not stated."""
    metric = result.metric(name)
    return None if metric is None or metric.value is None else metric.value / rate.value


def _success_share(result: ImportedResult) -> float:
    """Return the part of all queries that did not fail; 1 where failures are not stated."""
    done, failed = result.work.requests, result.work.failed_requests
    return done / (done + failed) if done and failed else 1.0


def _not_stated(result: ImportedResult, tokens: Mapping[str, float | None]) -> str:
    missing = [f"no {kind} tokens" for kind, count in tokens.items() if count is None] + ["no phases"]
    if result.work.failed_requests is None:
        missing.append("no failed queries")
    text = ", ".join(missing[:-1]) + f" and {missing[-1]}" if len(missing) > 1 else missing[0]
    return f"imported from {result.source.tool}: it states {text}"


def _warnings(doubts: Iterable[Doubt], status: str) -> tuple[str, ...]:
    """Return why no money should be computed from a result: its severe doubts in words."""
    severe = [f"{doubt.code}: {doubt.facts}" for doubt in doubts if doubt.severity == "severe"]
    if status != "complete":
        severe.insert(0, f"the run is {status}")
    return tuple(severe)


def _rate(metric: Metric | None, status: str) -> Quantity:
    """Return the rate of successful queries. Raises DocumentError where there is none above zero."""
    if metric is None or metric.value is None or metric.value <= 0:
        why = (metric.reason if metric else None) or f"the run is {status}"
        raise DocumentError("This result has no throughput, so it has no cost per query", why, "Measure again.")
    if metric.interval is None:
        return Quantity(value=metric.value, u_rel=None)
    return Quantity(value=metric.value, u_rel=standard_uncertainty(metric.interval) / metric.value)


def _quantiles(latencies: Sequence[QuantileMetric]) -> tuple[LatencyQuantile, ...]:
    return tuple(
        LatencyQuantile(name=metric.name, q=point.q, value_s=max(point.value, point.bound or 0.0))
        for metric in latencies
        for point in metric.quantiles
    )


def _ratio(summary: Summary, name: str, requests_per_s: float) -> float:
    metric = summary.metric(name)
    return 0.0 if metric is None or metric.value is None else metric.value / requests_per_s


def _prefill_share(summary: Summary) -> float | None:
    """Return prefill's part of the time that executions took, from tokens and rates of both; None without phases."""
    names = ("throughput.prefill_tokens", "throughput.decode_tokens", "throughput.input_tokens")
    prefill, decode, taken = (m.value if (m := summary.metric(name)) else None for name in names)
    given, requests = (
        m.value if (m := summary.metric(name)) else None for name in ("throughput.output_tokens", "throughput.requests")
    )
    if not prefill or not decode or not taken or given is None or requests is None:
        return None
    prefill_s, decode_s = taken / prefill, (given - requests) / decode  # the first token belongs to prefill
    return prefill_s / (prefill_s + decode_s)


def _with_provenance(powers: Iterable[MeasuredPower], result: Result) -> tuple[MeasuredPower, ...]:
    """Return the rungs, those whose watts were not measured marked so."""
    origins = provenance_by_scope(result.power.channels)
    return tuple(
        replace(power, provenance="declared")
        if origins.get(power.scope.partition("+")[0]) in ("declared", "modelled")
        else power
        for power in powers
    )


def _powers(metrics: Sequence[Metric]) -> tuple[MeasuredPower, ...]:
    """Return every rung with a mean power, the widest boundary last."""
    found = []
    for metric in metrics:
        if metric.name != "power.mean" or metric.value is None or metric.scope is None:
            continue
        idle = next((m for m in metrics if (m.name, m.scope) == ("power.idle", metric.scope)), None)
        spread = None if metric.interval is None else standard_uncertainty(metric.interval) / metric.value
        terms = [u for u in (metric.u_absolute_rel, spread) if u is not None]
        u_rel = None if metric.u_absolute_rel is None else sum(u * u for u in terms) ** 0.5
        found.append(
            MeasuredPower(
                scope=metric.scope,
                boundary=metric.boundary or metric.scope,
                active=Quantity(value=metric.value, u_rel=u_rel),
                idle_w=idle.value if idle else None,
            )
        )
    return tuple(sorted(found, key=lambda power: power.whole_machine))
