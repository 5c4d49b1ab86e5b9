"""Carbon and water of energy and of the machine itself."""

from wattbench.results.checks import require, require_not_negative
from wattbench.results.economics.power import FacilityPower, ItPower

__all__ = ["embodied_g", "grid_g_per_kwh", "operational_g", "sci_g", "water_l"]


def operational_g(power: FacilityPower, duration_s: float, grid_g_co2e_per_kwh: float) -> float:
    """Return the grid's emissions for the energy at the building's meter, in g CO2e."""
    require_not_negative(duration_s=duration_s, grid_g_co2e_per_kwh=grid_g_co2e_per_kwh)
    return power.energy_kwh(duration_s) * grid_g_co2e_per_kwh


def embodied_g(*, machine_kg: float, life_years: float, busy_s: float, concurrency: float, utilisation: float) -> float:
    """Return a query's share of the emissions of making the machine, in g CO2e.

    The machine's life is shared by its busy time: I 1000 / (life) t / concurrency / utilisation, so that idle time is
    carried by the work that is done.
    """
    require_not_negative(machine_kg=machine_kg, busy_s=busy_s)
    require(life_years > 0 and concurrency > 0, "life and concurrency must be positive")
    require(0 < utilisation <= 1, f"utilisation is a share within 0..1 and above 0, not {utilisation:g}")
    life_s = life_years * 8760 * 3600
    return machine_kg * 1000 / life_s * busy_s / concurrency / utilisation


def sci_g(operational_g: float, embodied_g: float) -> float:
    """Return the software carbon intensity of one unit: (E I) + M per R with R one unit (ISO/IEC 21031:2024)."""
    require_not_negative(operational_g=operational_g, embodied_g=embodied_g)
    return operational_g + embodied_g


def water_l(power: ItPower, duration_s: float, *, pue: float, site_l_per_kwh: float, grid_l_per_kwh: float) -> float:
    """Return the water for cooling and for making the electricity, in litres.

    E_IT (WUE_site + PUE WUE_grid): the site's figure is per energy of the equipment (ISO/IEC 30134-9), the grid's per
    energy at the meter, so the overhead of the building counts once and in the second term alone.
    """
    require_not_negative(duration_s=duration_s, site_l_per_kwh=site_l_per_kwh, grid_l_per_kwh=grid_l_per_kwh)
    facility_kwh = power.facility(pue).energy_kwh(duration_s)
    return power.energy_kwh(duration_s) * site_l_per_kwh + facility_kwh * grid_l_per_kwh


def grid_g_per_kwh(emitted_g: float, energy_wh: float) -> float:
    """Return the intensity that emissions and energy imply, in g CO2e per kWh."""
    require(energy_wh > 0, "an intensity needs an energy above zero")
    return emitted_g / energy_wh * 1000
