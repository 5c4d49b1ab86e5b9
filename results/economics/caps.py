"""What fits under a cap: machines under a building's power, a circuit, a budget; hours and queries of a battery."""

import math
from dataclasses import dataclass

from wattbench.results.economics.capital import HOURS_PER_YEAR
from wattbench.results.economics.efficiency import units_per_s_per_mw
from wattbench.results.economics.fleet import rate_for_wait
from wattbench.results.economics.hourly import hourly_cost
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import energy_u_rel, idle_rung, machine_power_u_rel, machine_rung
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.power import ItPower, two_state
from wattbench.results.economics.service import service_level
from wattbench.results.economics.sizing import machine_w
from wattbench.results.errors import UsageError

__all__ = ["Battery", "Cap", "Fit", "battery_of", "fit_of"]

CAPS = ("cap.power_w", "circuit.voltage_v", "cap.capital_usd", "cap.usd_per_year")
MACHINES_MAX = 1_000_000
COVERAGE = 2.0
"""Ranges of whole machines are at the ends of the expanded uncertainty, k=2: about 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """One limit, what one machine takes of it, and how many machines it holds.

    `u_each_rel` is the relative standard uncertainty (k=1) of what one takes, None where nothing of it is measured;
    `machines_low` and `machines_high` are the machines at its ends (k=2).
    """

    name: str
    limit: float
    unit: str
    each: float
    u_each_rel: float | None
    machines: int
    machines_low: int
    machines_high: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How many machines all caps hold together, and the queries per second of the busiest hour that they carry.

    `machines_low` and `machines_high` are what all caps hold at the ends of the measured power (k=2). `u_peak_rel` is
    the relative standard uncertainty (k=1) of the rate: that of throughput, and of the power where a cap on it binds,
    None where the throughput's is not stated; `u_per_mw_rel` is that of the rate a megawatt carries.
    `users` is None where their queries a day were not given; `queries_per_s_per_mw` is by the building's meter, None
    where no power or no overhead is known.
    """

    caps: tuple[Cap, ...]
    machines: int
    machines_low: int
    machines_high: int
    binding: str
    peak_per_s: float
    u_peak_rel: float | None
    users: float | None
    queries_per_s_per_mw: float | None
    u_per_mw_rel: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """What one charge does: hours and queries at work, and at the given mix of work and rest (None: not known).

    `u_hours_rel` and `u_queries_rel` are the relative standard uncertainties (k=1) of those at work, the other two of
    those with rest: nothing states that of a power at rest, which adds none.
    """

    usable_wh: float
    active_w: float
    hours_at_work: float
    queries_at_work: float
    u_hours_rel: float | None
    u_queries_rel: float | None
    hours_mixed: float | None
    queries_mixed: float | None
    u_hours_mixed_rel: float | None
    u_queries_mixed_rel: float | None
    words: str


def fit_of(measured: Measured, inputs: CostInputs) -> Fit | None:
    """Return what fits under the given caps, None where none is given. Raises UsageError when not one machine does."""
    given = [path for path in CAPS if inputs.optional(path) is not None]
    if not given:
        return None
    caps = tuple(_cap(path, measured, inputs) for path in given)
    least = min(caps, key=lambda cap: cap.machines)
    if least.machines < 1:
        why = f"one takes {least.each:,.6g} {least.unit}, the limit is {least.limit:,.6g} {least.unit} ({least.words})"
        raise UsageError(f"Not one machine fits under {least.name}", why, "Raise the limit, or take a smaller machine.")
    rate, service = measured.queries_per_s.value, service_level(measured, inputs)
    if service is None:
        peak, words = least.machines * rate, "at their full rate: no promise is given (slo.*)"
    else:
        peak = rate_for_wait(least.machines, served_per_s=rate, wait_s=service.wait_s, probability=service.share)
        words = f"at most {service.share:.3g} wait longer than {service.wait_s:.4g} s ({service.words})"
    return Fit(
        caps=caps,
        machines=least.machines,
        machines_low=min(cap.machines_low for cap in caps),
        machines_high=min(cap.machines_high for cap in caps),
        binding=least.name,
        peak_per_s=peak,
        u_peak_rel=_both(measured.queries_per_s.u_rel, least.u_each_rel),
        users=_users(peak, inputs),
        queries_per_s_per_mw=_per_mw(measured, inputs),
        u_per_mw_rel=energy_u_rel(measured, inputs),
        words=words,
    )


