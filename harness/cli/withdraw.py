"""`bench withdraw`: a result that is not to be used any more; it stays, and everybody is told."""

import click

from wattbench.harness.cli.noting import add_note
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.store.open import open_store
from wattbench.results.store.records import LogEntry, Note, is_withdrawal

__all__ = ["command"]


@click.command("withdraw")
@click.argument("store_name", metavar="STORE")
@click.argument("result_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why it is not to be used.")
@click.option("--by", metavar="NAME", help="What to call you [default: nothing, or WATTBENCH_UPLOADER].")
@click.option("--json", "as_json", is_flag=True, help="The note as JSON, for machines.")
def command(store_name: str, result_id: str, reason: str, by: str | None, as_json: bool) -> int:
    """Withdraw a result: a note says so and why, and no ranking counts it. Nothing is deleted.

    Only where it was pushed from, or in its uploader's name (--by): by others it is a dispute, and the rank stays.
    """
    note = add_note(store_name, result_id, "withdrawn", reason, by=by)
    if as_json:
        print_json(note)
    else:
        print_lines(_lines(note, _entry(store_name, note.about)))
    return 0


def _entry(store_name: str, result_id: str) -> LogEntry | None:
    from wattbench.harness.trust.stored import read_entry_of

    store = open_store(store_name)
    try:
        return read_entry_of(store, result_id)[0]
    finally:
        store.close()


def _lines(note: Note, entry: LogEntry | None) -> list[str]:
    if entry is None or not is_withdrawal(note, entry.uploader, entry.withdrawal):
        whose = (
            "in nobody's name and not from here" if entry is None or entry.uploader is None else f"by {entry.uploader}"
        )
        return [
            f"Disputed: {note.about}",
            f"It was uploaded {whose}, and who did alone can withdraw it; readers see your note, and its rank stays.",
        ]
    return [
        f"Withdrawn: {note.about}",
        "Nothing was deleted: the document stays in the store and whoever has it keeps it;",
        "readers see that it was withdrawn, and why.",
    ]
