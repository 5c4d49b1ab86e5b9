"""The spool: what is to be uploaded, kept on the disk until a store has it, whatever happens to processes between.

    spool/pending/<document>-<store>/    item.json, document.json and the files beside it; made elsewhere, then renamed
    spool/done/<document>-<store>.json   the receipt; written before the item is deleted

Both names begin with digests, so that a document goes to one store once. Any step may be the last: an item whose
receipt is there already is uploaded again at worst, which changes nothing in the store.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.storage import state_directory
from wattbench.results.durable import sync_folder, write_new
from wattbench.results.errors import DocumentError, StorageError, TamperedError, WattbenchError
from wattbench.results.files import put_file
from wattbench.results.store.layout import blob_key, hex_of
from wattbench.results.store.publish import Blob, Package
from wattbench.results.store.records import BlobRef, from_bytes, to_bytes

__all__ = ["Contents", "Receipt", "Spool", "SpoolItem", "default_spool"]

ITEM, DOCUMENT, PART = "item.json", "document.json", ".wattbench-"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolItem:
    """One document on its way to one store: what `publish` needs, and the result file that it was made from."""

    format: str = "wattbench.spool/1"
    id: str
    store: str
    schema: str
    kind: str
    blobs: tuple[BlobRef, ...]
    uploader: str | None
    spooled_at: str
    file: str | None
    withdrawal: str | None = None

    @property
    def name(self) -> str:
        """Return the item's name in the spool."""
        return f"{hex_of(self.id)}-{hashlib.sha256(self.store.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That a store has a document: what was uploaded where, and the log entry that says so."""

    format: str = "wattbench.receipt/1"
    item: SpoolItem
    log_key: str
    done_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What lies in a spool: its items, the oldest first, and what is wrong with the others."""

    items: tuple[SpoolItem, ...]
    problems: tuple[WattbenchError, ...]


def default_spool() -> "Spool":
    """Return the user's spool. Raises UsageError without a home folder."""
    return Spool(state_directory() / "spool")


class Spool:
    """The items in a folder; several processes may work in it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pending = folder / "pending"
        self._done = folder / "done"

    def put(self, item: SpoolItem, package: Package) -> None:
        """Keep an item, all or nothing and durably; one that is there already stays. Raises StorageError."""
        target = self._pending / item.name
        part = self._pending / f"{PART}{uuid.uuid4().hex}.part"
        try:
            self._pending.mkdir(parents=True, exist_ok=True, mode=0o700)
            if target.is_dir():
                return
            try:
                part.mkdir(mode=0o700)
                for name, data in _files(item, package):
                    write_new(part / name, data, 0o600)
                sync_folder(part)
                part.rename(target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            sync_folder(self._pending)
        except OSError as exc:
            if target.is_dir():  # another process put the same item meanwhile
                return
            remedy = "Free some space or set WATTBENCH_STATE to another folder, then: bench push RESULT --to STORE"
            raise StorageError(f"Cannot keep the upload in {self.folder}", exc.strerror or str(exc), remedy) from exc

    def contents(self) -> Contents:
        """Return what is to be uploaded. Raises StorageError for a spool that cannot be looked into."""
        try:
            names = sorted(os.listdir(self._pending))
        except FileNotFoundError:
            names = []
        except OSError as exc:
            why = exc.strerror or str(exc)
            raise StorageError(f"Cannot look into {self._pending}", why, "Check its permissions.") from exc
        found: list[SpoolItem] = []
        problems: list[WattbenchError] = []
        for name in names:
            if not name.startswith("."):
                try:
                    found += self._item(name)
                except WattbenchError as exc:
                    problems.append(exc)
        found.sort(key=lambda item: (item.spooled_at, item.name))
        return Contents(items=tuple(found), problems=tuple(problems))

    def holds(self, item: SpoolItem) -> bool:
        """Return whether an item is still to be uploaded."""
        return (self._pending / item.name).is_dir()

    def package(self, item: SpoolItem) -> Package:
        """Return what an item is made of. Raises TamperedError when the disk gives other bytes than were put."""
        folder = self._pending / item.name
        data = self._read(folder / DOCUMENT)
        blobs = tuple(Blob(ref=ref, data=self._read(folder / ref.name)) for ref in item.blobs)
        digests = [(item.id, data), *((f"sha256:{blob.ref.name.split('.')[0]}", blob.data) for blob in blobs)]
        for stated, content in digests:
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != stated:
                remedy = f"Forget it and push the result again: bench push --forget {item.id}"
                raise TamperedError(f"{folder} is damaged", f"it does not hold {stated}", remedy)
        return Package(id=item.id, data=data, schema=item.schema, kind=item.kind, blobs=blobs)

    def finish(self, receipt: Receipt) -> None:
        """Keep the receipt of an item and delete the item. Raises StorageError."""
        put_file(self._done / f"{receipt.item.name}.json", to_bytes(receipt))
        self.forget(receipt.item)

    def forget(self, item: SpoolItem) -> None:
        """Delete an item that is not to be uploaded any more. Raises StorageError."""
        folder = self._pending / item.name
        grave = self._pending / f"{PART}{uuid.uuid4().hex}.gone"
        try:
            folder.rename(grave)  # at once gone for all others
        except FileNotFoundError:
            return
        except OSError as exc:
            why = exc.strerror or str(exc)
            raise StorageError(f"Cannot delete {folder}", why, "Check its permissions.") from exc
        shutil.rmtree(grave, ignore_errors=True)

    @contextmanager
    def locked(self, item: SpoolItem) -> Iterator[bool]:
        """Keep other processes from an item meanwhile; False when one has it, or it is gone already."""
        folder = self._pending / item.name
        try:
            descriptor = os.open(folder, os.O_RDONLY) if os.name != "nt" else None
        except OSError:
            yield False
            return
        try:
            yield folder.is_dir() if descriptor is None else _lock(descriptor, folder)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _item(self, name: str) -> list[SpoolItem]:
        """Return an item; none when another process has finished it meanwhile."""
        path = self._pending / name / ITEM
        try:
            item = from_bytes(self._read(path), SpoolItem)
            for ref in item.blobs:
                blob_key(ref.name)  # no other name, and so no path
            stated = item.name
        except WattbenchError as exc:
            if not path.parent.is_dir():
                return []
            remedy = "Delete that folder, and push its result again."
            raise DocumentError(f"{path} is no item of the spool", exc.why or exc.what, remedy) from exc
        if stated != name:
            raise DocumentError(f"{path} is no item of the spool", f"it belongs to {stated}", "Delete that folder.")
        return [item]

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as exc:
            remedy = f"Check the permissions of {self.folder}."
            raise StorageError(f"Cannot read {path}", exc.strerror or str(exc), remedy) from exc


def _files(item: SpoolItem, package: Package) -> Iterator[tuple[str, bytes]]:
    yield DOCUMENT, package.data
    yield from ((blob.ref.name, blob.data) for blob in package.blobs)
    yield ITEM, to_bytes(item)


def _lock(descriptor: int, folder: Path) -> bool:
    """Lock an opened folder without waiting; False when it is locked, or no longer the one at its path."""
    try:
        import fcntl
    except ImportError:  # to upload twice at once is safe, only a waste
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours, there = os.fstat(descriptor), folder.stat()
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, or the item is gone
        return folder.is_dir()
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
