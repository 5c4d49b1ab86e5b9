"""What one hour of the machine costs, rented or owned: capital, energy, running costs."""

import math
from dataclasses import dataclass
from typing import Literal

from wattbench.results.economics.capital import HOURS_PER_YEAR, capital_usd_per_h, energy_usd_per_h
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import machine_power_u_rel, machine_rung, power_rungs
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.power import ItPower
from wattbench.results.errors import UsageError

__all__ = ["OPEX", "Hourly", "capital_hour_usd", "hourly_cost", "opex_hour_usd", "owned_hourly"]

OPEX = ("opex.hosting_usd_per_year", "opex.licence_usd_per_year", "opex.staff_usd_per_year")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """An hour's cost in USD, busy and on the average of paid hours, and its parts.

    `busy_usd` has the energy of a working hour, `mean_usd` that of an hour with its idle share. `energy_share_busy` is
    the part of `busy_usd` that is energy, `u_power_rel` the power's relative standard uncertainty. `notes` say what is
    missing.
    """

    kind: Literal["owned", "rented"]
    busy_usd: float
    mean_usd: float
    capital_usd: float
    energy_busy_usd: float | None
    energy_mean_usd: float | None
    opex_usd: float
    u_power_rel: float | None
    notes: tuple[str, ...]

    @property
    def energy_share_busy(self) -> float:
        """Return the part of a working hour's cost that is energy; 0 where none is counted."""
        return (self.energy_busy_usd or 0.0) / self.busy_usd if self.busy_usd > 0 else 0.0


def hourly_cost(measured: Measured, inputs: CostInputs) -> Hourly:
    """Return what an hour costs: rented at its price, or owned as capital, energy and running costs.

    Raises UsageError when neither or both are given, or when a number that the chosen way needs is missing.
    """
    owned, rented = inputs.optional("hardware.price_usd") is not None, inputs.has_section("cloud")
    if owned and rented:
        raise UsageError(
            "The machine is both owned and rented",
            "hardware.price_usd and cloud.usd_per_h are given",
            "Keep one of the two sections, or compare them with `bench cost breakeven`.",
        )
    if owned or (inputs.has_section("hardware") and not rented):
        return owned_hourly(measured, inputs)
    price = inputs.number("cloud.usd_per_h", "A cost per hour (without hardware.* it is rented)")
    opex = opex_hour_usd(inputs)
    return Hourly(
        kind="rented",
        busy_usd=price + opex,
        mean_usd=price + opex,
        capital_usd=price,
        energy_busy_usd=None,
        energy_mean_usd=None,
        opex_usd=opex,
        u_power_rel=None,
        notes=("electricity is in the rent, and is not added", *_opex_notes(inputs)),
    )


def owned_hourly(measured: Measured, inputs: CostInputs) -> Hourly:
    """Return what an hour of an owned machine costs. Raises UsageError naming the number that is missing."""
    capital, opex = capital_hour_usd(inputs), opex_hour_usd(inputs)
    _, machine, mean, _ = power_rungs(measured, inputs)
    notes = list(_opex_notes(inputs))
    busy_usd = mean_usd = None
    if machine.power_w is None:
        notes.append(f"no energy is in this cost: {machine.words}")
    else:
        price = inputs.number("power.usd_per_kwh", "The cost of energy")
        pue = inputs.number("power.pue", "The cost of energy")
        busy_usd = energy_usd_per_h(ItPower(power_w=machine.power_w).facility(pue), price)
        utilisation = inputs.optional("use.utilisation")
        if mean.power_w is None:
            notes.append(f"idle hours are counted without energy: {mean.words}")
            mean_usd = None if utilisation is None else busy_usd * utilisation
        else:
            mean_usd = energy_usd_per_h(ItPower(power_w=mean.power_w).facility(pue), price)
    return Hourly(
        kind="owned",
        busy_usd=capital + opex + (busy_usd or 0.0),
        mean_usd=capital + opex + (mean_usd or 0.0),
        capital_usd=capital,
        energy_busy_usd=busy_usd,
        energy_mean_usd=mean_usd,
        opex_usd=opex,
        u_power_rel=machine_power_u_rel(measured, machine_rung(measured, inputs)),
        notes=tuple(notes),
    )


def capital_hour_usd(inputs: CostInputs) -> float:
    """Return what the purchase costs each hour of the calendar, in USD. Raises UsageError."""
    price, residual, rate, years = (
        inputs.number(f"hardware.{name}", "Owning the machine")
        for name in ("price_usd", "residual_usd", "interest_rate", "life_years")
    )
    if residual / math.pow(1 + rate, years) > price:
        raise UsageError(
            "The machine would be worth more at its end than it costs",
            f"hardware.residual_usd {residual:g} in {years:g} years, against hardware.price_usd {price:g}",
            "Check both, and that they are of one machine.",
        )
    return capital_usd_per_h(price_usd=price, residual_usd=residual, rate=rate, years=years)


def opex_hour_usd(inputs: CostInputs) -> float:
    """Return the given running costs of an hour, in USD; those that are not given count nothing, and are noted."""
    return sum(inputs.optional(path) or 0.0 for path in OPEX) / HOURS_PER_YEAR


def _opex_notes(inputs: CostInputs) -> tuple[str, ...]:
    missing = [path for path in OPEX if inputs.optional(path) is None]
    return (f"not in this cost, since not given: {', '.join(missing)}",) if missing else ()
