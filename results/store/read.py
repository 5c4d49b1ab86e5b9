"""Reading a store: nothing is believed before its digest was computed."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from wattbench.results.errors import DocumentError, MissingKeyError, TamperedError
from wattbench.results.files import document_of
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.requests_file import with_requests
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import (
    LOG,
    blob_key,
    hex_of,
    id_of_log_key,
    log_day_prefix,
    note_prefix,
    object_key,
    signature_prefix,
)
from wattbench.results.store.records import BlobRef, LogEntry, Note, Signature, from_bytes

__all__ = [
    "entries",
    "fetch_blob",
    "has",
    "log_keys",
    "notes",
    "read_entry",
    "read_object",
    "read_stored",
    "readable_notes",
    "readable_records",
    "signatures",
]

REMEDY = "Take it from another store (`bench sync`), and ask who may write to this one."

DAYS_MAX = 60
"""The most days that are listed one by one, each by a question of its own."""

RECORDS_MAX = 1000
"""So many signatures or notes of one thing are read where rubbish is passed over, since any writer can add more."""

Record = TypeVar("Record")


def read_object(store: ObjectStore, result_id: str) -> bytes:
    """Return the canonical bytes of a document, after their digest was checked.

    Raises MissingKeyError when the store does not have it, TamperedError when it has other bytes under its name.
    """
    digits, key = hex_of(result_id), object_key(result_id)
    data = store.get(key)
    found = hashlib.sha256(data).hexdigest()
    if found != digits:
        raise TamperedError(f"{store.uri}: {key} was altered", f"its bytes have the digest {found}", REMEDY)
    return data


def read_stored(store: ObjectStore, result_id: str) -> Document:
    """Return a document, checked and upgraded to the current schema, with the requests of a run of traffic in it.

    Where the file of requests is missing, or is another one, it comes without them. Raises what `read_object` raises,
    NewerSchemaError, or DocumentError for bytes that are no document.
    """
    try:
        document = document_of(read_object(store, result_id))
    except DocumentError as exc:
        raise (
            exc
            if isinstance(exc, TamperedError)
            else type(exc)(f"{store.uri}: {result_id}: {exc.what}", exc.why, exc.remedy)
        ) from exc
    if isinstance(document, ImportedResult) or document.requests_file is None:
        return document
    ref = BlobRef(name=document.requests_file.name, size_bytes=document.requests_file.size_bytes)
    try:
        return with_requests(document, fetch_blob(store, ref))
    except (MissingKeyError, DocumentError):
        return document


def fetch_blob(store: ObjectStore, blob: BlobRef) -> bytes:
    """Return the bytes of a file beside a document. Raises MissingKeyError, TamperedError."""
    data = store.get(blob_key(blob.name))
    found = hashlib.sha256(data).hexdigest()
    if len(data) != blob.size_bytes or not blob.name.startswith(f"{found}."):
        why = f"it should have {blob.size_bytes} bytes, it has {len(data)} with the digest {found}"
        raise TamperedError(f"{store.uri}: {blob_key(blob.name)} was altered", why, REMEDY)
    return data


def log_keys(store: ObjectStore, since: datetime | None = None) -> Iterator[str]:
    """Yield the keys of the log in the order of their times, those of whole days from `since` on.

    A key names its document (`layout.id_of_log_key`) and its time, so most readers need no more; foreign keys are left
    out. Of a document that was logged twice (rare, see publish.py) every key is given.
    """
    start = LOG if since is None else log_day_prefix(since)
    for prefix in _prefixes(since):
        for key in store.keys(prefix):
            if key >= start and id_of_log_key(key) is not None:
                yield key


def _prefixes(since: datetime | None) -> tuple[str, ...]:
    """Return what to list: a short time by its days, up to two days ahead since clocks differ; else the whole log."""
    if since is None:
        return (LOG,)
    days = (datetime.now(UTC) - since).days + 3
    if not 0 < days <= DAYS_MAX:
        return (LOG,)
    return tuple(log_day_prefix(since + timedelta(days=day)) for day in range(days))


def read_entry(store: ObjectStore, key: str) -> LogEntry:
    """Return the log entry under a key. Raises MissingKeyError, or DocumentError when it is none of that document."""
    entry = from_bytes(store.get(key), LogEntry)
    if entry.id != id_of_log_key(key):
        raise TamperedError(f"{store.uri}: {key} was altered", f"it is about {entry.id}", REMEDY)
    return entry


def entries(store: ObjectStore, since: datetime | None = None) -> Iterator[LogEntry]:
    """Yield the log entries in the order of their times, each document once; from whole days on with `since`."""
    seen: set[str] = set()
    for key in log_keys(store, since):
        entry = read_entry(store, key)
        if entry.id not in seen:
            seen.add(entry.id)
            yield entry


def notes(store: ObjectStore, result_id: str) -> tuple[Note, ...]:
    """Return the notes about a document, the oldest first. Raises DocumentError for what is none."""
    found = [from_bytes(store.get(key), Note) for key in store.keys(note_prefix(result_id))]
    return tuple(sorted((note for note in found if note.about == result_id), key=lambda note: note.at))


def readable_notes(store: ObjectStore, result_id: str) -> list[Note]:
    """Return the notes about a document that can be read: one that cannot says nothing, and hides no other."""
    return [note for note in readable_records(store, note_prefix(result_id), Note) if note.about == result_id]


def readable_records(
    store: ObjectStore, prefix: str, kind: type[Record], leaving_out: str | None = None
) -> list[Record]:
    """Return the records below a prefix that can be read, but those whose names begin with `leaving_out`."""
    found = []
    keys = (key for key in store.keys(prefix) if leaving_out is None or not key.startswith(prefix + leaving_out))
    for key in islice(keys, RECORDS_MAX):
        try:
            found.append(from_bytes(store.get(key), kind))
        except (DocumentError, MissingKeyError):
            continue
    return found


def signatures(store: ObjectStore, result_id: str) -> tuple[Signature, ...]:
    """Return the signatures of a document as they are stored; whether they hold is `trust`'s to say."""
    found = [from_bytes(store.get(key), Signature) for key in store.keys(signature_prefix(result_id))]
    return tuple(signature for signature in found if signature.about == result_id)


def has(store: ObjectStore, key: str) -> bool:
    """Say whether something is stored under a key, at the price of one small question."""
    try:
        store.stamp(key)
    except MissingKeyError:
        return False
    return True
