"""`bench cost bill`: what a stream of queries costs a year."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, money, note_lines, row
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options, inputs_of
from wattbench.harness.cli.cost.query import cost_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.results.economics.bill import AtPrice, Bill, at_prices, bill_of
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import Ladder
from wattbench.results.economics.measured import Measured
from wattbench.results.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bill_lines", "command", "price_lines"]

AT_MAX = 1000.0


@click.command("bill")
@click.argument("result", type=Path, required=False)
@click.option(
    "--at", "at", type=float, multiple=True, metavar="USD", help="Price of a query to show beside; repeatable."
)
@input_options("workload.queries_per_day")
@plot_option
def command(
    result: Path | None, at: tuple[float, ...], plots: tuple[Path, ...], as_json: bool, **options: Any
) -> int:  # any: what click gives
    """Say what queries cost a year on the machine of RESULT, and at stated prices (which need no RESULT)."""
    for price in at:
        if not 0 < price <= AT_MAX:
            raise UsageError(f"--at cannot be {price:g}", "it is no price of a query", f"Give USD, up to {AT_MAX:g}.")
    if result is None and not at:
        raise UsageError("There is nothing to bill", "neither a RESULT nor --at was given", "Give one of them.")
    inputs = inputs_of(options)
    stated = at_prices(inputs.number("workload.queries_per_day", "A yearly bill"), at)
    if result is None:
        write_plots(plots, lambda: _figure(None, None, stated, inputs))
        if as_json:
            print_json(derived("bill", [], inputs, {"at": [asdict(line) for line in stated]}))
        else:
            print_lines((*price_lines(stated), "", *input_lines(inputs)))
        return 0
    found = asked(result, options)
    bill = bill_of(found.measured, found.inputs)
    write_plots(plots, lambda: _figure(found.measured, bill, stated, inputs))
    if as_json:
        figures = {"cost": asdict(bill), "at": [asdict(line) for line in stated]}
        print_json(derived("bill", [found.measured], inputs, figures))
    else:
        print_lines(bill_lines(found, bill, stated))
    return 0


def bill_lines(found: Asked, bill: Bill, stated: Sequence[AtPrice]) -> Iterator[str]:
    """Return a yearly bill as lines."""
    yield from head_lines(found.measured)
    yield from cost_lines(bill.query)
    yield ""
    yield row("a year", f"of {amount(bill.queries_per_day)} queries a day")
    yield row("usage", f"{money(bill.usage)}: only the busy time is paid")
    yield row("reserved", money(bill.reservation, bill.query.reservation_reason or ""))
    if bill.whole is not None and bill.utilisation is not None:
        count = f"{bill.machines:,} {'machine' if bill.machines == 1 else 'machines'} at work {bill.utilisation:.1%}"
        yield row("whole machines", f"{money(bill.whole)}: {count} of the hours")
    yield from price_lines(stated)
    yield ""
    yield from ladder_lines(Ladder(energies=bill.query.energies, embodied=bill.query.embodied))
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(bill.notes)


def price_lines(stated: Sequence[AtPrice]) -> Iterator[str]:
    """Return the bill at each stated price of a query."""
    for line in stated:
        yield row(f"at {line.usd_per_query:g} USD", f"{amount(line.usd_per_year)} USD a year")


def _figure(measured: Measured | None, bill: Bill | None, stated: Sequence[AtPrice], inputs: CostInputs) -> "Figure":
    from wattbench.results.plots.bill import plot_bill
    from wattbench.results.plots.sheet import origins

    per_day = inputs.number("workload.queries_per_day", "A yearly bill")
    return plot_bill(bill, stated, per_day, origins([] if measured is None else [measured]))
