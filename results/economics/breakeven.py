"""When owning pays: against a price list, against renting, against the old machine."""

import math
from dataclasses import dataclass

from wattbench.results.economics.capital import HOURS_PER_YEAR, energy_usd_per_h
from wattbench.results.economics.cash import Payback, payback_of
from wattbench.results.economics.fleet import instances_for_rate
from wattbench.results.economics.hourly import hourly_cost, opex_hour_usd, owned_hourly
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import idle_rung, machine_rung
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.power import ItPower
from wattbench.results.economics.prices import TokenPrices, cached_price, query_usd
from wattbench.results.errors import UsageError

__all__ = [
    "AgainstApi",
    "AgainstRent",
    "HourParts",
    "against_api",
    "against_rent",
    "hour_parts",
]

HOURS_PER_MONTH = HOURS_PER_YEAR / 12
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HourParts:
    """A machine's hour in USD: what is paid in any case, and what an hour of work adds (`work_usd`).

    `cash_usd` is the part of the fixed cost that is paid while it stands there: all but the purchase. `u_work_usd` is
    the standard uncertainty of the hour of work, by that of the power.
    """

    fixed_usd: float
    work_usd: float
    cash_usd: float
    u_work_usd: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstApi:
    """The machine against a price of queries. `utilisation` is where both cost the same, above 1 for never.

    `u_rel` is its relative standard uncertainty (k=1), None where the throughput's is not stated.
    `queries_per_day` is that of one machine there, None for never; `payback` is None where the machine is rented or no
    stream of queries was given.
    """

    api_usd_per_query: float
    own_usd_per_query_full: float
    utilisation: float | None
    u_rel: float | None
    queries_per_day: float | None
    payback: Payback | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstRent:
    """Buying against renting by the hour, the rent being paid for working hours alone.

    `utilisation` is where both cost the same, `u_rel` its relative standard uncertainty (k=1). After `hours` of work
    the rent saved has paid the purchase (None: never); `hours_share` is the part of the machine's life that they take
    at `at_utilisation`, the share of work that was given (None: not given, so never idle). `payback` is by the month at
    that share, None without it.
    """

    rent_usd_per_h: float
    utilisation: float | None
    u_rel: float | None
    hours: float | None
    hours_share: float | None
    at_utilisation: float | None
    payback: Payback | None
    notes: tuple[str, ...]


def hour_parts(measured: Measured, inputs: CostInputs) -> HourParts:
    """Return an owned machine's hour, or a rented one's (whose rent is all fixed). Raises UsageError."""
    if inputs.optional("hardware.price_usd") is None:
        hourly = hourly_cost(measured, inputs)
        return HourParts(
            fixed_usd=hourly.busy_usd, work_usd=0.0, cash_usd=hourly.busy_usd, u_work_usd=0.0, notes=hourly.notes
        )
    hourly, opex = owned_hourly(measured, inputs), opex_hour_usd(inputs)
    machine, idle = machine_rung(measured, inputs), idle_rung(measured, inputs)
    notes = [note for note in hourly.notes if not note.startswith("idle hours")]
    idle_usd = work_usd = 0.0
    if hourly.energy_busy_usd is not None and machine.power_w is not None:
        if idle.power_w is None:
            notes.append(f"an idle hour is counted without energy: {idle.words}")
        else:
            price, pue = (inputs.number(f"power.{name}", "The cost of energy") for name in ("usd_per_kwh", "pue"))
            idle_usd = energy_usd_per_h(ItPower(power_w=idle.power_w).facility(pue), price)
        work_usd = hourly.energy_busy_usd - idle_usd
    return HourParts(
        fixed_usd=hourly.capital_usd + opex + idle_usd,
        work_usd=work_usd,
        cash_usd=opex + idle_usd,
        u_work_usd=(hourly.energy_busy_usd or 0.0) * (hourly.u_power_rel or 0.0),
        notes=tuple(notes),
    )


def api_usd_per_query(measured: Measured, inputs: CostInputs) -> float | None:
    """Return the price of a query of the measured lengths, None where no price was given. Raises UsageError."""
    direct = inputs.optional("api.usd_per_query")
    if not inputs.has_section("api"):
        return None
    if direct is not None:
        return direct
    if measured.input_tokens is None or measured.output_tokens is None:
        raise UsageError("Prices of tokens need tokens", "this result does not state them", "Give --api-usd-per-query.")
    price = inputs.number("api.usd_per_million_input", "A price list")
    cached = inputs.optional("api.usd_per_million_cached")
    if cached is not None:
        price = cached_price(price, cached, inputs.number("workload.cached_share", "A price of cached tokens"))
    output = 0.0 if measured.output_tokens == 0 else inputs.number("api.usd_per_million_output", "A price list")
    both = TokenPrices(input_usd_per_million=price, output_usd_per_million=output)
    return query_usd(both, input_tokens=measured.input_tokens, output_tokens=measured.output_tokens)


