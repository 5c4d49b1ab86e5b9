"""The cost of a query from one result: usage and reservation, input and output, money and energy, with uncertainty."""

import math
from dataclasses import dataclass

from wattbench.results.economics.efficiency import JOULES_PER_KWH
from wattbench.results.economics.hourly import Hourly, PowerRung, hourly_cost, power_rungs
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.prices import PhaseCost

__all__ = ["Money", "QueryCost", "RungEnergyPerQuery", "query_cost"]

MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in USD with its relative standard uncertainty (k=1), None where no part of it is stated."""

    usd: float
    u_rel: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEnergyPerQuery:
    """The energy of one query in J up to a rung; None with the rung's own words where it is absent."""

    rung: PowerRung
    energy_j: float | None
    queries_per_kwh: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCost:
    """What one successful query costs: while the machine is busy, and with its idle hours paid.

    `phases` splits the usage cost by measured prefill and decode time (None: the load has one phase, which is all
    input); prices are in USD per million tokens, None for a load without tokens of that kind. `reservation` is None
    where utilisation was not given, and `reservation_reason` says so.
    """

    usage: Money
    reservation: Money | None
    reservation_reason: str | None
    phases: PhaseCost
    usd_per_million_input: float | None
    usd_per_million_output: float | None
    hourly: Hourly
    energies: tuple[RungEnergyPerQuery, ...]
    notes: tuple[str, ...]


def query_cost(measured: Measured, inputs: CostInputs) -> QueryCost:
    """Return the cost of a successful query; failed ones are paid by those that succeeded.

    Raises UsageError naming each input that is missing.
    """
    hourly, rungs = hourly_cost(measured, inputs), power_rungs(measured, inputs)
    queries_per_h = measured.queries_per_s.value * 3600  # successful ones, as throughput counts them
    usage_usd = hourly.busy_usd / queries_per_h
    u_rel = _u_rel(hourly, measured.queries_per_s.u_rel)
    utilisation = inputs.optional("use.utilisation")
    phases = _phases(usage_usd, measured)
    notes = hourly.notes
    if measured.success_share < 1:
        notes = (*notes, f"{1 - measured.success_share:.1%} of the queries failed; the others carry their cost")
    return QueryCost(
        usage=Money(usd=usage_usd, u_rel=u_rel),
        reservation=None
        if utilisation is None
        else Money(usd=hourly.mean_usd / (queries_per_h * utilisation), u_rel=u_rel),
        reservation_reason="use.utilisation is not given (--utilisation)" if utilisation is None else None,
        phases=phases,
        usd_per_million_input=_per_million(phases.input_usd, measured.input_tokens),
        usd_per_million_output=_per_million(phases.output_usd, measured.output_tokens),
        hourly=hourly,
        energies=tuple(_energy(rung, measured, utilisation) for rung in rungs),
        notes=notes,
    )


def _phases(usage_usd: float, measured: Measured) -> PhaseCost:
    """Return the usage cost by phase; the second part is what the first leaves, so that both add up exactly."""
    share = 1.0 if measured.prefill_share is None else measured.prefill_share
    input_usd = usage_usd * share
    return PhaseCost(input_usd=input_usd, output_usd=usage_usd - input_usd)


def _per_million(usd: float, tokens: float) -> float | None:
    return usd / tokens * MILLION if tokens > 0 and usd > 0 else None


def _u_rel(hourly: Hourly, u_rate_rel: float | None) -> float | None:
    """Return the root sum of squares of the rate's part and the power's, the latter weighed by energy's share.

    None where the rate's is not stated. A declared power has no stated uncertainty; it adds nothing.
    """
    if u_rate_rel is None:
        return None
    energy_share = (hourly.energy_busy_usd or 0.0) / hourly.busy_usd
    return math.hypot(u_rate_rel, energy_share * (hourly.u_power_rel or 0.0))


def _energy(rung: PowerRung, measured: Measured, utilisation: float | None) -> RungEnergyPerQuery:
    """Return a query's energy up to a rung; from the idle rung on the busy share's queries carry all hours."""
    if rung.power_w is None:
        return RungEnergyPerQuery(rung=rung, energy_j=None, queries_per_kwh=None)
    with_idle = rung.name in ("with idle hours", "building")
    share = utilisation if with_idle and utilisation is not None else 1.0
    energy_j = rung.power_w / (measured.queries_per_s.value * share)
    return RungEnergyPerQuery(rung=rung, energy_j=energy_j, queries_per_kwh=JOULES_PER_KWH / energy_j)
