"""How many machines a load needs, what they cost and draw; or what fits under a cap, and how long a battery lasts."""

import math
from dataclasses import dataclass

from wattbench.results.economics.capital import HOURS_PER_YEAR
from wattbench.results.economics.fleet import headroom, instances_for_rate, instances_for_wait, peak_rate
from wattbench.results.economics.hourly import hourly_cost
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import energy_u_rel, machine_rung
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.power import ItPower
from wattbench.results.economics.query import Money, u_cost_rel
from wattbench.results.economics.service import ServiceLevel, service_level
from wattbench.results.errors import UsageError

__all__ = ["FleetPlan", "Load", "fleet_plan", "load_of", "machine_w"]

PURPOSE = "The size of a fleet"
INSTANCES_MAX = 1_000_000
COVERAGE, SPREAD_MAX = 2.0, 0.9
"""Ranges of whole machines are at the ends of the expanded uncertainty, k=2 (about 95 %), short of the whole rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What arrives: queries per second in the busiest hour, and on the mean of the day where that is known."""

    peak_per_s: float
    mean_per_s: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The machines for a load. `needed` carry the peak, `machines` has the spares too.

    `machines_low` and `machines_high` are those for the ends of the measured throughput (k=2).
    `headroom_share` is what the peak leaves free of the needed ones' rate, `utilisation` the mean load of all. Money is
    of a year; `peak_w` is at the building's meter with all machines at work, None without a power, `u_peak_w_rel` its
    relative standard uncertainty (k=1) by that of throughput, which moves their count, and of the watts.
    """

    load: Load
    service: ServiceLevel | None
    needed: int
    machines: int
    machines_low: int
    machines_high: int
    headroom_share: float
    utilisation: float
    usd_per_year: Money
    usd_per_query: Money
    price_usd: float | None
    peak_w: float | None
    u_peak_w_rel: float | None
    notes: tuple[str, ...]


def load_of(inputs: CostInputs) -> Load | None:
    """Return the load that the inputs describe, None where they describe none. Raises UsageError for half of one."""
    peak, users = inputs.optional("workload.peak_queries_per_s"), inputs.optional("workload.users")
    per_day = inputs.optional("workload.queries_per_day")
    if users is not None and (peak is not None or per_day is not None):
        other = "peak_queries_per_s" if peak is not None else "queries_per_day"
        raise UsageError("The load is given twice", f"workload.users and workload.{other}", "Keep one of the two.")
    if peak is not None:
        mean = None if per_day is None else per_day / 86_400
        return Load(peak_per_s=peak, mean_per_s=mean, words="workload.peak_queries_per_s")
    if users is None and per_day is None:
        return None
    if users is not None:
        per_day = users * inputs.number("workload.queries_per_user_day", PURPOSE)
    assert per_day is not None, "one of the two was given"
    share, words = _peak_share(inputs)
    peak = peak_rate(users=per_day, tasks_per_day=1, calls_per_task=1, peak_share=share)
    return Load(peak_per_s=peak, mean_per_s=per_day / 86_400, words=f"{share:.3g} of a day's queries, {words}")


def fleet_plan(measured: Measured, inputs: CostInputs, load: Load) -> FleetPlan:
    """Return how many machines carry a load within the promise, and what they cost. Raises UsageError."""
    rate, service = measured.queries_per_s.value, service_level(measured, inputs)
    if load.peak_per_s / rate > INSTANCES_MAX:
        why = f"{load.peak_per_s:g} queries/s at {rate:g} a machine"
        raise UsageError("More than a million machines would be needed", why, "Check the load and its unit.")
    spares = inputs.number("slo.spares", PURPOSE)
    if spares != int(spares):
        raise UsageError("Spares are whole machines", f"slo.spares is {spares:g}", "Give a whole number.")
    needed = _needed(load, rate, service)
    machines = needed + int(spares)
    spread = min(COVERAGE * (measured.queries_per_s.u_rel or 0.0), SPREAD_MAX)
    low, high = (_needed(load, rate * factor, service) for factor in (1 + spread, 1 - spread))
    utilisation, notes = _utilisation(load, inputs, machines * rate)
    hourly = hourly_cost(measured, inputs.with_value("use.utilisation", utilisation, "of the planned machines"))
    u_rel = u_cost_rel(hourly, measured.queries_per_s.u_rel)
    yearly = Money(usd=machines * hourly.mean_usd * HOURS_PER_YEAR, u_rel=u_rel)
    queries = machines * rate * utilisation * HOURS_PER_YEAR * 3600
    price = inputs.optional("hardware.price_usd")
    power_w, pue = machine_rung(measured, inputs).power_w, inputs.optional("power.pue")
    known = power_w is not None and pue is not None
    return FleetPlan(
        load=load,
        service=service,
        needed=needed,
        machines=machines,
        machines_low=low + int(spares),
        machines_high=high + int(spares),
        headroom_share=headroom(needed, arrivals_per_s=load.peak_per_s, served_per_s=rate),
        utilisation=utilisation,
        usd_per_year=yearly,
        usd_per_query=yearly.times(1 / queries),
        price_usd=None if price is None or hourly.kind == "rented" else machines * price,
        peak_w=ItPower(power_w=machines * power_w).facility(pue).power_w if known and power_w and pue else None,
        u_peak_w_rel=energy_u_rel(measured, inputs) if known else None,
        notes=(*notes, *_model_notes(service), *hourly.notes, *measured.notes),
    )


def _needed(load: Load, rate: float, service: ServiceLevel | None) -> int:
    if service is None:
        return instances_for_rate(load.peak_per_s, rate)
    try:
        return instances_for_wait(
            arrivals_per_s=load.peak_per_s, served_per_s=rate, wait_s=service.wait_s, probability=service.share
        )
    except ValueError as exc:
        why = f"{load.peak_per_s:g} queries/s at {rate:g} a machine, and the promise"
        raise UsageError("More than a million machines would be needed", why, "Check the load and its unit.") from exc


def machine_w(measured: Measured, inputs: CostInputs, purpose: str) -> float:
    """Return the power of one machine at work, at its plug. Raises UsageError where it is unknown."""
    rung = machine_rung(measured, inputs)
    if rung.power_w is None:
        raise UsageError(
            f"{purpose} needs the machine's power",
            rung.words,
            "Measure it at the plug (`bench run --power`), or declare it: --active-w, or --host-w beside the device.",
        )
    return rung.power_w


def _peak_share(inputs: CostInputs) -> tuple[float, str]:
    """Return the busiest hour's share of a day's queries: as given, or by the day's schedule."""
    if inputs.optional("workload.peak_share") is None and inputs.schedule is not None:
        return max(inputs.schedule) / math.fsum(inputs.schedule), "by use.schedule"
    return inputs.number("workload.peak_share", f"{PURPOSE} (or use.schedule)"), "workload.peak_share"


def _utilisation(load: Load, inputs: CostInputs, whole_per_s: float) -> tuple[float, list[str]]:
    if load.mean_per_s is None:
        return inputs.number("use.utilisation", f"{PURPOSE} without workload.queries_per_day"), []
    if load.mean_per_s > load.peak_per_s:
        why = f"{load.mean_per_s:.4g} queries/s on the mean, {load.peak_per_s:.4g} in the busiest hour"
        raise UsageError("The mean load is above its peak", why, "Check workload.queries_per_day and the peak.")
    utilisation = load.mean_per_s / whole_per_s
    given = inputs.optional("use.utilisation")
    if given is None or math.isclose(given, utilisation):
        return utilisation, []
    return utilisation, [f"use.utilisation {given:.3g} is not used: the load gives these machines {utilisation:.3g}"]


def _model_notes(service: ServiceLevel | None) -> tuple[str, ...]:
    if service is None:
        return ("no promise is given (slo.*): the machines carry the peak hour's mean, and queries will wait",)
    return ("each machine counts as one server with the measured rate, arrivals are random (Poisson): Erlang C",)
