"""Reading a file that holds a secret: only when nobody but its owner can read or change it."""

import os
import stat
from pathlib import Path

from wattbench.results.errors import UsageError

__all__ = ["guarded_text"]


def guarded_text(path: Path, what: str, advice: str) -> str:
    """Return a file's text, its owner and mode checked on the opened file itself, so that none can be swapped in.

    `what` names the file in messages ("credentials file"), `advice` says where to read more. Raises UsageError for a
    file that cannot be read, is not text, or that others may read or change; its content is never repeated.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as exc:
        raise UsageError(f"Cannot read the {what} {path}", exc.strerror or "", "Name another.") from exc
    with os.fdopen(handle, encoding="utf-8") as file:
        facts = os.fstat(file.fileno())
        why = _unsafe(facts)
        if why is not None:
            raise UsageError(f"The {what} {path} is not safe", why, f"chmod 600 {path}, as its owner ({advice}).")
        try:
            return file.read()
        except UnicodeDecodeError as exc:
            raise UsageError(f"The {what} {path} is not text", "it is not UTF-8") from exc


def _unsafe(facts: os.stat_result) -> str | None:
    """Return why a file may not hold secrets, or None. Only POSIX knows owners and modes like this."""
    if not stat.S_ISREG(facts.st_mode):
        return "it is no plain file"
    if not hasattr(os, "geteuid"):
        return None
    if facts.st_uid != os.geteuid():
        return "it belongs to another user"
    if facts.st_mode & 0o077:
        return f"others may read or change it (mode {stat.S_IMODE(facts.st_mode):04o})"
    return None
