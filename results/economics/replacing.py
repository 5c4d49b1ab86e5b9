"""When a new machine pays for itself by doing the old one's work with less energy and less money."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wattbench.results.economics.breakeven import HOURS_PER_MONTH
from wattbench.results.economics.capital import HOURS_PER_YEAR, energy_usd_per_h
from wattbench.results.economics.cash import Payback, payback_of
from wattbench.results.economics.fleet import instances_for_rate
from wattbench.results.economics.hourly import OPEX, opex_hour_usd
from wattbench.results.economics.inputs import CostInputs, Given
from wattbench.results.economics.ladder import idle_rung, machine_power_u_rel, machine_rung
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.power import ItPower, two_state
from wattbench.results.errors import UsageError

__all__ = ["Replacement", "Side", "replacement_of"]

PURPOSE = "Replacing a machine"
YEAR_S = HOURS_PER_YEAR * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The machines of one side at the same work: how many, how busy, what they draw on the mean, their year in USD.

    `u_mean_w` is the standard uncertainty of `mean_w` by throughput and power, None where the first is not stated.
    """

    device: str
    machines: int
    utilisation: float
    mean_w: float
    u_mean_w: float | None
    energy_usd_per_year: float
    opex_usd_per_year: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The old machines and the new ones at equal work, and when the new ones have paid for themselves."""

    queries_per_day: float
    old: Side
    new: Side
    saved_kwh_per_year: float
    u_saved_kwh: float | None
    payback: Payback
    notes: tuple[str, ...]


def replacement_of(new: Measured, old: Measured, inputs: CostInputs) -> Replacement:
    """Return what replacing gives; the old machine's own watts and costs are `old.*`.

    K = n_new x price - n_old x resale, saved by energy and running costs. Raises UsageError where the two results are
    of different loads, or a number is missing.
    """
    if (new.load, new.precision) != (old.load, old.precision):
        raise UsageError(
            "Only equal work can be compared",
            f"the new machine ran {new.load} ({new.precision}), the old one {old.load} ({old.precision})",
            "Measure the same load in the same precision on both.",
        )
    per_day, goal = inputs.number("workload.queries_per_day", PURPOSE), inputs.number("use.utilisation", PURPOSE)
    old_inputs = _of_old(inputs)
    sides = [
        _side(measured, given, per_day, goal, opex)
        for measured, given, opex in (
            (old, old_inputs, inputs.number("old.opex_usd_per_year", PURPOSE)),
            (new, inputs, opex_hour_usd(inputs) * HOURS_PER_YEAR),
        )
    ]
    _note_use(inputs, old_inputs)
    before, after = sides
    spent = after.machines * inputs.number("hardware.price_usd", PURPOSE)
    capital = spent - before.machines * inputs.number("old.resale_usd", PURPOSE)
    yearly = [side.energy_usd_per_year + side.opex_usd_per_year for side in sides]
    pue = inputs.number("power.pue", PURPOSE)
    before_kwh, after_kwh = (ItPower(power_w=side.mean_w).facility(pue).energy_kwh(YEAR_S) for side in sides)
    missing = [path for path in OPEX if inputs.optional(path) is None]
    notes = (f"running costs of the new ones without: {', '.join(missing)}",) if missing else ()
    return Replacement(
        queries_per_day=per_day,
        old=before,
        new=after,
        saved_kwh_per_year=before_kwh - after_kwh,
        u_saved_kwh=_u_saved_kwh(sides, pue),
        payback=payback_of(
            inputs,
            machines=after.machines,
            capital_usd=capital,
            saved_usd_per_month=(yearly[0] - yearly[1]) / HOURS_PER_YEAR * HOURS_PER_MONTH,
        ),
        notes=(*notes, *new.notes, *old.notes),
    )


def _of_old(inputs: CostInputs) -> CostInputs:
    """Return the inputs with the old machine's own watts in place of the new one's."""
    given = {
        path: value
        for path, value in inputs.given.items()
        if path not in ("power.active_w", "power.idle_w", "power.host_w")
    }
    for name in ("active_w", "idle_w", "host_w"):
        if f"old.{name}" in inputs.given:
            value = inputs.given[f"old.{name}"]
            given[f"power.{name}"] = Given(path=f"power.{name}", value=value.value, place=value.place)
    return replace(inputs, given=given, used=set())


def _note_use(inputs: CostInputs, of_old: CostInputs) -> None:
    """Count what the old machine's formulas took as used, its watts under their own names."""
    own = {f"power.{name}": f"old.{name}" for name in ("active_w", "idle_w", "host_w")}
    inputs.used.update(own.get(path, path) for path in of_old.used)


def _side(measured: Measured, inputs: CostInputs, per_day: float, goal: float, opex_usd: float) -> Side:
    rate = measured.queries_per_s.value
    machines = instances_for_rate(per_day / 86_400, rate * goal)
    utilisation = per_day / 86_400 / rate / machines
    machine, idle = machine_rung(measured, inputs), idle_rung(measured, inputs)
    for rung in (machine, idle):
        if rung.power_w is None:
            raise UsageError(
                f"{PURPOSE} needs the power of both",
                f"{measured.device}: {rung.words}",
                "Measure at the plug, or declare --active-w and --idle-w, --old-active-w and --old-idle-w.",
            )
    assert machine.power_w is not None, "checked above"
    assert idle.power_w is not None, "checked above"
    mean = two_state(idle_w=idle.power_w, active_w=machine.power_w, utilisation=utilisation)
    price, pue = (inputs.number(f"power.{name}", PURPOSE) for name in ("usd_per_kwh", "pue"))
    u_rate, u_power = measured.queries_per_s.u_rel, machine_power_u_rel(measured, machine)
    by_rate = (machine.power_w - idle.power_w) * utilisation * (u_rate or 0.0)  # a faster one is busy for less time
    return Side(
        device=measured.device,
        machines=machines,
        utilisation=utilisation,
        mean_w=machines * mean.power_w,
        u_mean_w=None
        if u_rate is None
        else machines * math.hypot(machine.power_w * utilisation * (u_power or 0.0), by_rate),
        energy_usd_per_year=machines * energy_usd_per_h(mean.facility(pue), price) * HOURS_PER_YEAR,
        opex_usd_per_year=machines * opex_usd,
    )


def _u_saved_kwh(sides: Sequence[Side], pue: float) -> float | None:
    if any(side.u_mean_w is None for side in sides):
        return None
    u_w = math.hypot(*(side.u_mean_w or 0.0 for side in sides))
    return ItPower(power_w=u_w).facility(pue).energy_kwh(YEAR_S)
