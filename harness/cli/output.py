"""Writing to standard output: lines for people, one JSON document for machines."""

import json
from collections.abc import Iterable

import click

from wattbench.harness.cli.escape import visible
from wattbench.results.codec import to_builtins

__all__ = ["print_json", "print_lines"]


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; control characters but the newline are shown as escapes."""
    for line in lines:
        click.echo("\n".join(visible(part) for part in line.split("\n")))


def print_json(record: object) -> None:
    """Print a record, or a tuple of records, as JSON."""
    click.echo(json.dumps(to_builtins(record), ensure_ascii=False))
