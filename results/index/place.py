"""Where a store's index lies: beside a local store, else in the user's cache folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from wattbench.results.errors import StoreAccessError
from wattbench.results.index.database import IndexDatabase
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import MARKER
from wattbench.results.store.local import LocalStore

__all__ = ["INDEX", "OpenIndex", "open_index"]

INDEX = "v1/index"
FILE = "index.sqlite"
TABLE = "rows"
"""The folder of the Delta table beside the SQLite file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIndex:
    """An index that was opened, and the folder that it lies in."""

    index: IndexDatabase
    folder: Path

    @property
    def lake(self) -> Path:
        """Return the folder of the Delta table."""
        return self.folder / TABLE


def open_index(store: ObjectStore, cache: Path) -> OpenIndex:
    """Open a store's index, an empty one where there is none yet.

    That of a local store lies in the store, for everybody who may write there; whoever may only read it, or uses a
    store that is no folder, has one below `cache`, named after the store's address and the store itself. So it is where
    somebody has put a link in the index's place: nothing is written through it.
    """
    if isinstance(store, LocalStore) and not _is_linked(folder := store.folder / INDEX):
        try:
            return OpenIndex(index=IndexDatabase(folder / FILE), folder=folder)
        except StoreAccessError:
            pass  # the folder cannot be written to: the index is the user's own, then
    name = hashlib.sha256(store.uri.encode() + b"\n" + store.get(MARKER)).hexdigest()[:16]
    folder = cache / "index" / name
    return OpenIndex(index=IndexDatabase(folder / FILE), folder=folder)


def _is_linked(folder: Path) -> bool:
    """Say whether the index's folder, or anything that lies in it, is a symbolic link."""
    try:
        return folder.is_symlink() or any(each.is_symlink() for each in folder.iterdir())
    except OSError:
        return False
