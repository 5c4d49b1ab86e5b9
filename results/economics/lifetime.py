"""Training against inference over a model's use: when the one overtakes the other, in money and in energy."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from wattbench.results.economics.efficiency import JOULES_PER_KWH
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import Ladder, energy_u_rel, ladder_of
from wattbench.results.economics.measured import Measured, Quantity
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.training import monthly_shares, queries_to_overtake
from wattbench.results.errors import UsageError

__all__ = ["Lifetime", "Overtaking", "lifetime_of"]

DAYS_PER_MONTH = 365 / 12
PURPOSE = "Inference against training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaking:
    """Training against inference in one unit (USD or kWh).

    `queries` is when both are equal, `month` the first month at whose end they are (None: not within those looked at),
    `shares` the share of inference in the sum at the end of each month. `basis` says which cost or rung it is, `u_rel`
    is the relative standard uncertainty (k=1) of `per_query` and `queries`.
    """

    unit: str
    training: float
    per_query: float
    u_rel: float | None
    basis: str
    queries: float
    month: int | None
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """A model's life: in money and in energy, None where one was not asked for or is not known (`missing` says why)."""

    queries_by_month: tuple[float, ...]
    money: Overtaking | None
    energy: Overtaking | None
    ladder: Ladder
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def lifetime_of(measured: Measured, inputs: CostInputs) -> Lifetime:
    """Return how inference grows beside training. Raises UsageError without any figure of training."""
    usd, kwh = inputs.optional("training.usd"), inputs.optional("training.energy_kwh")
    if usd is None and kwh is None:
        inputs.number("training.usd", f"{PURPOSE} (or training.energy_kwh, --training-energy-kwh)")
    months = inputs.number("training.months", PURPOSE)
    if months != int(months):
        raise UsageError("Months are whole", f"training.months is {months:g}", "Give a whole number.")
    stream = {
        "queries_per_month": inputs.number("workload.queries_per_day", PURPOSE) * DAYS_PER_MONTH,
        "growth_per_month": inputs.number("workload.growth_per_month", PURPOSE),
    }
    ladder, missing, notes = ladder_of(measured, inputs), [], [*measured.notes]
    money = energy = None
    if usd is None:
        missing.append("money: training.usd is not given")
    else:
        cost = query_cost(measured, inputs)
        chosen, basis = (cost.reservation, "idle hours paid") if cost.reservation else (cost.usage, "busy time alone")
        per_query = Quantity(value=chosen.usd, u_rel=chosen.u_rel)
        money = _overtaking("USD", usd, per_query, basis, int(months), stream)
        notes = [*cost.notes]
    widest = ladder.widest
    if kwh is None:
        missing.append("energy: training.energy_kwh is not given")
    elif widest is None or widest.energy_j is None:
        missing.append(f"energy: no rung is known ({ladder.energies[1].rung.words})")
    else:
        per_query = Quantity(value=widest.energy_j / JOULES_PER_KWH, u_rel=energy_u_rel(measured, inputs))
        energy = _overtaking("kWh", kwh, per_query, f"up to {widest.rung.name}", int(months), stream)
    growth = 1 + stream["growth_per_month"]
    totals, total = [], 0.0
    for month in range(int(months)):
        total += stream["queries_per_month"] * growth**month
        totals.append(total)
    return Lifetime(
        queries_by_month=tuple(totals),
        money=money,
        energy=energy,
        ladder=ladder,
        missing=tuple(missing),
        notes=tuple(notes),
    )


def _overtaking(
    unit: str, training: float, per_query: Quantity, basis: str, months: int, stream: Mapping[str, float]
) -> Overtaking:
    shares = tuple(islice(monthly_shares(training=training, per_query=per_query.value, **stream), months))
    return Overtaking(
        unit=unit,
        training=training,
        per_query=per_query.value,
        u_rel=per_query.u_rel,
        basis=basis,
        queries=queries_to_overtake(training, per_query.value),
        month=next((month + 1 for month, share in enumerate(shares) if share >= 0.5), None),
        shares=shares,
    )
