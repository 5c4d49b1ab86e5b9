"""`bench cost breakeven`: when owning pays, against a price list, a rent, or the old machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, note_lines, row, spread
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options, measured_file
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.results.economics.breakeven import (
    AgainstApi,
    AgainstRent,
    against_api,
    against_rent,
    hour_parts,
)
from wattbench.results.economics.cash import CashPoint, Payback
from wattbench.results.economics.ladder import ladder_of
from wattbench.results.economics.price_lists import spread_words, with_list
from wattbench.results.economics.replacing import Replacement, Side, replacement_of
from wattbench.results.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["api_lines", "command", "curve_lines", "rent_lines", "replacement_lines"]

CURVES = ("breakeven", "payback")


@click.command("breakeven")
@click.argument("result", type=Path)
@click.option("--replace", type=Path, metavar="OLD", help="Result of the old machine that RESULT's would replace.")
@click.option("--api", "listed", metavar="PROVIDER:MODEL", help="A stored price list (`bench cost prices`).")
@click.option("--curve", type=click.Choice(CURVES), help="What --plot draws; breakeven where there is a price or rent.")
@input_options("api", "old", "workload.queries_per_day", "workload.cached_share")
@plot_option
def command(
    result: Path,
    replace: Path | None,
    listed: str | None,
    curve: str | None,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> int:  # any: what click gives
    """Say when the machine of RESULT pays: against a price list, against renting it, or by replacing an old one.

    Where a stream of queries or a utilisation is given, its payback is followed over the machine's life, plain and as
    net present value.
    """
    found = asked(result, options)
    if listed is not None:
        found = Asked(measured=found.measured, inputs=with_list(found.inputs, listed))
    old = None if replace is None else measured_file(replace, options)
    api = against_api(found.measured, found.inputs)
    rent = against_rent(found.measured, found.inputs)
    new = None if old is None else replacement_of(found.measured, old, found.inputs)
    if api is None and rent is None and new is None:
        raise UsageError(
            "There is nothing to compare with",
            "no price list, no rent beside a purchase, and no old machine was given",
            "Use --api-usd-per-million-input and -output, or --usd-per-h beside --price-usd, or --replace OLD.",
        )
    paid = _paybacks(api, rent, new)
    write_plots(plots, lambda: _figure(found, api, rent, paid, curve))
    more = () if listed is None else spread_words(listed)
    parts = {"api": api, "rent": rent, "replace": new}
    if as_json:
        figures: dict[str, Any] = {name: None if part is None else asdict(part) for name, part in parts.items()}
        figures["notes"] = list(more)
        measured = [found.measured] if old is None else [found.measured, old]
        print_json(derived("breakeven", measured, found.inputs, figures))
    else:
        warnings = () if old is None else old.warnings
        print_lines([*_lines(found, old_warnings=warnings, api=api, rent=rent, new=new), *note_lines(more)])
    return 0


def api_lines(api: AgainstApi) -> Iterator[str]:
    """Return the comparison with a price list as lines."""
    yield row("price list", f"{amount(api.api_usd_per_query)} USD a query")
    yield row("own, never idle", f"{amount(api.own_usd_per_query_full)} USD a query")
    if api.utilisation is None:
        yield row("break-even", "never: the work alone costs more than the list")
    elif api.queries_per_day is None:
        yield row("break-even", f"never: it would need {api.utilisation:.1%} of the hours")
    else:
        share = f"{api.utilisation:.1%} of the hours at work{spread(api.u_rel)}"
        yield row("break-even", f"{share}, {amount(api.queries_per_day)} queries a day")
    if api.payback is not None:
        yield from _payback_lines(api.payback)


def rent_lines(rent: AgainstRent) -> Iterator[str]:
    """Return the comparison with renting as lines."""
    yield row("rent", f"{amount(rent.rent_usd_per_h)} USD/h, paid for working hours alone")
    never = rent.utilisation is None or rent.utilisation > 1
    share = (
        "never: the rent is below the cost of owning"
        if never
        else f"{rent.utilisation:.1%} of the hours at work{spread(rent.u_rel or None)}"
    )
    yield row("break-even", share)
    busy = "never idle" if rent.at_utilisation is None else f"{rent.at_utilisation:.1%} of the hours at work"
    if rent.hours is None or rent.hours_share is None:
        yield row("purchase paid", f"never, {busy}: the rent saved is less than the running costs")
    else:
        late = ": not within it" if rent.hours_share > 1 else ""
        taken = f"after {amount(rent.hours)} working hours, {rent.hours_share:.1%} of its life{late}"
        yield row("purchase paid", f"{taken} ({busy})")
    if rent.payback is not None:
        yield from _payback_lines(rent.payback)


def replacement_lines(new: Replacement) -> Iterator[str]:
    """Return the comparison with an old machine as lines."""
    yield row("work", f"{amount(new.queries_per_day)} queries a day on both")
    for label, side in (("old", new.old), ("new", new.new)):
        yield row(label, _side(side))
    spread_kwh = "" if new.u_saved_kwh is None else f" +/- {amount(2 * new.u_saved_kwh)} (k=2)"
    yield row("saved", f"{amount(new.saved_kwh_per_year)}{spread_kwh} kWh a year at the building's meter")
    yield from _payback_lines(new.payback)


def _lines(
    found: Asked,
    *,
    old_warnings: tuple[str, ...],
    api: AgainstApi | None,
    rent: AgainstRent | None,
    new: Replacement | None,
) -> Iterator[str]:
    yield from head_lines(found.measured)
    for warning in old_warnings:
        yield f"  x the old machine's result, {warning}: no figure below is to be quoted"
    notes: list[str] = []
    if api is not None:
        yield from (*api_lines(api), "")
        notes += api.notes
    if rent is not None:
        yield from (*rent_lines(rent), "")
        notes += rent.notes
    if new is not None:
        yield from (*replacement_lines(new), "")
        notes += new.notes
    yield from ladder_lines(ladder_of(found.measured, found.inputs))
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(notes)


def curve_lines(curve: Sequence[CashPoint]) -> Iterator[str]:
    """Return purchase and savings at the end of each year, and of the life, as a small table."""
    if not curve:
        return
    yield row("after", f"{'summed USD':>16}{'net present value USD':>24}")
    for point in [*curve[12:-1:12], curve[-1]]:
        label = f"  {point.month / 12:g} years" if point.month != 12 else "  1 year"
        yield row(label, f"{amount(point.summed_usd):>16}{amount(point.npv_usd):>24}")


def _paybacks(
    api: AgainstApi | None, rent: AgainstRent | None, new: Replacement | None
) -> dict[str, tuple[CashPoint, ...]]:
    """Return the curves that are known, by what the purchase is held against."""
    parts = (
        ("the price list", None if api is None else api.payback),
        ("the rent", None if rent is None else rent.payback),
        ("the old machine", None if new is None else new.payback),
    )
    return {name: payback.curve for name, payback in parts if payback is not None and payback.curve}


def _payback_lines(payback: Payback) -> Iterator[str]:
    yield row("payback", _payback(payback))
    yield from curve_lines(payback.curve)


def _payback(payback: Payback) -> str:
    price = f"{amount(payback.capital_usd)} USD for {payback.machines:,} machine{'' if payback.machines == 1 else 's'}"
    if payback.months is None:
        return f"never: {price} save nothing ({amount(payback.saved_usd_per_month)} USD a month)"
    interest = "never" if payback.months_discounted is None else f"{payback.months_discounted:.1f} months"
    saved = f"{amount(payback.saved_usd_per_month)} USD a month saved"
    return f"{payback.months:.1f} months ({interest} with interest): {price}, {saved}"


def _side(side: Side) -> str:
    count = f"{side.machines:,} x {side.device}, {side.utilisation:.1%} at work"
    money = f"{amount(side.energy_usd_per_year)} USD energy + {amount(side.opex_usd_per_year)} USD running costs a year"
    return f"{count}, {amount(side.mean_w)} W on the mean, {money}"


def _figure(
    found: Asked,
    api: AgainstApi | None,
    rent: AgainstRent | None,
    paid: Mapping[str, tuple[CashPoint, ...]],
    curve: str | None,
) -> "Figure":
    from wattbench.results.plots.breakeven import plot_breakeven
    from wattbench.results.plots.payback import PaybackOf, plot_payback
    from wattbench.results.plots.sheet import origins, plain

    made_of = origins([found.measured])
    if curve == "breakeven" or (curve is None and not (api is None and rent is None)):
        return plot_breakeven(hour_parts(found.measured, found.inputs), found.measured, api, rent, made_of)
    if not paid:
        why = "no stream of queries, no utilisation beside a rent, or no life of the machine was given"
        remedy = "Give --queries-per-day (or --usd-per-h with --utilisation) and --life-years, --residual-usd."
        raise UsageError("There is no payback curve to plot", why, remedy)
    title = f"Payback: {plain(found.measured.load, 40)} on {plain(found.measured.device, 36)}"
    return plot_payback(title, [PaybackOf(against=name, points=points) for name, points in paid.items()], made_of)
