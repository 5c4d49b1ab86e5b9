"""`bench cost fleet`: how many machines a load needs, or what fits under a cap."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wattbench.harness.cli.cost.lines import (
    amount,
    head_lines,
    input_lines,
    ladder_lines,
    money,
    note_lines,
    row,
    spread,
)
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.caps import Battery, Fit, battery_of, fit_of
from wattbench.results.economics.ladder import ladder_of
from wattbench.results.economics.sizing import FleetPlan, fleet_plan, load_of
from wattbench.results.errors import UsageError

__all__ = ["battery_lines", "command", "fit_lines", "plan_lines"]

WORKLOAD = ("users", "queries_per_user_day", "queries_per_day", "peak_share", "peak_queries_per_s")
SLO = ("slo.latency_s", "slo.wait_s", "slo.late_share", "slo.spares")


@click.command("fleet")
@click.argument("result", type=Path)
@input_options(*(f"workload.{name}" for name in WORKLOAD), *SLO, "cap", "circuit", "battery")
def command(result: Path, as_json: bool, **options: Any) -> int:  # any: what click gives
    """Say how many machines of RESULT carry a load within a promise; or what a cap, a circuit, a battery carries."""
    found = asked(result, options)
    battery, load = battery_of(found.measured, found.inputs), load_of(found.inputs)
    fit = fit_of(found.measured, found.inputs)
    if load is None and fit is None and battery is None:
        raise UsageError(
            "There is nothing to size",
            "neither a load (workload.*), a cap (cap.*, circuit.*) nor a battery was given",
            "Use --users and --queries-per-user-day, --peak-queries-per-s, --cap-power-w, --battery-energy-wh, ...",
        )
    plan = None if load is None else fleet_plan(found.measured, found.inputs, load)
    if as_json:
        parts = {"plan": plan, "fit": fit, "battery": battery}
        figures = {name: None if part is None else asdict(part) for name, part in parts.items()}
        print_json(derived("fleet", [found.measured], found.inputs, figures))
    else:
        print_lines(_lines(found, plan, fit, battery))
    return 0


def plan_lines(plan: FleetPlan) -> Iterator[str]:
    """Return a planned fleet as lines."""
    yield row("load", f"{amount(plan.load.peak_per_s)} queries/s in the busiest hour ({plan.load.words})")
    if plan.service is not None:
        promise = f"at most {plan.service.share:.3g} wait longer than {plan.service.wait_s:.4g} s"
        yield row("promise", f"{promise} ({plan.service.words})")
    spares = plan.machines - plan.needed
    parts = f"{plan.needed:,} and {spares:,} spare, {plan.headroom_share:.1%} headroom"
    yield row("machines", f"{plan.machines:,}{_range(plan.machines_low, plan.machines_high)}: {parts}")
    yield row("at work", f"{plan.utilisation:.1%} of the hours, on the mean of all")
    if plan.price_usd is not None:
        yield row("purchase", f"{amount(plan.price_usd)} USD")
    yield row("year", money(plan.usd_per_year))
    yield row("query", money(plan.usd_per_query))
    if plan.peak_w is None:
        yield row("building's meter", "absent (no power, or no power.pue)")
    else:
        yield row("building's meter", f"{amount(plan.peak_w)} W{spread(plan.u_peak_w_rel)} with all at work")


def fit_lines(fit: Fit) -> Iterator[str]:
    """Return what fits under caps as lines."""
    for cap in fit.caps:
        each = f"{amount(cap.limit)} {cap.unit}, {amount(cap.each)}{spread(cap.u_each_rel)} a machine ({cap.words})"
        yield row(f"cap {cap.name}", f"{_machines(cap.machines, cap.machines_low, cap.machines_high)}: {each}")
    yield row("fits", f"{_machines(fit.machines, fit.machines_low, fit.machines_high)}, by {fit.binding}")
    yield row("carries", f"{amount(fit.peak_per_s)} queries/s{spread(fit.u_peak_rel)} in the busiest hour, {fit.words}")
    if fit.users is not None:
        yield row("users", f"{amount(fit.users)}{spread(fit.u_peak_rel)}")
    if fit.queries_per_s_per_mw is not None:
        rate = f"{amount(fit.queries_per_s_per_mw)} queries/s{spread(fit.u_per_mw_rel)}"
        yield row("per megawatt", f"{rate} at the building's meter")


def battery_lines(battery: Battery) -> Iterator[str]:
    """Return what a battery's charge does as lines."""
    yield row("battery", f"{amount(battery.usable_wh)} Wh usable, {amount(battery.active_w)} W at work")
    hours = f"{battery.hours_at_work:.3g} h{spread(battery.u_hours_rel)}"
    queries = f"{amount(battery.queries_at_work)} queries a charge{spread(battery.u_queries_rel)}"
    yield row("always at work", f"{hours}, {queries}")
    if battery.hours_mixed is None or battery.queries_mixed is None:
        yield row("with rest", f"- ({battery.words})")
    else:
        hours = f"{battery.hours_mixed:.3g} h{spread(battery.u_hours_mixed_rel)}"
        mixed = f"{hours}, {amount(battery.queries_mixed)} queries a charge{spread(battery.u_queries_mixed_rel)}"
        yield row("with rest", f"{mixed} ({battery.words})")


def _machines(count: int, low: int, high: int) -> str:
    return f"{count:,} machine{'' if count == 1 else 's'}{_range(low, high)}"


def _range(low: int, high: int) -> str:
    """Return the machines at the ends of what is known (k=2), nothing where the count is the same."""
    return "" if low == high else f" ({low:,} .. {high:,}, k=2)"


def _lines(found: Asked, plan: FleetPlan | None, fit: Fit | None, battery: Battery | None) -> Iterator[str]:
    yield from head_lines(found.measured)
    if plan is not None:
        yield from (*plan_lines(plan), "")
    if fit is not None:
        yield from (*fit_lines(fit), "")
        if plan is not None:
            enough = "enough" if fit.machines >= plan.machines else "not enough"
            yield from (row("together", f"{plan.machines:,} needed, {fit.machines:,} fit: {enough}"), "")
    if battery is not None:
        yield from (*battery_lines(battery), "")
    yield from ladder_lines(ladder_of(found.measured, found.inputs))
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(found.measured.notes if plan is None else plan.notes)
    if found.measured.queries_per_s.u_rel is None:
        yield "  - the result states no uncertainty of its throughput, so what rests on it has none"
