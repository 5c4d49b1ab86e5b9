"""`bench cost carbon`: what a query emits and drinks."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, note_lines, row, spread
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.carbon import Carbon, carbon_of
from wattbench.results.economics.measured import Quantity

__all__ = ["carbon_lines", "command"]


@click.command("carbon")
@click.argument("result", type=Path)
@input_options("carbon", "workload.queries_per_day")
def command(result: Path, as_json: bool, **options: Any) -> int:  # any: what click gives
    """Say what one query of RESULT emits and drinks: grid, contract, the machine's making, water, SCI."""
    found = asked(result, options)
    carbon = carbon_of(found.measured, found.inputs)
    if as_json:
        print_json(derived("carbon", [found.measured], found.inputs, {"carbon": asdict(carbon)}))
    else:
        print_lines(carbon_lines(found, carbon))
    return 0


def carbon_lines(found: Asked, carbon: Carbon) -> Iterator[str]:
    """Return the footprint of a query as lines, and of a year where the queries a day are given."""
    per_day = found.inputs.optional("workload.queries_per_day")
    yield from head_lines(found.measured)
    if carbon.it_energy_j is not None and carbon.facility_energy_j is not None:
        energy = f"{amount(carbon.it_energy_j)} J at the machine, {amount(carbon.facility_energy_j)} J at the building"
        yield row("energy", energy)
    for label, quantity, words in (
        ("grid", carbon.location, "g CO2e a query, location based"),
        ("contract", carbon.market, "g CO2e a query, market based"),
    ):
        if quantity is not None:
            yield row(label, f"{_known(quantity, words)}{_year(quantity.value / 1000, 'kg', per_day)}")
    if carbon.embodied_g is not None:
        yield row(
            "making", f"{amount(carbon.embodied_g)} g CO2e a query{_year(carbon.embodied_g / 1000, 'kg', per_day)}"
        )
    if carbon.sci is not None:
        yield row("SCI", _known(carbon.sci, "g CO2e a query: (E I) + M, ISO/IEC 21031"))
    if carbon.water is not None:
        litres = Quantity(value=carbon.water.value * 1000, u_rel=carbon.water.u_rel)
        yield row("water", f"{_known(litres, 'mL a query')}{_year(carbon.water.value, 'L', per_day)}")
    for reason in carbon.missing:
        yield row("absent", reason)
    yield ""
    yield from ladder_lines(carbon.ladder)
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(carbon.notes)


def _known(quantity: Quantity, words: str) -> str:
    return f"{amount(quantity.value)} {words}{spread(quantity.u_rel)}"


def _year(each: float, unit: str, per_day: float | None) -> str:
    return "" if per_day is None else f"; {amount(each * per_day * 365)} {unit} a year"
