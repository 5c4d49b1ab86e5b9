"""`bench note`: something said about a document of a store, beside it."""

from typing import get_args

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.sharing import uploader_name
from wattbench.harness.knobs import check_text
from wattbench.harness.sharing.owner import withdrawal_proof
from wattbench.results.errors import UsageError
from wattbench.results.store.annotate import annotate
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.find import find_id, id_digits
from wattbench.results.store.open import open_store
from wattbench.results.store.records import Note, NoteKind, withdrawal_digest

__all__ = ["add_note", "command"]


@click.command("note")
@click.argument("store_name", metavar="STORE")
@click.argument("result_id", metavar="ID")
@click.option("--kind", type=click.Choice(get_args(NoteKind)), default="comment", help="What the note says.")
@click.option("--text", required=True, metavar="TEXT", help="The note's own words.")
@click.option("--other", metavar="ID", help="The result that reproduced it, for --kind reproduced-by.")
@click.option("--by", metavar="NAME", help="What to call you [default: nothing, or WATTBENCH_UPLOADER].")
@click.option("--json", "as_json", is_flag=True, help="The note as JSON, for machines.")
def command(
    store_name: str, result_id: str, kind: NoteKind, text: str, other: str | None, by: str | None, as_json: bool
) -> int:
    """Say something about a result in a store: a dispute, a comment, that it was reproduced or audited.

    Notes are added, never changed or deleted. Whether a note holds is for its readers to judge: anybody who may write
    to the store may write notes (`bench verify` checks reproductions and audits).
    """
    note = add_note(store_name, result_id, kind, text, other=other, by=by)
    if as_json:
        print_json(note)
    else:
        print_lines([f"Noted: {note.kind} about {note.about}"])
    return 0


def add_note(
    store_name: str, result_id: str, kind: NoteKind, text: str, *, other: str | None = None, by: str | None = None
) -> Note:
    """Check what a note says, and add it. Raises UsageError, or what `annotate` raises."""
    check_text("--text", text)
    if (kind == "reproduced-by") != (other is not None):
        why = f"--kind {kind} {'names no other result' if other is None else 'leans on no other result'}"
        raise UsageError(
            "--other does not fit the note", why, "Give --other with --kind reproduced-by, and only there."
        )
    for each in filter(None, (result_id, other)):
        id_digits(each)
    name = uploader_name(by)
    store = open_store(store_name)
    try:
        about, leans_on = find_id(store, result_id), None if other is None else find_id(store, other)
        if about == leans_on:
            raise UsageError("--other does not fit the note", "no result reproduces itself", "Name another result.")
        proof = _proof(store, about, name) if kind == "withdrawn" else None
        return annotate(store, about, kind, text.strip(), other=leans_on, by=name, proof=proof)[1]
    finally:
        store.close()


def _proof(store: ObjectStore, about: str, name: str | None) -> str | None:
    """Return the proof that a result was pushed from here; None for one of others, and for a name that is not its."""
    from wattbench.harness.trust.stored import read_entry_of

    entry, proof = read_entry_of(store, about)[0], withdrawal_proof(about)
    if entry is None or proof is None or withdrawal_digest(proof) != entry.withdrawal:
        return None
    return proof if entry.uploader is None or name in (None, entry.uploader) else None