def against_api(measured: Measured, inputs: CostInputs) -> AgainstApi | None:
    """Return when the machine beats a price list, None where no price was given.

    Both cost the same at u* = F / [3600 q (p - m)], F being the fixed cost of an hour, p the API's price of a query and
    m = w / (3600 q) the work's part of its cost here.
    """
    price = api_usd_per_query(measured, inputs)
    if price is None:
        return None
    parts, per_h = hour_parts(measured, inputs), measured.queries_per_s.value * 3600
    gain_usd_per_h = price * per_h - parts.work_usd
    utilisation = parts.fixed_usd / gain_usd_per_h if gain_usd_per_h > 0 else None
    reached = utilisation is not None and utilisation <= 1
    return AgainstApi(
        api_usd_per_query=price,
        own_usd_per_query_full=(parts.fixed_usd + parts.work_usd) / per_h,
        utilisation=utilisation,
        u_rel=_u_rel(measured, price * per_h, gain_usd_per_h, parts),
        queries_per_day=utilisation * per_h * 24 if reached and utilisation is not None else None,
        payback=_api_payback(price, parts, measured, inputs),
        notes=("the price list's answers are taken to be worth the same", *parts.notes, *measured.notes),
    )


def against_rent(measured: Measured, inputs: CostInputs) -> AgainstRent | None:
    """Return when buying beats renting, None unless both a purchase and a rent were given. Raises UsageError.

    Both cost the same an hour of the calendar at u* = F / (rent - w).
    """
    rent = inputs.optional("cloud.usd_per_h")
    if rent is None or inputs.optional("hardware.price_usd") is None:
        return None
    parts = hour_parts(measured, inputs)
    price, years = (inputs.number(f"hardware.{name}", "Buying") for name in ("price_usd", "life_years"))
    share = inputs.optional("use.utilisation") or 1.0
    saved = rent - parts.work_usd - parts.cash_usd / share  # an hour of work carries the idle ones beside it
    hours = price / saved if saved > 0 else None
    known = inputs.optional("use.utilisation")
    payback = None
    if known is not None:
        monthly = saved * known * HOURS_PER_MONTH
        payback = payback_of(inputs, machines=1, capital_usd=price, saved_usd_per_month=monthly)
    return AgainstRent(
        rent_usd_per_h=rent,
        utilisation=parts.fixed_usd / (rent - parts.work_usd) if rent > parts.work_usd else None,
        u_rel=parts.u_work_usd / (rent - parts.work_usd) if rent > parts.work_usd else None,
        hours=hours,
        hours_share=None if hours is None else hours / share / (years * HOURS_PER_YEAR),
        at_utilisation=known,
        payback=payback,
        notes=("the rent is paid for working hours alone; one that runs on is dearer", *parts.notes),
    )


def _u_rel(measured: Measured, earned_usd: float, gain_usd: float, parts: HourParts) -> float | None:
    """Return the uncertainty of F / gain, with gain = what an hour's queries would cost at the list, less its work."""
    if measured.queries_per_s.u_rel is None or gain_usd <= 0:
        return None
    return math.hypot(earned_usd * measured.queries_per_s.u_rel, parts.u_work_usd) / gain_usd


def _api_payback(price: float, parts: HourParts, measured: Measured, inputs: CostInputs) -> Payback | None:
    """Return after how many months of a given stream the purchase has paid; whole machines, cash costs off."""
    per_day, machine_usd = inputs.optional("workload.queries_per_day"), inputs.optional("hardware.price_usd")
    if per_day is None or machine_usd is None:
        return None
    rate = measured.queries_per_s.value
    goal = inputs.number("use.utilisation", "Paying back")
    machines = instances_for_rate(per_day / DAY_S, rate * goal)
    busy_h = per_day / rate / 3600 * HOURS_PER_MONTH / 24  # hours of work a month, of all machines together
    own = machines * parts.cash_usd * HOURS_PER_MONTH + busy_h * parts.work_usd
    saved = price * per_day * HOURS_PER_MONTH / 24 - own
    return payback_of(inputs, machines=machines, capital_usd=machines * machine_usd, saved_usd_per_month=saved)
