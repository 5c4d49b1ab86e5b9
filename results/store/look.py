"""Looking at one document of a store: its log entry, its bytes, what they say, and the files that they name."""

from dataclasses import dataclass, field, replace
from typing import cast

from wattbench.results.codec import parse_json
from wattbench.results.errors import (
    DocumentError,
    MissingKeyError,
    NewerSchemaError,
    StoreUnreachableError,
    TamperedError,
    WattbenchError,
)
from wattbench.results.files import canonical_bytes, document_of
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.findings import Finding, why_of
from wattbench.results.store.layout import BLOBS, blob_key, id_of_log_key, object_key
from wattbench.results.store.read import fetch_blob, read_entry, read_object
from wattbench.results.store.records import BlobRef, LogEntry
from wattbench.results.store.whole import blob_refs

__all__ = ["Seen", "look_at", "look_at_unlogged"]

STATED = ("size_bytes", "schema", "kind", "blobs")
"""What a log entry says of its document."""


@dataclass(slots=True)
class Seen:
    """What a look at one document found, and the files that the document names."""

    findings: list[Finding] = field(default_factory=list)
    blobs: tuple[BlobRef, ...] = ()

    def add(self, code: str, key: str, error: WattbenchError) -> None:
        """Add what an error says."""
        self.findings.append(Finding(code=code, key=key, why=why_of(error)))


def look_at(store: ObjectStore, key: str) -> Seen:
    """Look at a log entry, its document, and the files of that."""
    seen, result_id = Seen(), str(id_of_log_key(key))
    entry: LogEntry | None = None
    try:
        entry = read_entry(store, key)
    except StoreUnreachableError:
        raise
    except WattbenchError as exc:
        seen.add("entry_altered" if isinstance(exc, DocumentError) else "access_refused", key, exc)
    _look_into(store, result_id, entry, seen)
    return seen


def look_at_unlogged(store: ObjectStore, result_id: str) -> Seen:
    """Look at a document that has no log entry, and its files."""
    seen = Seen()
    _look_into(store, result_id, None, seen)
    return seen


def _look_into(store: ObjectStore, result_id: str, entry: LogEntry | None, seen: Seen) -> None:
    data = _object(store, result_id, seen)
    if data is not None:
        _content(data, result_id, entry, seen)
        for ref in seen.blobs:
            _blob(store, ref, seen)


def _object(store: ObjectStore, result_id: str, seen: Seen) -> bytes | None:
    try:
        return read_object(store, result_id)
    except StoreUnreachableError:
        raise
    except MissingKeyError as exc:
        seen.add("object_missing", object_key(result_id), exc)
    except TamperedError as exc:
        seen.add("object_altered", object_key(result_id), exc)
    except WattbenchError as exc:
        seen.add("access_refused", object_key(result_id), exc)
    return None


def _content(data: bytes, result_id: str, entry: LogEntry | None, seen: Seen) -> None:
    """Look at what a document says, beside what the log says of it."""
    key = object_key(result_id)
    try:
        document = document_of(data)
    except NewerSchemaError as exc:
        seen.add("schema_newer", key, exc)
        seen.blobs = () if entry is None else entry.blobs
        return
    except DocumentError as exc:
        seen.add("object_unreadable", key, exc)
        return
    seen.blobs = blob_refs(document)
    if canonical_bytes(cast(dict[str, object], parse_json(data))) != data:  # document_of took it for an object
        why = "its JSON is not canonical, so that a file made of it gets another digest"
        seen.findings.append(Finding(code="object_unreadable", key=key, why=why))
    if entry is not None:
        true = replace(entry, size_bytes=len(data), schema=document.schema, kind=document.kind, blobs=seen.blobs)
        wrong = [name for name in STATED if getattr(true, name) != getattr(entry, name)]
        if wrong:
            why = f"its log entry has another {', '.join(wrong)}"
            seen.findings.append(Finding(code="entry_differs", key=key, why=why))


def _blob(store: ObjectStore, ref: BlobRef, seen: Seen) -> None:
    try:
        fetch_blob(store, ref)
    except StoreUnreachableError:
        raise
    except MissingKeyError as exc:
        seen.add("blob_missing", blob_key(ref.name), exc)
    except TamperedError as exc:
        seen.add("blob_altered", blob_key(ref.name), exc)
    except WattbenchError as exc:
        seen.add("access_refused", f"{BLOBS}{ref.name}", exc)
