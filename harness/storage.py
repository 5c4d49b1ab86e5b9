"""Where files go: results into the data folder or the place asked for, with a fall-back, and caches into theirs."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from wattbench.results.document import Result
from wattbench.results.durable import replace_file
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.files import write_result
from wattbench.results.plan import Plan
from wattbench.results.sidecar import write_unfinished, write_with_files

__all__ = [
    "Destination",
    "cache_directory",
    "choose_path",
    "data_directory",
    "import_path",
    "keep_cached",
    "state_directory",
]


NUMBERED_MAX = 1000

Kept = TypeVar("Kept")


@dataclass(slots=True)
class Destination:
    """The file that a run rewrites; when it cannot be written, a fall-back in the temporary folder takes over.

    `moved_because` says why, and is None as long as the wanted path works. `wanted` keeps its last valid content.
    """

    wanted: Path
    moved_because: str | None = None
    _path: Path | None = field(default=None)
    _beside: Path | None = field(default=None)

    @property
    def path(self) -> Path:
        """Return the file that holds the newest content."""
        return self._path or self.wanted

    def create(self, result: Result) -> None:
        """Write the first content at the wanted path. Raises StorageError: a run that cannot be kept is not started."""
        write_result(result, self.wanted)

    def rewrite(self, result: Result) -> None:
        """Replace the content; on failure use the fall-back. Raises StorageError only when both fail."""
        before, self._beside = self._beside, self._kept(lambda path: write_unfinished(result, path))
        self._forget(before)

    def conclude(self, result: Result) -> Result:
        """Replace the content for the last time, polls and requests in files of their own, and return what was written.

        On failure the fall-back takes all. Raises StorageError only when that fails too.
        """
        written = self._kept(lambda path: write_with_files(result, path))
        self._forget(self._beside)
        return written

    def _forget(self, beside: Path | None) -> None:
        """Delete a file of requests of an earlier content, unless the document that lies beside it names it still."""
        with suppress(OSError):
            if beside is not None:
                document = beside.parent / self.wanted.name  # the fall-back has its name too
                if beside.name.partition(".")[0].encode() not in document.read_bytes():
                    beside.unlink()

    def _kept(self, write: Callable[[Path], Kept]) -> Kept:
        try:
            return write(self.path)
        except StorageError as exc:
            if self._path is not None:
                raise
            self.moved_because = f"{exc.what}: {exc.why}"
            self._path = Path(tempfile.mkdtemp(prefix="wattbench-")) / self.wanted.name
            return write(self._path)


def choose_path(out: Path | None, plan: Plan, run_id: str, stamp: str) -> Path:
    """Return the result's path: `out` if it names a .json file, inside `out` if a folder, else in the data folder.

    Raises UsageError rather than overwrite a file or write where a file stands in the way of a folder, and for a place
    that cannot be looked at or whose name is not UTF-8.
    """
    name = f"{stamp}_{_slug(plan.load)}_{plan.backend}-{_slug(plan.device)}_{plan.precision}_{run_id[:8]}.json"
    if out is None:
        return _printable(data_directory() / "results" / name)
    try:
        return _printable(_asked_for(out, name))
    except (OSError, ValueError) as exc:  # ValueError: a null character in the path
        why = getattr(exc, "strerror", None) or str(exc)
        raise UsageError(f"No result can lie at {str(out)!r}", why, "Choose another --out.") from exc


def import_path(out: Path | None, name: str) -> Path:
    """Return where a document that was not measured here goes, by the rules of `choose_path`.

    Without `out` it goes into the data folder under `name`, numbered when that is taken.
    """
    slug = _slug(name)
    if out is None or (out.suffix != ".json" and out.is_dir()):
        folder = data_directory() / "results" if out is None else out
        names = (f"{slug}.json", *(f"{slug}-{n}.json" for n in range(2, NUMBERED_MAX)))
        free = (folder / each for each in names if not _is_there(folder / each))
        found = next(free, None)
        if found is None:
            raise UsageError(
                f"{folder} is full of files named {slug}", "all numbers are taken", "Choose another --out."
            )
        return _printable(found)
    try:
        return _printable(_asked_for(out, f"{slug}.json"))
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise UsageError(f"No result can lie at {str(out)!r}", why, "Choose another --out.") from exc


def data_directory() -> Path:
    """Return the user's data folder for wattbench (WATTBENCH_DATA overrides it). Raises UsageError without a home."""
    return _user_directory("WATTBENCH_DATA", "XDG_DATA_HOME", ".local/share", "Library/Application Support")


def cache_directory() -> Path:
    """Return the user's cache folder for wattbench (WATTBENCH_CACHE overrides it). Raises UsageError without a home."""
    return _user_directory("WATTBENCH_CACHE", "XDG_CACHE_HOME", ".cache", "Library/Caches")


def keep_cached(path: Path, document: object) -> None:
    """Write a document of plain values into a file of the cache; one that cannot be written costs only time."""
    with suppress(OSError):
        replace_file(path, json.dumps(document).encode())


def state_directory() -> Path:
    """Return the user's state folder for wattbench (WATTBENCH_STATE overrides it). Raises UsageError without a home."""
    return _user_directory("WATTBENCH_STATE", "XDG_STATE_HOME", ".local/state", "Library/Application Support")


def _asked_for(out: Path, name: str) -> Path:
    if out.suffix == ".json":
        if _is_there(out):
            raise UsageError(f"{out} exists already", "a result is never overwritten", "Choose another --out.")
        return out
    if _is_there(out) and not out.is_dir():
        raise UsageError(f"{out} is not a folder", "--out takes a folder or a new .json file", "Choose another --out.")
    return out / name


def _is_there(path: Path) -> bool:
    """Return whether something is at a path; unlike `exists`, raises OSError when that cannot be told."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _printable(path: Path) -> Path:
    """Return the path, or raise UsageError when its bytes are not UTF-8: neither JSON nor a terminal could name it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as exc:
        why = f"{str(path)!r} is not UTF-8"
        raise UsageError("No result can lie in a folder of that name", why, "Choose another place.") from exc
    return path


def _user_directory(own: str, xdg: str, linux: str, mac: str) -> Path:
    if os.environ.get(own):
        return Path(os.environ[own])
    if os.environ.get(xdg):
        return Path(os.environ[xdg]) / "wattbench"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home(own)) / "wattbench"
    return _home(own) / (mac if sys.platform == "darwin" else linux) / "wattbench"


def _home(instead: str) -> Path:
    try:
        return Path.home()
    except RuntimeError as exc:
        why = "HOME is not set and the system knows no home folder of this user"
        raise UsageError("There is no home folder", why, f"Set {instead} to a folder for wattbench.") from exc


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")
