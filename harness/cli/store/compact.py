"""`bench store compact`: the index by columns, and checkpoints of the log; nothing of the store is deleted."""

from datetime import UTC, datetime

import click

from wattbench.harness.cli.indexing import opened_store, refreshed
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.errors import StoreAccessError
from wattbench.results.index.checkpoint import write_checkpoint
from wattbench.results.index.lake import has_lake, mirror
from wattbench.results.store.contract import ObjectStore

__all__ = ["command"]


@click.command("compact")
@click.argument("store")
@click.option("--checkpoint/--no-checkpoint", default=True, help="Write checkpoints of the log into the store.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(store: str, checkpoint: bool, quiet: bool, as_json: bool) -> int:
    """Bring the index of STORE up to date, write it by columns (a Delta table, extra `lake`) in few sorted files, and
    put checkpoints of the log's settled days into the store, so that readers need not list them.
    """
    with opened_store(store) as opened:
        refreshed(opened, quiet=quiet)
        table = None
        if has_lake():
            table = mirror(opened.place.lake, opened.place.index, rewrite=True)
        names, refused = _checkpoints(opened.store) if checkpoint else ((), None)
    if as_json:
        print_json({"table": table, "checkpoints": list(names), "checkpoint_problem": refused})
    else:
        without = "no Delta table: the extra `lake` is not installed (pip install 'wattbench[lake]')"
        print_lines([f"Delta table {table}" if table else without])
        print_lines([refused or f"{len(names)} checkpoints of the log written"])
    return 0


def _checkpoints(store: ObjectStore) -> tuple[tuple[str, ...], str | None]:
    """Write what is settled; who may only read the store still has an index of his own."""
    try:
        return write_checkpoint(store, datetime.now(UTC)), None
    except StoreAccessError as exc:
        return (), f"no checkpoint: {exc.what}"
