"""`bench cost query`: what one query costs, from a result file and the prices of its surroundings."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wattbench.harness.cli.cost.options import Asked, asked, input_options
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.query import Money, QueryCost, query_cost

__all__ = ["command", "query_lines"]

WIDTH = 18


@click.command("query")
@click.argument("result", type=Path)
@input_options
def command(
    result: Path, cost_file: Path | None, allow_invalid: bool, as_json: bool, **flags: Any
) -> int:  # any: one float or None an input
    """Say what one query of RESULT costs: while the machine is busy, and with its idle hours paid."""
    found = asked(result, cost_file, allow_invalid, flags)
    cost = query_cost(found.measured, found.inputs)
    if as_json:
        measured, inputs = asdict(found.measured), [asdict(given) for given in found.inputs.given.values()]
        print_json(
            {
                "kind": "derived",
                "of": found.measured.result_id,
                "measured": measured,
                "inputs": inputs,
                "cost": asdict(cost),
            }
        )
    else:
        print_lines(query_lines(found, cost))
    return 0


def query_lines(found: Asked, cost: QueryCost) -> Iterator[str]:
    """Return the cost of a query as lines: money, energy by rung, inputs used, what is missing."""
    measured, hourly = found.measured, cost.hourly
    yield f"{measured.load}, {measured.precision}, {measured.device}"
    lengths = f"{measured.input_tokens:g} tokens in, {measured.output_tokens:g} out"
    yield f"{measured.queries_per_s.value:.4g} queries/s, {lengths}"
    for warning in measured.warnings:
        yield f"  x {warning}: no figure below is to be quoted"
    yield ""
    energy = "" if hourly.energy_busy_usd is None else f", energy {hourly.energy_busy_usd:.4g}"
    parts = f"{hourly.kind}: {'capital' if hourly.kind == 'owned' else 'rent'} {hourly.capital_usd:.4g}{energy}"
    yield f"{'hour':<{WIDTH}}{hourly.busy_usd:.4g} USD at work ({parts})"
    yield f"{'query, usage':<{WIDTH}}{_money(cost.usage)}: only the busy time is paid"
    if cost.reservation is None:
        yield f"{'query, reserved':<{WIDTH}}- ({cost.reservation_reason})"
    else:
        yield f"{'query, reserved':<{WIDTH}}{_money(cost.reservation)}: idle hours are paid too"
    yield f"{'of usage':<{WIDTH}}input {cost.phases.input_usd:.4g} USD + output {cost.phases.output_usd:.4g} USD"
    for name, price in (("input", cost.usd_per_million_input), ("output", cost.usd_per_million_output)):
        if price is not None:
            yield f"{f'{name} tokens':<{WIDTH}}{price:.4g} USD per million (usage)"
    yield ""
    yield "energy of a query, up to"
    for row in cost.energies:
        figure = "absent" if row.energy_j is None else f"{row.energy_j:.4g} J, {row.queries_per_kwh:.4g} queries/kWh"
        yield f"  {row.rung.name:<{WIDTH - 2}}{figure} ({row.rung.provenance}: {row.rung.words})"
    yield ""
    yield "inputs"
    for given in found.inputs.given.values():
        origin = ", ".join(word for word in (given.place, given.source, given.date) if word)
        yield f"  {given.path:<{WIDTH + 12}}{given.value:g}  ({origin})"
    for note in cost.notes:
        yield f"  - {note}"


def _money(money: Money) -> str:
    spread = " (uncertainty not stated)" if money.u_rel is None else f" +/- {200 * money.u_rel:.2g} % (k=2)"
    return f"{money.usd:.4g} USD{spread}"
