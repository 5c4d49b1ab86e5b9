"""`bench cost init`: a commented file of inputs, with the facts of this machine."""

from collections.abc import Iterator
from pathlib import Path

import click

from wattbench.harness.environment import collect_environment
from wattbench.results.economics.template import template_lines
from wattbench.results.environment import Environment
from wattbench.results.errors import StorageError, UsageError

__all__ = ["command", "fact_lines"]


@click.command("init")
@click.argument("file", type=Path)
def command(file: Path) -> int:
    """Write a commented FILE of inputs for `bench cost`: every field with its unit, none with a value."""
    text = "\n".join(template_lines(list(fact_lines(collect_environment())))) + "\n"
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as exc:
        raise UsageError(f"{file} is there already", "it is not written over", "Name another file.") from exc
    except OSError as exc:
        raise StorageError(f"Cannot write {file}", exc.strerror or str(exc), "Name another place.") from exc
    click.echo(f"{file}: fill in what holds for you, then: bench cost query RESULT -s {file}", err=True)
    return 0


def fact_lines(environment: Environment) -> Iterator[str]:
    """Return what is known of a machine that its owner needs to price it."""
    cpu, host = environment.cpu, environment.host
    yield f"{cpu.model or 'an unknown processor'}, {cpu.cores_logical} logical cores"
    yield f"{host.memory_bytes / 1e9:.0f} GB of memory"
    for board in environment.accelerators:
        limit = "" if board.power_limit_w is None else f", power limit {board.power_limit_w:g} W (no measured power)"
        yield f"{board.name}{limit}"
