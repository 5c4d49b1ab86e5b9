"""A store in a folder: the default, without any service; several processes may write to it at once."""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from wattbench.results.durable import sync_folder, write_new
from wattbench.results.errors import MissingKeyError, StoreAccessError, StoreError, TamperedError
from wattbench.results.store.contract import GET_MAX_BYTES

__all__ = ["LocalStore"]

PART = ".wattbench-"
"""How the names of files begin that are still being written; they are no keys."""

REMEDY = "It is none of ours; ask who may write there."

READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
"""Without O_NONBLOCK a pipe under the name of a key would never answer."""


class LocalStore:
    """Files below a folder, made once: written beside, flushed to the disk, then linked to their name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = str(folder)

    def get(self, key: str) -> bytes:
        """Return what is stored under a key. Raises MissingKeyError, TamperedError, StoreAccessError."""
        try:
            return self._read(key)
        except OSError as exc:
            raise self._error(key, exc) from exc

    def create(self, key: str, data: bytes) -> bool:
        """Store bytes under a key that has none, durably; return whether they were new. Raises StoreAccessError."""
        path = self._path(key)
        part = path.parent / f"{PART}{uuid.uuid4().hex}.part"
        try:
            if path.exists():
                return False
            _make_folder(path.parent)
            try:
                write_new(part, data)
                os.link(part, path)
            finally:
                part.unlink(missing_ok=True)
            sync_folder(path.parent)
        except FileExistsError:
            return False
        except OSError as exc:
            raise self._error(key, exc) from exc
        return True

    def stamp(self, key: str) -> datetime:
        """Return when a key was written, by the clock of the file system. Raises MissingKeyError."""
        try:
            return datetime.fromtimestamp(self._path(key).stat().st_mtime, UTC)
        except OSError as exc:
            raise self._error(key, exc) from exc

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix, sorted. Raises StoreAccessError."""
        try:
            yield from _walk(self._path(prefix), prefix)
        except OSError as exc:
            raise self._error(prefix, exc) from exc

    def close(self) -> None:
        """Nothing to let go of."""

    def _read(self, key: str) -> bytes:
        descriptor = os.open(self._path(key), READ)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                why = "it is a folder, a pipe or a device"
                raise TamperedError(f"{self.uri}: {key} is no file", why, REMEDY)
            if status.st_size > GET_MAX_BYTES:
                why = f"{status.st_size} bytes are more than the {GET_MAX_BYTES} that are read of one key"
                raise TamperedError(f"{self.uri}: {key} is too large", why, REMEDY)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/") or "\0" in key:
            raise StoreError(f"{key!r:.120} cannot be a key of a store", "it leads out of the folder")
        return self.folder / key

    def _error(self, key: str, exc: OSError) -> StoreError:
        if exc.errno == errno.ENOENT and self.folder.is_dir():
            return MissingKeyError(f"{self.uri} has no {key}")
        why = exc.strerror or str(exc)
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "Free some space, then push again: what is stored already is kept."
        elif exc.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            remedy = "Its file system may know no hard links, which a store needs: choose another."
        else:
            remedy = "Check the folder and its permissions."
        return StoreAccessError(f"The store {self.uri} cannot be used", f"{key}: {why}", remedy)


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    try:
        found = sorted(os.scandir(folder), key=lambda each: each.name + "/" * each.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        elif not entry.name.startswith(PART):
            yield prefix + entry.name


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entry flushed to the disk."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)
