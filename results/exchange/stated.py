"""What a file of another tool states of one run, in our names and units; unknown is None with the reason."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from wattbench.results.doubts import Doubt, Severity
from wattbench.results.imported import OfficialFigure, StatedSystem, StatedWork
from wattbench.results.metrics import Metric, Quantile, QuantileMetric

__all__ = [
    "BOARDS",
    "BURST",
    "CLOSED",
    "OPEN",
    "StatedPower",
    "StatedRun",
    "as_stated",
    "figure_of",
    "instant_of",
    "latency_of",
    "no_stated_power",
    "ordered",
    "power_figures",
    "rate_figures",
    "run_doubts",
    "unstated_system",
]

BOARDS = "the accelerators' boards, added up; not: hosts, memory, network, power supplies, cooling"
"""What tools see that read NVML, DCGM or AMD SMI."""

BURST, CLOSED, OPEN = "burst", "closed loop", "open loop"
"""All requests at once; a fixed number in flight; arrivals by a plan that does not wait for answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRun:
    """One run as its tool states it. `entry` tells it from the others of its file, "" where it is the only one.

    `power_reason` says why there is no power, or no samples of it.
    """

    entry: str
    tool: str
    format: str
    version: str | None
    session: str | None
    status: Literal["complete", "partial"]
    started_at: str | None
    duration_s: float | None
    system: StatedSystem
    work: StatedWork
    official: tuple[OfficialFigure, ...]
    metrics: tuple[Metric, ...]
    latencies: tuple[QuantileMetric, ...]
    power_reason: str
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedPower:
    """Totals of power that a tool states, in W and J; `method` says how it has them, `reason` why one is None."""

    mean_w: float | None
    energy_j: float | None
    per_request_j: float | None
    per_input_token_j: float | None
    per_output_token_j: float | None
    method: str
    reason: str


def as_stated(tool: str, field: str, conversion: str = "") -> str:
    """Return the method of a figure that is taken as it stands."""
    return f"`{field}` as {tool} states it{f', {conversion}' if conversion else ''}"


def figure_of(
    name: str,
    unit: str,
    value: float | None,
    method: str,
    reason: str,
    *,
    scope: str | None = None,
    boundary: str | None = None,
) -> Metric:
    """Return a metric of one stated value; its uncertainty, interval and spread are unknown."""
    return Metric(
        name=name,
        unit=unit,
        value=value,
        reason=reason if value is None else None,
        method=method,
        interval=None,
        spread=None,
        samples=() if value is None else (value,),
        scope=scope,
        boundary=boundary,
        u_absolute_rel=None,
        u_comparison_rel=None,
    )


def instant_of(stated: str | float | None) -> str | None:
    """Return an instant in UTC, ISO 8601, from one with a zone or from seconds since 1970; None where it is no such.

    A local time without a zone is no instant: it may be hours away.
    """
    try:
        if isinstance(stated, str):
            moment = datetime.fromisoformat(stated)
        elif stated:
            moment = datetime.fromtimestamp(stated, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC).isoformat()


RATES = (
    ("throughput.requests", "{request}/s"),
    ("throughput.input_tokens", "{token}/s"),
    ("throughput.output_tokens", "{token}/s"),
    ("throughput.total_tokens", "{token}/s"),
)


def rate_figures(tool: str, rates: Mapping[str, tuple[float | None, str]]) -> tuple[Metric, ...]:
    """Return throughput.* from (rate in 1/s, method) by the name's last part; those that are not given are unknown."""
    found = []
    for name, unit in RATES:
        value, method = rates.get(name.partition(".")[2], (None, "not stated"))
        found.append(figure_of(name, unit, value, method, f"{tool} states no such rate"))
    return tuple(found)


def latency_of(
    name: str,
    *,
    mean_s: float | None,
    quantiles_s: Mapping[float, float | None],
    count: int | None,
    method: str,
    reason: str,
) -> QuantileMetric:
    """Return a distribution of latencies; without a mean it is unknown, for `reason`."""
    known = tuple(Quantile(q=q, value=value, bound=None) for q, value in quantiles_s.items() if value is not None)
    return QuantileMetric(
        name=name,
        unit="s",
        count=count if mean_s is not None else None,
        mean=mean_s,
        quantiles=known if mean_s is not None else (),
        method=method,
        reason=reason if mean_s is None else None,
    )


