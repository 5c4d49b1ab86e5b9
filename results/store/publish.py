"""Putting a document into a store: its files, itself, then one log entry, so that any step may be the last and repeated.

Several writers of one document must end with one log entry, though each would name another time and another uploader.
They agree by `entries/<id>/<number>.json`: the first to create it decides what the entry says, and the time at which
the store itself wrote it, by the store's clock, decides the entry's key. Everybody then creates that same key.

A writer that dies between the two steps leaves an agreed entry that is not in the log. Whoever pushes the document
again completes it; when a reader that follows the log may have gone past its time, a new attempt (the next number) is
agreed upon instead. Two entries can then meet, when the first writer was not dead but asleep: readers take one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from wattbench.results.errors import TamperedError
from wattbench.results.files import document_bytes, document_of
from wattbench.results.imported import Document
from wattbench.results.sidecar import polls_bytes
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import blob_key, entry_key, log_key, object_key
from wattbench.results.store.read import has
from wattbench.results.store.records import BlobRef, LogEntry, from_bytes, to_bytes

__all__ = ["LATE_AFTER", "Blob", "Package", "Published", "package_of", "package_of_bytes", "publish"]

LATE_AFTER = timedelta(hours=12)
"""After which an agreed entry that is not in the log is agreed upon anew: readers overlap by 24 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file beside a document, with its bytes."""

    ref: BlobRef
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What is uploaded of one document: its canonical bytes (their sha256 is `id`), what it is, its files."""

    id: str
    data: bytes
    schema: str
    kind: str
    blobs: tuple[Blob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a push did: the document's id, its log entry's key, and whether this push wrote that entry."""

    id: str
    log_key: str
    standing: Literal["new", "present"]


def package_of(path: Path) -> Package:
    """Return what is to be uploaded of the document in a file and of the polls beside it.

    Raises what `read_document` and `sidecar.read_polls` raise: a document whose polls are missing is not uploaded.
    """
    data = document_bytes(path)
    document = document_of(data)
    named = document.power.polls_file
    blobs = ()
    if named is not None:
        ref = BlobRef(name=named.name, size_bytes=named.size_bytes)
        blobs = (Blob(ref=ref, data=polls_bytes(document.power, path)),)
    return package_of_bytes(data, document, blobs)


def package_of_bytes(data: bytes, document: Document, blobs: tuple[Blob, ...]) -> Package:
    """Return what is to be uploaded of a document's canonical bytes, what they say, and its files."""
    digest = hashlib.sha256(data).hexdigest()
    return Package(id=f"sha256:{digest}", data=data, schema=document.schema, kind=document.kind, blobs=blobs)


def publish(
    store: ObjectStore,
    package: Package,
    *,
    uploader: str | None,
    wattbench: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Published:
    """Put a document into a store; to repeat it after any failure is always right. Returns once it is in the log.

    Raises StoreAccessError, StoreUnreachableError, and TamperedError when the store has other bytes under a digest.
    """
    for blob in package.blobs:
        _put(store, blob_key(blob.ref.name), blob.data)
    _put(store, object_key(package.id), package.data)
    entry = LogEntry(
        id=package.id,
        size_bytes=len(package.data),
        schema=package.schema,
        kind=package.kind,
        blobs=tuple(blob.ref for blob in package.blobs),
        pushed_at=now().astimezone(UTC).isoformat(timespec="milliseconds"),
        uploader=uploader,
        wattbench=wattbench,
    )
    return _logged(store, entry, now)


def _logged(store: ObjectStore, entry: LogEntry, now: Callable[[], datetime]) -> Published:
    """Agree with the other writers on the document's log entry, and see that it is in the log."""
    number = 0
    while True:
        agreed = entry_key(entry.id, number)
        ours = store.create(agreed, to_bytes(entry))
        at = store.stamp(agreed)
        key = log_key(entry.id, at)
        if not ours and has(store, key):
            return Published(id=entry.id, log_key=key, standing="present")
        if ours or now() - at < LATE_AFTER:
            data = store.get(agreed)
            if from_bytes(data, LogEntry).id != entry.id:
                raise TamperedError(f"{store.uri}: {agreed} was altered", "it is about another document", "")
            new = store.create(key, data)
            return Published(id=entry.id, log_key=key, standing="new" if new else "present")
        number += 1


def _put(store: ObjectStore, key: str, data: bytes) -> None:
    """See that a key has these bytes, whoever wrote them."""
    if store.create(key, data):
        return
    found = store.get(key)
    if found != data:
        why = f"it has {len(found)} bytes with the digest {hashlib.sha256(found).hexdigest()}"
        remedy = "Its owner has to look into it: nothing was overwritten."
        raise TamperedError(f"{store.uri}: {key} holds something else", why, remedy)
