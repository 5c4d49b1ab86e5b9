"""Documents out of a store into normal result files: checked, with their files beside them, overwriting nothing."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wattbench.results.beside import named_files
from wattbench.results.codec import parse_json
from wattbench.results.errors import (
    DocumentError,
    MissingKeyError,
    StorageError,
    StoreError,
    StoreUnreachableError,
    TamperedError,
    UsageError,
    WattbenchError,
)
from wattbench.results.files import canonical_bytes, document_id, document_of
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import hex_of
from wattbench.results.store.local import LocalStore
from wattbench.results.store.read import fetch_blob, read_object
from wattbench.results.store.records import BlobRef

__all__ = ["Pulled", "folder_of", "pull", "pull_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What became of one document: the file that it is in now, or was in already, or why it is in none."""

    id: str
    standing: Literal["new", "present", "refused"]
    path: str | None
    reason: str | None = None


def folder_of(out: Path | None) -> Path:
    """Return the folder that pulled results go to, which is made. Raises UsageError, StorageError."""
    folder = Path() if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "each result becomes a file in it", "Choose another --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"Cannot make {folder}", exc.strerror or str(exc), "Choose another --out.") from exc
    return folder


def pull_all(store: ObjectStore, ids: Iterable[str], folder: Path) -> Iterator[Pulled]:
    """Pull documents and yield what became of each; one that cannot be trusted or read is refused, the rest goes on.

    Raises StoreUnreachableError when the store is gone, StorageError when the folder takes no more.
    """
    for result_id in dict.fromkeys(ids):
        try:
            yield pull(store, result_id, folder)
        except (StoreUnreachableError, StorageError):
            raise
        except WattbenchError as exc:
            reason = f"{exc.what}: {exc.why}" if exc.why else exc.what
            yield Pulled(id=result_id, standing="refused", path=None, reason=reason)


def pull(store: ObjectStore, result_id: str, folder: Path) -> Pulled:
    """Write a document with its `id`, and its files beside it, into a folder, named by their digests alone.

    Raises MissingKeyError, TamperedError, NewerSchemaError or DocumentError for what cannot be trusted or read, and
    StorageError when a file of that name has other content, or the folder cannot take it.
    """
    data = read_object(store, result_id)
    document = document_of(data)
    fields = parse_json(data)
    if not isinstance(fields, dict) or document_id(fields) != result_id:
        why = "its JSON is not canonical, so that a file made of it would have another digest"
        raise TamperedError(f"{store.uri}: {result_id} is no document of ours", why, "Ask who put it there.")
    for named in named_files(document):
        ref = BlobRef(name=named.name, size_bytes=named.size_bytes)
        try:
            blob = fetch_blob(store, ref)
        except MissingKeyError as exc:
            why = f"a file of it is missing: {ref.name}"
            raise DocumentError(f"{store.uri}: {result_id} is not whole", why, "Pull it from another store.") from exc
        _put(folder, ref.name, blob)
    name = f"{hex_of(result_id)}.json"
    new = _put(folder, name, canonical_bytes({**fields, "id": result_id}))
    return Pulled(id=result_id, standing="new" if new else "present", path=str(folder / name))


def _put(folder: Path, name: str, data: bytes) -> bool:
    """Make a file, all or nothing; False when it is there with the same content. Raises StorageError."""
    place = LocalStore(folder)
    try:
        if place.create(name, data):
            return True
        there = place.get(name)
    except StoreError as exc:
        raise StorageError(f"Cannot write {folder / name}", exc.why, "Choose another folder with --out.") from exc
    if there != data:
        with contextlib.suppress(OSError):
            name = str((folder / name).resolve())
        raise StorageError(
            f"{name} exists already", "it has other content, and nothing is overwritten", "Move it away."
        )
    return False
