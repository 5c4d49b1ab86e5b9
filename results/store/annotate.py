"""Notes about documents: nothing in a store is edited or deleted, only noted."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from wattbench.results.errors import DocumentError, MissingKeyError, StoreError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import NOTES, hex_of, note_key, object_key
from wattbench.results.store.read import has
from wattbench.results.store.records import RECORD_MAX_BYTES, Note, NoteKind, to_bytes

__all__ = ["annotate", "noted_ids"]


def annotate(
    store: ObjectStore,
    about: str,
    kind: NoteKind,
    text: str,
    *,
    other: str | None = None,
    by: str | None = None,
    proof: str | None = None,
) -> tuple[str, Note]:
    """Add a note about a document to a store; return its key and the note.

    Raises MissingKeyError when the store has no such document (or not the other one), StoreError for a note that is too
    large to be read back.
    """
    for result_id in filter(None, (about, other)):
        hex_of(result_id)
        if not has(store, object_key(result_id)):
            remedy = f"See what it has: bench log {store.uri}"
            raise MissingKeyError(f"{store.uri} has no {result_id}", "a note is about what is there", remedy)
    now = datetime.now(UTC)
    at = now.isoformat(timespec="milliseconds")
    try:
        note = Note(about=about, kind=kind, text=text, other=other, at=at, by=by, proof=proof)
    except ValueError as exc:
        raise StoreError("This is no note", str(exc), "Name the other document.") from exc
    data = to_bytes(note)
    if len(data) > RECORD_MAX_BYTES:
        why = f"{len(data)} bytes are more than the {RECORD_MAX_BYTES} that a note may have"
        raise StoreError("This note is too long", why, "Say it shorter, and link to the rest.")
    key = note_key(about, f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}")
    if not store.create(key, data):
        raise DocumentError(f"{store.uri}: {key} is there already", "two notes drew one name", "Say it again.")
    return key, note


def noted_ids(store: ObjectStore) -> Iterator[str]:
    """Yield the ids of the documents that have notes, by the names of the notes alone."""
    last = None
    for key in store.keys(NOTES):
        digits = key.removeprefix(NOTES).partition("/")[0]
        if digits != last:
            last = digits
            try:
                hex_of(f"sha256:{digits}")
            except StoreError:  # a foreign key
                continue
            yield f"sha256:{digits}"
