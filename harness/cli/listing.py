"""`bench list`: the loads, backends and samplers that are installed."""

from dataclasses import asdict, dataclass

import click

from wattbench.harness.cli.escape import visible
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.device_status import MEANINGS, read_statuses
from wattbench.models.find import read_catalogue
from wattbench.models.load import Load
from wattbench.models.work import PRECISION_BYTES
from wattbench.results.plugins import plugin_names

__all__ = ["command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRow:
    """One line of `bench list loads`."""

    load: str
    family: str
    parameters: int
    input_tokens: int
    output_tokens: int
    turns: int
    weights_bf16_bytes: int
    version: int


@click.command("list")
@click.argument("what", type=click.Choice(["loads", "backends", "samplers"]))
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(what: str, as_json: bool) -> int:
    """List the loads, backends or samplers that are installed (whether they work here: `bench doctor`)."""
    if what == "loads":
        catalogue = read_catalogue()
        for problem in catalogue.problems:
            click.echo(f"Left out: {visible(str(problem))}", err=True)
        rows = [_row(load) for load in catalogue.loads]
        if as_json:
            print_json([asdict(row) for row in rows])
        else:
            print_lines(_load_lines(rows))
        return 0
    names = plugin_names(f"wattbench.{what}")
    if what == "backends":
        return _list_backends(names, as_json=as_json)
    if as_json:
        print_json(list(names))
    else:
        print_lines(names)
    return 0


def _list_backends(names: tuple[str, ...], *, as_json: bool) -> int:
    """Print the backends, and what was shown of each device by them."""
    rows = read_statuses()
    if as_json:
        print_json({"backends": list(names), "devices": [asdict(row) for row in rows]})
        return 0
    print_lines(names)
    width = max(len(row.name) for row in rows) + 2
    print_lines(["", f"{'device':<{width}}{'shown so far':<31}{'since':<12}run by"])
    print_lines(f"{row.name:<{width}}{MEANINGS[row.status]:<31}{row.date:<12}{row.how}" for row in rows)
    return 0


def _row(load: Load) -> LoadRow:
    shape = load.shape
    return LoadRow(
        load=load.name,
        family=load.model.family,
        parameters=load.model.parameter_count,
        input_tokens=shape.input_tokens,
        output_tokens=shape.output_tokens,
        turns=shape.turns,
        weights_bf16_bytes=round(PRECISION_BYTES["bfloat16"] * load.model.parameter_count),
        version=load.version,
    )


def _load_lines(rows: list[LoadRow]) -> list[str]:
    width = max(len(row.load) for row in rows) + 2
    lines = [f"{'load':<{width}}{'family':<17}{'parameters':>11}{'in':>7}{'out':>6}{'turns':>7}{'bf16 weights':>14}"]
    for row in rows:
        size = f"{row.weights_bf16_bytes / 1e9:.2f} GB"
        tokens = f"{row.input_tokens:>7}{row.output_tokens:>6}{row.turns:>7}"
        lines.append(f"{row.load:<{width}}{row.family:<17}{_count(row.parameters):>11}{tokens}{size:>14}")
    return lines


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.1f}M"
