"""`bench cost task`: what one successful agentic task costs."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, money, note_lines, row
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options
from wattbench.harness.cli.cost.query import cost_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.ladder import Ladder
from wattbench.results.economics.task import TaskCost, task_cost

__all__ = ["command", "task_lines"]

FIELDS = (
    "calls",
    "input_tokens",
    "output_tokens",
    "growth_tokens",
    "cached_share",
    "retry_share",
    "success_share",
    "tools_usd",
)


@click.command("task")
@click.argument("result", type=Path)
@input_options(*(f"workload.{name}" for name in FIELDS))
def command(result: Path, as_json: bool, **options: Any) -> int:  # any: what click gives
    """Say what one agentic task costs on the machine of RESULT: calls with growing context, retries, failures."""
    found = asked(result, options)
    cost = task_cost(found.measured, found.inputs)
    if as_json:
        print_json(derived("task", [found.measured], found.inputs, {"cost": asdict(cost)}))
    else:
        print_lines(task_lines(found, cost))
    return 0


def task_lines(found: Asked, cost: TaskCost) -> Iterator[str]:
    """Return the cost of a task as lines."""
    shape = cost.shape
    yield from head_lines(found.measured)
    yield row("attempt", f"{shape.calls} calls{_lengths(cost)}")
    done = f"{shape.retry_share:.3g} of the calls repeated, {shape.success_share:.3g} of the tasks end well"
    yield row("", done)
    yield row("machine time", f"{amount(cost.queries)} measured queries for each task that ends well")
    yield from cost_lines(cost.query)
    tools = "" if cost.tools_usd == 0 else f", of which {amount(cost.tools_usd)} USD for tools"
    yield row("task, usage", f"{money(cost.usage)}: a successful task, busy time alone{tools}")
    reason = cost.query.reservation_reason or ""
    paid = "" if cost.reservation is None else f": a successful task, idle hours paid too{tools}"
    yield row("task, reserved", f"{money(cost.reservation, reason)}{paid}")
    yield ""
    ladder = Ladder(energies=cost.query.energies, embodied=cost.query.embodied)
    yield from ladder_lines(ladder, cost.queries, "a successful task")
    yield ""
    yield from input_lines(found.inputs)
    yield from note_lines(cost.notes)


def _lengths(cost: TaskCost) -> str:
    shape = cost.shape
    if shape.input_tokens is None or shape.last_input_tokens is None:
        return " of the measured query"
    cached = f" ({shape.cached_share:.3g} of them cached)" if shape.cached_share else ""
    grown = (
        f"{shape.input_tokens:,.0f} .. {shape.last_input_tokens:,.0f}"
        if shape.growth_tokens
        else f"{shape.input_tokens:,.0f}"
    )
    return f" of {grown} tokens in{cached}, {shape.output_tokens or 0:,.0f} out"
