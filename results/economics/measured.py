"""What the cost model takes from a measured result: rates, lengths, phases and watts, with their uncertainty."""

from dataclasses import dataclass

from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.metrics import Metric, Summary
from wattbench.results.stats import standard_uncertainty

__all__ = ["Measured", "MeasuredPower", "Quantity", "measured_of"]

WALL_SCOPES = ("wall", "node")
"""Scopes that see the whole machine; all others see a part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A value with its relative standard uncertainty (k=1), None where nothing states it."""

    value: float
    u_rel: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPower:
    """Mean power at work of one rung in W, at rest where it was measured, and what the rung sees."""

    scope: str
    boundary: str
    active: Quantity
    idle_w: float | None

    @property
    def whole_machine(self) -> bool:
        """Return whether the rung sees everything behind the machine's plug."""
        return self.scope in WALL_SCOPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one result. Token counts are per query; `prefill_share` is prefill's part of the busy time.

    `success_share` is the part of all queries that did not fail. `powers` go from the narrowest boundary to the widest;
    `warnings` say in words what is wrong with the result.
    """

    result_id: str
    load: str
    precision: str
    device: str
    queries_per_s: Quantity
    input_tokens: float
    output_tokens: float
    prefill_share: float | None
    success_share: float
    powers: tuple[MeasuredPower, ...]
    no_power_reason: str | None
    warnings: tuple[str, ...]


def measured_of(result: Result, result_id: str, *, allow_invalid: bool = False) -> Measured:
    """Return what the cost model needs of a result.

    Raises DocumentError for one that has no throughput, and, unless `allow_invalid`, for an invalid, mock, emulated or
    replayed one; what was allowed is in `warnings`.
    """
    warnings = _warnings(result)
    if warnings and not allow_invalid:
        raise DocumentError(
            "No cost is computed from this result",
            "; ".join(warnings),
            "Measure again, or use --allow-invalid: every output then says so.",
        )
    summary = result.summary
    rate = summary.metric("throughput.requests") if summary else None
    if summary is None or rate is None or rate.value is None or rate.value <= 0:
        why = (rate.reason if rate else None) or f"the run is {result.status}"
        raise DocumentError("This result has no throughput, so it has no cost per query", why, "Measure again.")
    requests = max(1, summary.requests)
    return Measured(
        result_id=result_id,
        load=result.load.name,
        precision=result.plan.precision,
        device=(result.backend.device_name if result.backend else None) or result.plan.device,
        queries_per_s=_quantity(rate),
        input_tokens=_ratio(summary, "throughput.input_tokens", rate.value),
        output_tokens=_ratio(summary, "throughput.output_tokens", rate.value),
        prefill_share=_prefill_share(summary),
        success_share=1 - summary.failed_requests / requests,
        powers=_powers(summary),
        no_power_reason=result.power.unavailable_reason,
        warnings=warnings,
    )


def _warnings(result: Result) -> tuple[str, ...]:
    """Return why no money should be computed from a result: its severe doubts in words."""
    severe = [f"{doubt.code}: {doubt.facts}" for doubt in result.doubts if doubt.severity == "severe"]
    if result.status != "complete":
        severe.insert(0, f"the run is {result.status}")
    return tuple(severe)


def _quantity(metric: Metric) -> Quantity:
    assert metric.value is not None
    if metric.interval is None:
        return Quantity(value=metric.value, u_rel=None)
    return Quantity(value=metric.value, u_rel=standard_uncertainty(metric.interval) / metric.value)


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


def _powers(summary: Summary) -> tuple[MeasuredPower, ...]:
    """Return every rung with a mean power, the widest boundary last."""
    found = []
    for metric in summary.metrics:
        if metric.name != "power.mean" or metric.value is None or metric.scope is None:
            continue
        idle = next((m for m in summary.metrics if (m.name, m.scope) == ("power.idle", metric.scope)), None)
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
