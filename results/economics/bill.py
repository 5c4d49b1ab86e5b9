"""What a stream of queries costs a year: by usage, by reservation, in whole machines, and at stated prices."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.results.economics.capital import HOURS_PER_YEAR
from wattbench.results.economics.fleet import instances_for_rate
from wattbench.results.economics.hourly import hourly_cost
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.prices import annual_usd
from wattbench.results.economics.query import Money, QueryCost, query_cost, u_cost_rel

__all__ = ["AtPrice", "Bill", "at_prices", "bill_of"]

SECONDS_PER_DAY = 86_400.0
PURPOSE = "A yearly bill"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPrice:
    """The yearly bill at one price of a query; both in USD."""

    usd_per_query: float
    usd_per_year: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A year's cost of `queries_per_day`.

    `usage` pays busy time alone, `reservation` idle hours at the given utilisation too, `whole` the machines that must
    stand there (`machines`, at `utilisation` when the queries are spread over them); None without a utilisation.
    """

    queries_per_day: float
    usage: Money
    reservation: Money | None
    machines: int | None
    utilisation: float | None
    whole: Money | None
    query: QueryCost
    notes: tuple[str, ...]


def bill_of(measured: Measured, inputs: CostInputs) -> Bill:
    """Return the yearly bill on the measured machine. Raises UsageError naming what is missing."""
    queries_per_day = inputs.number("workload.queries_per_day", PURPOSE)
    query, yearly = query_cost(measured, inputs), queries_per_day * 365
    goal = inputs.optional("use.utilisation")
    machines = utilisation = whole = None
    if goal is not None:
        rate = queries_per_day / SECONDS_PER_DAY
        machines = instances_for_rate(rate, measured.queries_per_s.value * goal)
        utilisation = rate / (machines * measured.queries_per_s.value)
        hourly = hourly_cost(measured, inputs.with_value("use.utilisation", utilisation, "of whole machines"))
        whole = Money(
            usd=machines * hourly.mean_usd * HOURS_PER_YEAR, u_rel=u_cost_rel(hourly, measured.queries_per_s.u_rel)
        )
    return Bill(
        queries_per_day=queries_per_day,
        usage=query.usage.times(yearly),
        reservation=None if query.reservation is None else query.reservation.times(yearly),
        machines=machines,
        utilisation=utilisation,
        whole=whole,
        query=query,
        notes=query.notes,
    )


def at_prices(queries_per_day: float, usd_per_query: Sequence[float]) -> tuple[AtPrice, ...]:
    """Return the yearly bill at each price of a query."""
    return tuple(
        AtPrice(usd_per_query=price, usd_per_year=annual_usd(queries_per_day, price)) for price in usd_per_query
    )
