"""Files that are whole and on the disk before anybody counts on them."""

import os
import uuid
from pathlib import Path

__all__ = ["replace_file", "sync_folder", "write_new"]


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in place of what was there, all or nothing, flushed to the disk. Raises OSError.

    It is written beside its place and renamed, and its folder is made where there is none; what is half written is
    gone whatever happens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".wattbench-{uuid.uuid4().hex}.part"
    try:
        write_new(part, data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file that must not be there yet, flushed to the disk. Raises OSError.

    Its name is on the disk only after `sync_folder`.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system lets a folder be opened (Windows does not)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
