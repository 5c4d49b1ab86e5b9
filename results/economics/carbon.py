"""Carbon and water of one query: grid, contract, the machine's making, and the software carbon intensity."""

from dataclasses import dataclass

from wattbench.results.economics.footprint import operational_g, sci_g, water_l
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import Ladder, energy_u_rel, ladder_of
from wattbench.results.economics.measured import Measured, Quantity
from wattbench.results.economics.power import ItPower

__all__ = ["Carbon", "carbon_of"]

PURPOSE = "The carbon of a query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carbon:
    """What one successful query emits and drinks; None with its reason in `missing` where it is not known.

    Masses are g CO2 equivalent, water is litres. `sci` is (E I) + M per query by the location's grid: contracts do not
    count in it. `market` is the same energy by the contract.
    """

    it_energy_j: float | None
    facility_energy_j: float | None
    location: Quantity | None
    market: Quantity | None
    embodied_g: float | None
    sci: Quantity | None
    water: Quantity | None
    ladder: Ladder
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def carbon_of(measured: Measured, inputs: CostInputs) -> Carbon:
    """Return the footprint of a query. Raises UsageError where a number is missing that an energy needs."""
    ladder = ladder_of(measured, inputs)
    machine, mean = ladder.energies[1], ladder.energies[2]
    it, notes = (mean, []) if mean.energy_j is not None else (machine, [f"without idle hours: {mean.rung.words}"])
    embodied_g = ladder.embodied.embodied_g
    missing = [] if embodied_g is not None else [f"embodied, so no SCI: {ladder.embodied.words}"]
    location = market = water = sci = facility_j = None
    if it.energy_j is None:
        missing.append(f"energy, so no emissions of the grid and no water: {it.rung.words}")
        notes = []
    else:
        pue = inputs.number("power.pue", PURPOSE)
        u_rel = energy_u_rel(measured, inputs)
        energy = ItPower(power_w=it.energy_j)  # J, as W for one second
        facility_j = energy.facility(pue).power_w
        grid = operational_g(energy.facility(pue), 1.0, inputs.number("carbon.grid_g_per_kwh", PURPOSE))
        location = Quantity(value=grid, u_rel=u_rel)
        contract = inputs.optional("carbon.market_g_per_kwh")
        if contract is None:
            missing.append("market based: carbon.market_g_per_kwh is not given")
        else:
            market = Quantity(value=operational_g(energy.facility(pue), 1.0, contract), u_rel=u_rel)
        water = _water(energy, pue, inputs, u_rel)
        if water is None:
            missing.append("water: carbon.site_l_per_kwh and carbon.grid_l_per_kwh are not both given")
        if embodied_g is not None:
            sci = Quantity(value=sci_g(grid, embodied_g), u_rel=u_rel)  # no part is known worse than the energy
    return Carbon(
        it_energy_j=it.energy_j,
        facility_energy_j=facility_j,
        location=location,
        market=market,
        embodied_g=embodied_g,
        sci=sci,
        water=water,
        ladder=ladder,
        missing=tuple(missing),
        notes=(*notes, *measured.notes),
    )


def _water(energy: ItPower, pue: float, inputs: CostInputs, u_rel: float | None) -> Quantity | None:
    site, grid = (inputs.optional(f"carbon.{name}_l_per_kwh") for name in ("site", "grid"))
    if site is None or grid is None:
        return None
    litres = water_l(energy, 1.0, pue=pue, site_l_per_kwh=site, grid_l_per_kwh=grid)
    return Quantity(value=litres, u_rel=u_rel)
