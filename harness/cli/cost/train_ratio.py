"""`bench cost train-ratio`: when inference overtakes training."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, note_lines, row, spread
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.lifetime import Lifetime, Overtaking, lifetime_of

__all__ = ["command", "lifetime_lines"]

ROWS = 13
"""The most months that the text shows; JSON has them all."""


@click.command("train-ratio")
@click.argument("result", type=Path)
@input_options("training", "workload.queries_per_day", "workload.growth_per_month")
def command(result: Path, as_json: bool, **options: Any) -> int:  # any: what click gives
    """Say after how many queries inference has cost as much as training, and its share month by month."""
    found = asked(result, options)
    life = lifetime_of(found.measured, found.inputs)
    if as_json:
        print_json(derived("train-ratio", [found.measured], found.inputs, {"lifetime": asdict(life)}))
    else:
        print_lines(lifetime_lines(found, life))
    return 0


def lifetime_lines(found: Asked, life: Lifetime) -> Iterator[str]:
    """Return when inference overtakes training, and its share over the months, as lines."""
    yield from head_lines(found.measured)
    for label, side in (("money", life.money), ("energy", life.energy)):
        if side is not None:
            yield row(label, f"{_when(side)}, {amount(side.per_query)} {side.unit} a query ({side.basis})")
    for reason in life.missing:
        yield row("absent", reason)
    yield ""
    yield row("month", f"{'queries':>16}{'of money':>12}{'of energy':>12}")
    months = len(life.queries_by_month)
    step = max(1, -(-months // ROWS))
    for month in (*range(step, months, step), months):
        shares = "".join(f"{_share(side, month):>12}" for side in (life.money, life.energy))
        yield row(str(month), f"{amount(life.queries_by_month[month - 1]):>16}{shares}")
    yield ""
    yield from ladder_lines(life.ladder)
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(life.notes)


def _when(side: Overtaking) -> str:
    month = "not within these months" if side.month is None else f"in month {side.month}"
    queries = f"{amount(side.queries)} queries{spread(side.u_rel)}"
    return f"inference overtakes {amount(side.training)} {side.unit} after {queries}, {month}"


def _share(side: Overtaking | None, month: int) -> str:
    return "-" if side is None else f"{side.shares[month - 1]:.1%}"
