"""`bench pull`: documents of a store as normal result files."""

from pathlib import Path

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.knobs import user_path
from wattbench.harness.sharing.fetching import Pulled, folder_of, pull_all
from wattbench.results.errors import UsageError
from wattbench.results.store.find import find_id, id_digits
from wattbench.results.store.layout import id_of_log_key
from wattbench.results.store.open import open_store
from wattbench.results.store.read import log_keys

__all__ = ["command"]

WORDS = {"new": "pulled", "present": "there already", "refused": "refused"}


@click.command("pull")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--from", "source", metavar="STORE", required=True, help="The store: a folder, s3://BUCKET/PREFIX, ...")
@click.option("--all", "every", is_flag=True, help="Every document of the store.")
@click.option("--out", "-o", metavar="DIR", help="Folder for the result files [default: this one].")
@click.option("--json", "as_json", is_flag=True, help="What became of each document, for machines.")
def command(ids: tuple[str, ...], source: str, every: bool, out: str | None, as_json: bool) -> int:
    """Write documents of a store into a folder as normal result files, their polls beside them, named by their digests.

    Each is checked first; one that was altered is refused and the others go on. No file is overwritten. Exit code 1
    when a document could not be pulled.
    """
    if bool(ids) == every:
        raise UsageError("bench pull: what is to be pulled?", "name ids, or say --all", "`bench log STORE` lists ids.")
    for result_id in ids:
        id_digits(result_id)
    store = open_store(source)
    try:
        folder = folder_of(user_path("--out", out))
        logged = (found for key in log_keys(store) if (found := id_of_log_key(key)) is not None)
        wanted = logged if every else [find_id(store, result_id) for result_id in ids]
        pulled = []
        for done in pull_all(store, wanted, folder):
            pulled.append(done)
            if not as_json:
                print_lines([_line(done)])
    finally:
        store.close()
    if as_json:
        print_json(tuple(pulled))
    return 1 if any(done.standing == "refused" for done in pulled) else 0


def _line(done: Pulled) -> str:
    where: str | Path = done.path if done.path is not None else f"{done.id}: {done.reason}"
    return f"{WORDS[done.standing]:<15} {where}"
