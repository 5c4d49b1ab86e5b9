"""Reading numbers and words from sysfs files, with the system's errors turned into ours."""

import os
from pathlib import Path

from wattbench.results.errors import SensorError

__all__ = ["SIZE_BYTES", "CounterFile", "read_int", "read_micro", "read_word", "try_micro", "try_word"]


def read_word(path: Path) -> str:
    """Return a file's text without the line end. Raises SensorError, with PermissionError as its cause where it is."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise SensorError(f"Cannot read {path}", exc.strerror or str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise SensorError(f"Cannot read {path}", "it holds no text") from exc


def read_int(path: Path) -> int:
    """Return a file's integer. Raises SensorError when it cannot be read or holds something else."""
    word = read_word(path)
    try:
        return int(word)
    except ValueError as exc:
        raise SensorError(f"{path} holds no integer", repr(word[:40])) from exc


def read_micro(path: Path) -> float:
    """Return a file's integer of micro-units (uW, uJ) in whole units (W, J)."""
    return read_int(path) / 1e6


def try_word(path: Path) -> str | None:
    """Return a file's text, or None when it is missing, forbidden or empty."""
    try:
        return read_word(path) or None
    except SensorError:
        return None


def try_micro(path: Path) -> float | None:
    """Return a file's micro-units in whole units, or None when there is no such number."""
    try:
        return read_micro(path)
    except SensorError:
        return None


SIZE_BYTES = 64
"""More than a number of 64 bits takes."""


class CounterFile:
    """One file of micro-units that is kept open, as opening costs more than reading; sysfs answers anew each time."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises SensorError, with PermissionError as its cause where it is."""
        self._path = path
        try:
            self._fd: int | None = os.open(path, os.O_RDONLY)
        except OSError as exc:
            raise SensorError(f"Cannot read {path}", exc.strerror or str(exc)) from exc

    def read(self) -> float:
        """Return the number now, in whole units. Raises SensorError when it is gone, closed or holds something else."""
        return self.number(self.look())

    def look(self) -> bytes:
        """Return the text now. Raises SensorError when the file is gone or closed."""
        if self._fd is None:
            raise SensorError(f"Cannot read {self._path}", "it is closed")
        try:
            return os.pread(self._fd, SIZE_BYTES, 0)
        except OSError as exc:
            raise SensorError(f"Cannot read {self._path}", exc.strerror or str(exc)) from exc

    def fileno(self) -> int:
        """Return the open file's number, for whoever reads many at once. Raises SensorError when it is closed."""
        if self._fd is None:
            raise SensorError(f"Cannot read {self._path}", "it is closed")
        return self._fd

    def number(self, word: bytes) -> float:
        """Return the number of a look, in whole units. Raises SensorError when it is none."""
        try:
            return int(word) / 1e6
        except ValueError as exc:
            raise SensorError(f"{self._path} holds no integer", repr(word[:40])) from exc

    def close(self) -> None:
        """Close the file; safe to call twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
