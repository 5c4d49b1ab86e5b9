"""Work per energy, in the units that planners use."""

from wattbench.results.checks import require, require_not_negative
from wattbench.results.economics.power import FacilityPower, ItPower

__all__ = ["JOULES_PER_KWH", "electricity_usd_per_million", "per_joule", "units_per_kwh", "units_per_s_per_mw"]

JOULES_PER_KWH = 3.6e6


def per_joule(units_per_s: float, power: ItPower) -> float:
    """Return units (tokens, queries) per joule of the equipment's own energy."""
    require_not_negative(units_per_s=units_per_s)
    require(power.power_w > 0, "work per energy needs a power above zero")
    return units_per_s / power.power_w


def units_per_kwh(energy_j: float, *, pue: float) -> float:
    """Return how many units a kWh at the building's meter does, given one unit's energy at the equipment in J."""
    require(energy_j > 0, "units per energy need an energy above zero")
    return JOULES_PER_KWH / ItPower(power_w=energy_j).facility(pue).power_w  # J per unit, scaled like W


def units_per_s_per_mw(units_per_s: float, power: FacilityPower) -> float:
    """Return the throughput that a megawatt at the building's meter carries, in units per second."""
    require_not_negative(units_per_s=units_per_s)
    require(power.power_w > 0, "throughput per power needs a power above zero")
    return units_per_s / power.power_w * 1e6


def electricity_usd_per_million(units_per_s: float, power: FacilityPower, price_usd_per_kwh: float) -> float:
    """Return the electricity of a million units, in USD."""
    require(units_per_s > 0, "nothing was done: a cost per unit needs a throughput above zero")
    require_not_negative(price_usd_per_kwh=price_usd_per_kwh)
    return power.energy_kwh(1e6 / units_per_s) * price_usd_per_kwh
