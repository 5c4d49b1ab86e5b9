"""`bench store reindex`: the index of a store brought up to its log, or built anew from it."""

from dataclasses import asdict

import click

from wattbench.harness.cli.indexing import opened_store, refreshed
from wattbench.harness.cli.output import print_json, print_lines

__all__ = ["command"]


@click.command("reindex")
@click.argument("store")
@click.option("--full", is_flag=True, help="Read every document again, from the log itself.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(store: str, full: bool, quiet: bool, as_json: bool) -> int:
    """Bring the index of STORE up to date, as every query does by itself; with --full build it anew.

    It may be ended at any point: the next one goes on from there. Old rows answer until a new build is done.
    """
    with opened_store(store) as opened:
        done = refreshed(opened, full=full, quiet=quiet)
        documents = opened.place.index.count()
        path = opened.place.index.path
    if as_json:
        print_json(asdict(done) | {"documents": documents, "index": str(path)})
    else:
        unreadable = f", {done.unreadable} of them cannot be read" if done.unreadable else ""
        notes = f"; the notes of {done.noted} were new" if done.noted else ""
        print_lines([f"{done.read} documents read{unreadable}{notes}", f"{documents} documents in {path}"])
    return 0