def no_stated_power(reason: str) -> StatedPower:
    """Return a power of which nothing is known, for a reason."""
    return StatedPower(
        mean_w=None,
        energy_j=None,
        per_request_j=None,
        per_input_token_j=None,
        per_output_token_j=None,
        method="not used",
        reason=reason,
    )


def power_figures(
    power: StatedPower, requests_per_s: float | None, output_tokens_per_s: float | None
) -> tuple[Metric, ...]:
    """Return power.*, energy.* and efficiency.* at the accelerators' boards from totals that a tool states."""
    return tuple(_power(power, requests_per_s, output_tokens_per_s))


def _power(power: StatedPower, requests_per_s: float | None, tokens_per_s: float | None) -> Iterator[Metric]:
    reason, method = power.reason, power.method
    values = (
        ("power.mean", "W", power.mean_w),
        ("energy.total", "J", power.energy_j),
        ("energy.per_request", "J/{request}", power.per_request_j),
        ("energy.per_input_token", "J/{token}", power.per_input_token_j),
        ("energy.per_output_token", "J/{token}", power.per_output_token_j),
    )
    known = any(value is not None for _, _, value in values)
    scope, boundary = ("board", BOARDS) if known else (None, None)
    for name, unit, value in values:
        yield figure_of(name, unit, value, method, reason, scope=scope, boundary=boundary)
    yield figure_of(
        "power.idle", "W", None, "not measured", f"{reason}; idle power is not stated", scope=scope, boundary=boundary
    )
    rates = (
        ("efficiency.tokens_per_j", "{token}/J", tokens_per_s),
        ("efficiency.requests_per_j", "{request}/J", requests_per_s),
    )
    for name, unit, rate in rates:
        value = rate / power.mean_w if rate is not None and power.mean_w else None
        how = f"stated throughput / mean power; {method}"
        yield figure_of(name, unit, value, how, reason, scope=scope, boundary=boundary)


def run_doubts(tool: str, work: StatedWork, *, powered: bool, reason: str, planned: str | None) -> tuple[Doubt, ...]:
    """Return the doubts that every file of stated figures raises, the severe ones first.

    `planned` says how its latencies count, where that is not from the planned start.
    """
    return ordered(_doubts(tool, work, powered, reason, planned))


def _doubts(tool: str, work: StatedWork, powered: bool, reason: str, planned: str | None) -> Iterator[Doubt]:
    if work.failed_requests:
        of = f" of {work.requests + work.failed_requests}" if work.requests is not None else ""
        yield _doubt("failed_requests", "severe", f"{work.failed_requests}{of} requests failed", "Measure again.")
    facts = f"{tool} keeps no record that its figures could be computed from again"
    yield _doubt("stated_only", "doubt", facts, "Quote them as its own, or measure with `bench run`.")
    yield _doubt("few_repeats", "note", "one run: the spread between runs is unknown", "Import further runs beside it.")
    if powered:
        facts = "accelerators' boards alone: hosts, network and supplies are not in the watts"
        yield _doubt("unmeasured_scope", "note", facts, "Compare it with results of the same scope.")
        facts = f"{tool} states no uncertainty of its power"
        yield _doubt("meter_uncertainty", "note", facts, "Take it as unknown, not as small.")
    else:
        yield _doubt("unmeasured_scope", "note", reason, "A meter's recording cannot be attached to an import.")
    if planned is not None:
        severity: Severity = "doubt" if work.scenario == OPEN else "note"
        yield _doubt("latency_from_send", severity, planned, "Do not compare its tails with latencies from a plan.")


def ordered(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """Return doubts with the severe ones first."""
    order: dict[Severity, int] = {"severe": 0, "doubt": 1, "note": 2}
    return tuple(sorted(doubts, key=lambda doubt: order[doubt.severity]))


def _doubt(code: str, severity: Severity, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity=severity, facts=facts, advice=advice)


def unstated_system(software: str | None) -> StatedSystem:
    """Return the machine behind a server, of which the tool knows nothing but perhaps the software."""
    return StatedSystem(
        name=None,
        submitter=None,
        division=None,
        accelerator=None,
        accelerators=None,
        processor=None,
        processors=None,
        nodes=None,
        meter=None,
        basis="nothing states it",
        software=software,
    )
