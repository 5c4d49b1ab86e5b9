"""What owning or renting equipment costs an hour: depreciation with interest, energy, running costs."""

import math

from wattbench.results.checks import require, require_finite, require_not_negative
from wattbench.results.economics.power import FacilityPower

__all__ = [
    "HOURS_PER_YEAR",
    "RATE_MIN",
    "capital_recovery_factor",
    "capital_usd_per_h",
    "energy_usd_per_h",
    "per_accelerator_usd_per_h",
    "servers_needed",
    "yearly_server_usd",
]

HOURS_PER_YEAR = 8760.0

RATE_MIN = 1e-12
"""Below this interest a year the factor is 1/n to within a part in 1e10, and its own formula loses its digits."""


def capital_recovery_factor(rate: float, years: float) -> float:
    """Return the share of a price that is paid each year so that it is paid off with interest, CRF(r, n).

    r (1 + r)^n / ((1 + r)^n - 1) = r / (1 - (1 + r)^-n), the second form being exact for small rates too; without
    interest 1/n, which is straight-line depreciation. `rate` is per year.
    """
    require(years > 0, f"years of use must be positive, not {years:g}")
    require_not_negative(rate=rate)
    if rate < RATE_MIN:
        return 1 / years
    return rate / -math.expm1(-years * math.log1p(rate))


def capital_usd_per_h(*, price_usd: float, residual_usd: float, rate: float, years: float) -> float:
    """Return what the purchase costs each hour of the calendar, used or not, in USD.

    [K - R/(1 + r)^n] CRF(r, n) / 8760, with R what it is still worth after n years.
    """
    require_not_negative(price_usd=price_usd, residual_usd=residual_usd)
    present_usd = residual_usd / math.pow(1 + rate, years)
    require(present_usd <= price_usd, "what equipment is worth at its end cannot exceed its price")
    return (price_usd - present_usd) * capital_recovery_factor(rate, years) / HOURS_PER_YEAR


def energy_usd_per_h(power: FacilityPower, price_usd_per_kwh: float) -> float:
    """Return what an hour of electricity costs, in USD; power at the building's meter, so its overhead is in it."""
    require_finite(price_usd_per_kwh=price_usd_per_kwh)
    return power.power_w / 1000 * price_usd_per_kwh


def per_accelerator_usd_per_h(instance_usd_per_h: float, accelerators: int) -> float:
    """Return the hourly price of one accelerator of a rented instance, in USD."""
    require(accelerators >= 1, f"an instance has at least one accelerator, not {accelerators}")
    require_not_negative(instance_usd_per_h=instance_usd_per_h)
    return instance_usd_per_h / accelerators


def servers_needed(instances: int, accelerators_per_instance: int, accelerators_per_server: int) -> int:
    """Return how many whole servers hold that many instances of a model."""
    require(min(instances, accelerators_per_instance, accelerators_per_server) >= 1, "counts are at least 1")
    return -(-instances * accelerators_per_instance // accelerators_per_server)


def yearly_server_usd(*, price_usd: float, years: float, licence_usd: float, hosting_usd: float) -> float:
    """Return the yearly cost of a server by straight-line depreciation, licence and hosting per year, in USD."""
    require_not_negative(price_usd=price_usd, licence_usd=licence_usd, hosting_usd=hosting_usd)
    return price_usd * capital_recovery_factor(0.0, years) + licence_usd + hosting_usd
