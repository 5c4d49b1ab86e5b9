"""`bench cost query`: what one query costs, from a result file and the prices of its surroundings."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, money, note_lines, row
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.results.economics.ladder import Ladder
from wattbench.results.economics.query import Money, QueryCost, query_cost
from wattbench.results.economics.service import LATENCY_PROMISES, OnTime

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["command", "cost_lines", "query_lines"]


@click.command("query")
@click.argument("result", type=Path)
@input_options(*LATENCY_PROMISES)
@plot_option
def command(result: Path, plots: tuple[Path, ...], as_json: bool, **options: Any) -> int:  # any: what click gives
    """Say what one query of RESULT costs: while the machine is busy, and with its idle hours paid."""
    found = asked(result, options)
    cost = query_cost(found.measured, found.inputs)
    write_plots(plots, lambda: _figure(found, cost))
    if as_json:
        print_json(derived("query", [found.measured], found.inputs, {"cost": asdict(cost)}))
    else:
        print_lines(query_lines(found, cost))
    return 0


def query_lines(found: Asked, cost: QueryCost) -> Iterator[str]:
    """Return the cost of a query as lines: money, energy by rung, inputs used, what is missing."""
    yield from head_lines(found.measured)
    yield from cost_lines(cost)
    if cost.phases is None:
        yield row("of usage", "input and output apart: - (the phases were not measured apart)")
    else:
        yield row("of usage", f"input {cost.phases.input_usd:.4g} USD + output {cost.phases.output_usd:.4g} USD")
    for name, price in (("input", cost.usd_per_million_input), ("output", cost.usd_per_million_output)):
        if price is not None:
            yield row(f"{name} tokens", f"{amount(price)} USD per million (usage)")
    yield ""
    yield from ladder_lines(Ladder(energies=cost.energies, embodied=cost.embodied))
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(cost.notes)


def cost_lines(cost: QueryCost) -> Iterator[str]:
    """Return what the hour costs, and the query by usage and by reservation."""
    hourly = cost.hourly
    energy = "" if hourly.energy_busy_usd is None else f", energy {hourly.energy_busy_usd:.4g}"
    parts = f"{hourly.kind}: {'capital' if hourly.kind == 'owned' else 'rent'} {hourly.capital_usd:.4g}{energy}"
    yield row("hour", f"{hourly.busy_usd:.4g} USD at work ({parts})")
    yield row("query, usage", f"{money(cost.usage)}: only the busy time is paid")
    paid = "" if cost.reservation is None else ": idle hours are paid too"
    yield row("query, reserved", f"{money(cost.reservation, cost.reservation_reason or '')}{paid}")
    if cost.on_time is not None:
        yield row("on time", f"{_share(cost.on_time)} of the queries keep the promise, by the measured quantiles")
        both = ((cost.usage, "usage"), (cost.reservation, "reserved"))
        found = [f"{_punctual(each, cost.on_time)} {word}" for each, word in both if each is not None]
        yield row("query on time", f"{'; '.join(found)}: late ones cost as much and count for nothing")


def _share(found: OnTime) -> str:
    return (
        f"{100 * found.low:.4g} %" if found.low == found.high else f"{100 * found.low:.4g} to {100 * found.high:.4g} %"
    )


def _punctual(cost: Money, found: OnTime) -> str:
    """Return what a query that came in time costs, late ones having cost as much: least, and most where it is known."""
    low = f"{amount(cost.usd / found.high)}" if found.high > 0 else "none comes in time"
    if found.high <= 0 or found.low == found.high:
        return f"{low} USD" if found.high > 0 else low
    return f"{low} to {amount(cost.usd / found.low)} USD" if found.low > 0 else f"at least {low} USD"


def _figure(found: Asked, cost: QueryCost) -> "Figure":
    from wattbench.results.plots.sheet import origins
    from wattbench.results.plots.waterfall import plot_waterfall

    ladder = Ladder(energies=cost.energies, embodied=cost.embodied)
    return plot_waterfall(ladder, found.measured, origins([found.measured]))