def battery_of(measured: Measured, inputs: CostInputs) -> Battery | None:
    """Return what a charge of the given battery does, None where none is given. Raises UsageError without a power."""
    energy_wh = inputs.optional("battery.energy_wh")
    if energy_wh is None:
        return None
    usable_wh = energy_wh * inputs.number("battery.usable_share", "A battery's charge")
    active_w, rate = machine_w(measured, inputs, "A battery's charge"), measured.queries_per_s.value
    hours = usable_wh / active_w
    utilisation, idle = inputs.optional("use.utilisation"), idle_rung(measured, inputs)
    mixed = u_mixed = None
    u_active = machine_power_u_rel(measured, machine_rung(measured, inputs))
    if utilisation is None:
        words = "use.utilisation is not given"
    elif idle.power_w is None:
        words = idle.words
    else:
        power = two_state(idle_w=idle.power_w, active_w=active_w, utilisation=utilisation)
        mixed, words = usable_wh / power.power_w, f"{utilisation:.0%} at work, {idle.power_w:.4g} W at rest"
        u_mixed = None if u_active is None else u_active * active_w * utilisation / power.power_w
    return Battery(
        usable_wh=usable_wh,
        active_w=active_w,
        hours_at_work=hours,
        queries_at_work=hours * 3600 * rate,
        u_hours_rel=u_active,
        u_queries_rel=energy_u_rel(measured, inputs),
        hours_mixed=mixed,
        queries_mixed=None if mixed is None or utilisation is None else mixed * 3600 * rate * utilisation,
        u_hours_mixed_rel=u_mixed,
        u_queries_mixed_rel=None if mixed is None else _both(measured.queries_per_s.u_rel, u_mixed),
        words=words,
    )


def _cap(path: str, measured: Measured, inputs: CostInputs) -> Cap:
    limit = inputs.number(path, "A cap")
    u_power = machine_power_u_rel(measured, machine_rung(measured, inputs))
    if path == "cap.power_w":
        pue = inputs.number("power.pue", "A cap at the building's meter")
        each = ItPower(power_w=machine_w(measured, inputs, "A cap of power")).facility(pue).power_w
        return _capped(path, limit, "W", each, f"{pue:g} x its power at work", u_power)
    if path == "circuit.voltage_v":
        limit, words = _circuit_w(inputs)
        return _capped("circuit", limit, "W", machine_w(measured, inputs, "A circuit"), words, u_power)
    if path == "cap.capital_usd":
        return _capped(path, limit, "USD", inputs.number("hardware.price_usd", "A cap of capital"), "its price", None)
    inputs.number("use.utilisation", "A yearly budget")
    hourly = hourly_cost(measured, inputs)
    u_year = None if hourly.u_power_rel is None else hourly.u_power_rel * hourly.energy_share_busy
    return _capped(path, limit, "USD/year", hourly.mean_usd * HOURS_PER_YEAR, "its year, idle hours too", u_year)


def _capped(name: str, limit: float, unit: str, each: float, words: str, u_rel: float | None) -> Cap:
    count = limit / each * (1 + 1e-12)  # so that a limit of whole machines holds them all
    if count > MACHINES_MAX:
        raise UsageError("More than a million machines would fit", f"{limit:g} {unit} of {each:g}", "Check the limit.")
    spread = COVERAGE * (u_rel or 0.0)
    return Cap(
        name=name.removeprefix("cap."),
        limit=limit,
        unit=unit,
        each=each,
        u_each_rel=u_rel,
        machines=math.floor(count),
        machines_low=math.floor(count / (1 + spread)),
        machines_high=math.floor(count / (1 - spread)) if spread < 1 else MACHINES_MAX,
        words=words,
    )


def _both(u_rate_rel: float | None, u_power_rel: float | None) -> float | None:
    """Return the uncertainty of what rests on rate and power, None where the rate's is not stated."""
    return None if u_rate_rel is None else math.hypot(u_rate_rel, u_power_rel or 0.0)


def _circuit_w(inputs: CostInputs) -> tuple[float, str]:
    """Return what a circuit may carry for hours, in W: U I, times sqrt(3) for three phases; power factor 1."""
    voltage, current, phases, share = (
        inputs.number(f"circuit.{name}", "A circuit") for name in ("voltage_v", "current_a", "phases", "usable_share")
    )
    if phases not in (1, 3):
        raise UsageError("A circuit has one phase or three", f"circuit.phases is {phases:g}", "Give 1 or 3.")
    factor = math.sqrt(3) if phases == 3 else 1.0
    words = f"{voltage:g} V x {current:g} A x {factor:.4g} x {share:g}, power factor 1"
    return voltage * current * factor * share, words


def _users(peak_per_s: float, inputs: CostInputs) -> float | None:
    per_user = inputs.optional("workload.queries_per_user_day")
    share = inputs.optional("workload.peak_share")
    if share is None and inputs.schedule is not None:
        share = max(inputs.schedule) / math.fsum(inputs.schedule)
    return None if per_user is None or share is None else peak_per_s * 3600 / (per_user * share)


def _per_mw(measured: Measured, inputs: CostInputs) -> float | None:
    pue, power_w = inputs.optional("power.pue"), machine_rung(measured, inputs).power_w
    if pue is None or power_w is None:
        return None
    return units_per_s_per_mw(measured.queries_per_s.value, ItPower(power_w=power_w).facility(pue))
