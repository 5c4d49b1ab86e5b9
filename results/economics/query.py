"""The cost of a query from one result: usage and reservation, input and output, money and energy, with uncertainty."""

import math
from dataclasses import dataclass

from wattbench.results.economics.hourly import Hourly, hourly_cost
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import EmbodiedRung, RungEnergyPerQuery, ladder_of
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.prices import PhaseCost
from wattbench.results.economics.service import OnTime, on_time
from wattbench.results.errors import UsageError

__all__ = ["Money", "QueryCost", "query_cost", "u_cost_rel"]

MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in USD with its relative standard uncertainty (k=1), None where no part of it is stated."""

    usd: float
    u_rel: float | None

    def times(self, factor: float) -> "Money":
        """Return a multiple of the amount, known as well as the amount is."""
        return Money(usd=self.usd * factor, u_rel=self.u_rel)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCost:
    """What one successful query costs: while the machine is busy, and with its idle hours paid.

    `phases` splits the usage cost by measured prefill and decode time: a load with one phase is all input; None where
    the phases are not known apart. Prices are in USD per million tokens, None for a load without tokens of that kind.
    `reservation` is None where utilisation was not given, and `reservation_reason` says so. `on_time` is the share of
    the queries that keep the promises (slo.*): late ones cost as much, and `usage` and `reservation` count them.
    """

    usage: Money
    reservation: Money | None
    reservation_reason: str | None
    phases: PhaseCost | None
    usd_per_million_input: float | None
    usd_per_million_output: float | None
    hourly: Hourly
    energies: tuple[RungEnergyPerQuery, ...]
    embodied: EmbodiedRung
    notes: tuple[str, ...]
    on_time: OnTime | None = None


def query_cost(measured: Measured, inputs: CostInputs) -> QueryCost:
    """Return the cost of a successful query; failed ones are paid by those that succeeded.

    Raises UsageError naming each input that is missing.
    """
    hourly, ladder = hourly_cost(measured, inputs), ladder_of(measured, inputs)
    queries_per_h = measured.queries_per_s.value * 3600  # successful ones, as throughput counts them
    if hourly.busy_usd <= 0:
        raise UsageError(
            "This machine costs nothing, so a query has no cost",
            "it keeps its price, and neither energy nor running costs are in it",
            "Check hardware.residual_usd, and give the power (power.active_w) or running costs.",
        )
    usage_usd = hourly.busy_usd / queries_per_h
    u_rel = u_cost_rel(hourly, measured.queries_per_s.u_rel)
    utilisation = inputs.optional("use.utilisation")
    phases = _phases(usage_usd, measured)
    notes = (*hourly.notes, *measured.notes)
    if measured.success_share < 1:
        notes = (*notes, f"{1 - measured.success_share:.1%} of the queries failed; the others carry their cost")
    return QueryCost(
        usage=Money(usd=usage_usd, u_rel=u_rel),
        reservation=None
        if utilisation is None
        else Money(usd=hourly.mean_usd / (queries_per_h * utilisation), u_rel=u_rel),
        reservation_reason="use.utilisation is not given (--utilisation)" if utilisation is None else None,
        phases=phases,
        usd_per_million_input=_per_million(phases.input_usd if phases else None, measured.input_tokens),
        usd_per_million_output=_per_million(phases.output_usd if phases else None, measured.output_tokens),
        hourly=hourly,
        energies=ladder.energies,
        embodied=ladder.embodied,
        notes=notes,
        on_time=on_time(measured, inputs),
    )


def u_cost_rel(hourly: Hourly, u_rate_rel: float | None) -> float | None:
    """Return the root sum of squares of the rate's part and the power's, the latter weighed by energy's share.

    None where the rate's is not stated. A declared power has no stated uncertainty; it adds nothing.
    """
    if u_rate_rel is None:
        return None
    return math.hypot(u_rate_rel, hourly.energy_share_busy * (hourly.u_power_rel or 0.0))


def _phases(usage_usd: float, measured: Measured) -> PhaseCost | None:
    """Return the usage cost by phase; each part is what the other leaves, so that both add up exactly.

    Of the two differences, that of numbers within a factor of two is exact (Sterbenz), and makes up for the other's.
    """
    share = measured.prefill_share
    if share is None:
        if measured.input_tokens is None or measured.output_tokens is None or measured.output_tokens > 0:
            return None
        share = 1.0
    output_usd = usage_usd - usage_usd * share
    return PhaseCost(input_usd=usage_usd - output_usd, output_usd=output_usd)


def _per_million(usd: float | None, tokens: float | None) -> float | None:
    return usd / tokens * MILLION if usd is not None and tokens is not None and tokens > 0 and usd > 0 else None
