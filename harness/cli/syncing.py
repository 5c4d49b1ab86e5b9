"""`bench sync`: what one store has and another lacks, copied."""

from collections.abc import Iterator

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.sharing import say
from wattbench.results.store.open import open_store
from wattbench.results.store.sync import Moved, Synced, sync

__all__ = ["command"]


@click.command("sync")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="What was copied and what was left out, for machines.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")
def command(source: str, target: str, as_json: bool, quiet: bool) -> int:
    """Copy the documents, signatures and notes that the store TO lacks from the store FROM, each checked on the way.

    Nothing is changed in FROM. It may end at any time and be called again. What was altered is left out and named, and
    the exit code is then 1.
    """
    first = open_store(source)
    try:
        second = open_store(target)
        try:
            done = sync(first, second, told=None if quiet else _told)
        finally:
            second.close()
    finally:
        first.close()
    if as_json:
        print_json(done)
    else:
        print_lines(_lines(done))
    return 1 if done.refused else 0


def _told(moved: Moved) -> None:
    if moved.standing == "copied":
        say([f"copied          {moved.key}"])


def _lines(done: Synced) -> Iterator[str]:
    yield f"documents       {done.copied} copied, {done.present} there already; left out of everything: {done.refused}"
    yield f"beside them     signatures copied: {done.signatures}, notes: {done.notes}"
    for moved in done.problems:
        yield f"left out        {moved.key}: {moved.why}"
    if done.refused > len(done.problems):
        yield f"left out        {done.refused - len(done.problems)} more"
