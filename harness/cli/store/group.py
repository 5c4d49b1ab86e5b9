"""`bench store`: its sub-commands by name, each imported only when it is called."""

import click

from wattbench.harness.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS = {
    "check": ("wattbench.harness.cli.store.check", "Read a whole store and say what is lost, altered or unfinished."),
    "compact": ("wattbench.harness.cli.store.compact", "Make the index fast for millions of results."),
    "init": ("wattbench.harness.cli.store.init", "Make a folder or bucket a store of results."),
    "reindex": ("wattbench.harness.cli.store.reindex", "Bring the index up to the store, or build it anew."),
}
"""Each sub-command's module (its `command` is the click command) and its line in `bench store --help`."""


class StoreGroup(LazyGroup):
    """The commands of `bench store`."""

    table = COMMANDS


@click.group("store", cls=StoreGroup)
def command() -> None:
    """Make and look after a store of results: a folder, or a bucket that others share (s3://, gs://, az://)."""
