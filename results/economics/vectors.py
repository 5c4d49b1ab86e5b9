"""The cost of a query and of a fleet over many draws of the inputs at once: the formulas of `query` and `sizing`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy

from wattbench.results.economics.capital import HOURS_PER_YEAR, RATE_MIN
from wattbench.results.economics.hourly import OPEX
from wattbench.results.economics.sampling import Floats, instances_for_waits
from wattbench.results.economics.service import ServiceLevel

__all__ = ["FLEET_INPUTS", "QUERY_INPUTS", "Draws", "fleet_figures", "query_figures"]

QUERY_INPUTS = (
    "hardware.price_usd",
    "hardware.residual_usd",
    "hardware.life_years",
    "hardware.interest_rate",
    "cloud.usd_per_h",
    "power.usd_per_kwh",
    "power.pue",
    "power.host_w",
    "power.active_w",
    "power.idle_w",
    "use.utilisation",
    *OPEX,
)
FLEET_INPUTS = (
    *QUERY_INPUTS,
    "workload.users",
    "workload.queries_per_user_day",
    "workload.queries_per_day",
    "workload.peak_share",
    "workload.peak_queries_per_s",
)
"""What may vary; every other input is fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Draws of the measured rate (1/s) and of power at work and at rest (W, None where unknown), and the inputs."""

    rate: Floats
    active_w: Floats | None
    idle_w: Floats | None
    inputs: Mapping[str, Floats]

    def get(self, path: str) -> Floats | None:
        """Return an input's draws, None where it was not given."""
        return self.inputs.get(path)


def query_figures(draws: Draws) -> dict[str, Floats]:
    """Return the cost of a query by usage, and by reservation where a utilisation was given, in USD."""
    fixed, busy, idle = _hour(draws)
    found = {"usage": (fixed + busy) / (draws.rate * 3600)}
    utilisation = draws.get("use.utilisation")
    if utilisation is not None:
        mean = _mean(busy, idle, utilisation)
        found["reservation"] = (fixed + mean) / (draws.rate * 3600 * utilisation)
    return found


def fleet_figures(
    draws: Draws, *, service: ServiceLevel | None, spares: int, hours_peak: float | None
) -> dict[str, Floats]:
    """Return the machines of a fleet, its year in USD, and the cost of one of its queries.

    `hours_peak` is the busiest hour's share by the day's schedule, where no share was given.
    """
    peak, mean_rate = _load(draws, hours_peak)
    if service is None:
        needed = numpy.maximum(1.0, numpy.ceil(numpy.round(peak / draws.rate, 9)))
    else:
        needed = instances_for_waits(peak, draws.rate, wait_s=service.wait_s, probability=service.share)
    machines = needed + spares
    utilisation = draws.inputs["use.utilisation"] if mean_rate is None else mean_rate / (machines * draws.rate)
    fixed, busy, idle = _hour(draws)
    yearly = machines * (fixed + _mean(busy, idle, utilisation)) * HOURS_PER_YEAR
    queries = machines * draws.rate * utilisation * HOURS_PER_YEAR * 3600
    return {"machines": machines, "usd_per_year": yearly, "usd_per_query": yearly / queries}


def _hour(draws: Draws) -> tuple[Floats, Floats, Floats | None]:
    """Return an hour's fixed cost, its energy at work, and at rest (None: unknown, so hours count without energy)."""
    zero = numpy.zeros_like(draws.rate)
    opex = sum((value for path in OPEX if (value := draws.get(path)) is not None), zero) / HOURS_PER_YEAR
    rent = draws.get("cloud.usd_per_h")
    if rent is not None:
        return rent + opex, zero, zero
    price, residual = draws.inputs["hardware.price_usd"], draws.inputs["hardware.residual_usd"]
    rate, years = draws.inputs["hardware.interest_rate"], draws.inputs["hardware.life_years"]
    straight = rate < RATE_MIN
    paid = numpy.where(straight, 1.0, -numpy.expm1(-years * numpy.log1p(rate)))
    factor = numpy.where(straight, 1 / years, rate / paid)
    capital = (price - residual / numpy.power(1 + rate, years)) * factor / HOURS_PER_YEAR
    if draws.active_w is None:
        return capital + opex, zero, zero
    per_w = draws.inputs["power.pue"] * draws.inputs["power.usd_per_kwh"] / 1000
    idle = None if draws.idle_w is None else draws.idle_w * per_w
    return capital + opex, draws.active_w * per_w, idle


def _mean(busy: Floats, idle: Floats | None, utilisation: Floats) -> Floats:
    """Return the mean energy cost of an hour; hours at rest count without energy where it is unknown."""
    return busy * utilisation if idle is None else idle + (busy - idle) * utilisation


def _load(draws: Draws, hours_peak: float | None) -> tuple[Floats, Floats | None]:
    peak, per_day = draws.get("workload.peak_queries_per_s"), draws.get("workload.queries_per_day")
    if peak is not None:
        return peak, None if per_day is None else per_day / 86_400
    users = draws.get("workload.users")
    if users is not None:
        per_day = users * draws.inputs["workload.queries_per_user_day"]
    assert per_day is not None, "the load was checked"
    share = draws.get("workload.peak_share")
    if share is None:
        assert hours_peak is not None, "the load was checked"
        share = numpy.full_like(per_day, hours_peak)
    return per_day * share / 3600, per_day / 86_400
