"""`bench store init`: a folder or bucket becomes a store of results."""

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.store.open import init_store

__all__ = ["command"]


@click.command("init")
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(store: str, as_json: bool) -> int:
    """Make STORE, a folder or a bucket's s3://, gs:// or az:// address, a store; one that is there stays as it is."""
    opened, new = init_store(store)
    opened.close()
    if as_json:
        print_json({"store": opened.uri, "new": new})
    else:
        print_lines([f"{opened.uri} is a store of results now." if new else f"{opened.uri} is a store already."])
    return 0
