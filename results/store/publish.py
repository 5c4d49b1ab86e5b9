"""Putting a document into a store: its files, itself, then one log entry; any step may be the last, and be repeated.

Several writers of one document must end with one log entry, though each would name another time and another uploader.
They agree by `entries/<id>/<number>.json`: the first to create it decides what the entry says, and the time at which
the store itself wrote it, by the store's clock, decides the entry's key. Everybody then creates that same key.

A writer that dies between the two steps leaves an agreed entry that is not in the log. Whoever pushes the document
again completes it; when a reader that follows the log may have gone past its time, a new attempt (the next number) is
agreed upon instead. Two entries can then meet, when the first writer was not dead but asleep: readers take one.
docs/design/one-log-entry.md has the reasons.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from wattbench.results.beside import file_bytes, named_files
from wattbench.results.errors import DocumentError, StoreError, TamperedError
from wattbench.results.files import document_bytes, document_of
from wattbench.results.imported import Document
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import blob_key, entry_key, log_key, object_key
from wattbench.results.store.read import has
from wattbench.results.store.records import BlobRef, LogEntry, from_bytes, to_bytes

__all__ = [
    "LATE_AFTER",
    "Blob",
    "Package",
    "Published",
    "package_beside",
    "package_of",
    "package_of_bytes",
    "publish",
    "publish_entry",
]

LATE_AFTER = timedelta(hours=12)
"""After which an agreed entry that is not in the log is agreed upon anew: readers overlap by 24 hours."""

ATTEMPTS_MAX = 100
"""The most attempts that are looked through; more are nobody's who keeps the protocol."""


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
    """Return what is to be uploaded of the document in a file and of the files beside it.

    Raises what `stored_id` and `beside.file_bytes` raise: a document that lacks one of its files is not uploaded.
    """
    data = document_bytes(path)
    return package_beside(path, data, document_of(data))


def package_beside(path: Path, data: bytes, document: Document) -> Package:
    """Return what `package_of` does of a file that was read already: its canonical bytes, and what they say."""
    blobs = tuple(
        Blob(ref=BlobRef(name=named.name, size_bytes=named.size_bytes), data=file_bytes(named, path))
        for named in named_files(document)
    )
    return package_of_bytes(data, document, blobs)


def package_of_bytes(data: bytes, document: Document, blobs: tuple[Blob, ...]) -> Package:
    """Return what is to be uploaded of a document's canonical bytes, what they say, and its files."""
    digest = hashlib.sha256(data).hexdigest()
    return Package(id=f"sha256:{digest}", data=data, schema=document.schema, kind=document.kind, blobs=blobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """An entry that was agreed upon: what it says, when it was by the store's clock, and the log key that follows."""

    data: bytes
    at: datetime
    log_key: str


def publish(
    store: ObjectStore,
    package: Package,
    *,
    uploader: str | None,
    wattbench: str,
    withdrawal: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Published:
    """Put a document into a store; to repeat it after any failure is always right. Returns once it is in the log.

    Raises StoreAccessError, StoreUnreachableError, and TamperedError when the store has other bytes under a digest.
    """
    entry = LogEntry(
        id=package.id,
        size_bytes=len(package.data),
        schema=package.schema,
        kind=package.kind,
        blobs=tuple(blob.ref for blob in package.blobs),
        pushed_at=now().astimezone(UTC).isoformat(timespec="milliseconds"),
        uploader=uploader,
        wattbench=wattbench,
        withdrawal=withdrawal,
    )
    return publish_entry(store, package, entry, now)


def publish_entry(
    store: ObjectStore, package: Package, entry: LogEntry, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Published:
    """Do what `publish` does with an entry that is written already, such as that of another store."""
    for blob in package.blobs:
        _put(store, blob_key(blob.ref.name), blob.data)
    _put(store, object_key(package.id), package.data)
    return _logged(store, entry, now)


def _logged(store: ObjectStore, entry: LogEntry, now: Callable[[], datetime]) -> Published:
    """Agree with the other writers on the document's log entry, and see that it is in the log.

    Our own clock only says whether it is worth to ask for another attempt; how late an older one is, is then said by
    the store's clock. An attempt that is no entry of this document is passed over, by everybody.
    """
    attempts: list[_Attempt] = []
    for number in range(ATTEMPTS_MAX):
        agreed = entry_key(entry.id, number)
        ours = store.create(agreed, to_bytes(entry))
        data, at = store.get(agreed), store.stamp(agreed)
        if not _is_about(data, entry.id):
            continue
        attempts.append(_Attempt(data=data, at=at, log_key=log_key(entry.id, at)))
        if not ours and has(store, attempts[-1].log_key):
            return Published(id=entry.id, log_key=attempts[-1].log_key, standing="present")
        if ours or now() - at < LATE_AFTER:
            chosen = next(each for each in attempts if at - each.at < LATE_AFTER) if ours else attempts[-1]
            new = _put(store, chosen.log_key, chosen.data)
            return Published(id=entry.id, log_key=chosen.log_key, standing="new" if new else "present")
    why = f"there are {ATTEMPTS_MAX} attempts at it, none of which came into the log"
    raise StoreError(f"{store.uri}: {entry.id} cannot be logged", why, "Its owner has to look into it.")


def _is_about(data: bytes, result_id: str) -> bool:
    try:
        return from_bytes(data, LogEntry).id == result_id
    except DocumentError:
        return False


def _put(store: ObjectStore, key: str, data: bytes) -> bool:
    """See that a key has these bytes, whoever wrote them; return whether it was us."""
    if store.create(key, data):
        return True
    found = store.get(key)
    if found != data:
        why = f"it has {len(found)} bytes with the digest {hashlib.sha256(found).hexdigest()}"
        remedy = "Its owner has to look into it: nothing was overwritten."
        raise TamperedError(f"{store.uri}: {key} holds something else", why, remedy)
    return False
