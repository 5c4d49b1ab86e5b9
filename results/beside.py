"""The files beside a document, polls and requests of traffic: which it names, and their bytes once trusted."""

import hashlib
import stat
from pathlib import Path

from wattbench.results.energy import PollsFile
from wattbench.results.errors import DocumentError, TamperedError, TruncatedError, WattbenchError
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.measurement import RequestsFile

__all__ = ["NamedFile", "file_bytes", "named_files"]

NamedFile = PollsFile | RequestsFile

PARQUET_END = b"PAR1"
"""A whole Parquet file ends with these bytes: a shorter one that does is another file, and not a part of its own."""

REMEDY = "Keep the files together; take the original one, or measure again."


def named_files(document: Document) -> tuple[NamedFile, ...]:
    """Return the files that a document names."""
    requests = None if isinstance(document, ImportedResult) else document.requests_file
    return tuple(named for named in (document.power.polls_file, requests) if named is not None)


def file_bytes(named: NamedFile, path: Path) -> bytes:
    """Return the bytes of a file that the document at `path` names, from beside it, after their digest was checked.

    Raises TruncatedError for a file of which the end is missing, TamperedError for other bytes, and DocumentError when
    it is missing or cannot be read; the message starts with its path.
    """
    file = path.parent / named.name
    try:
        return _trusted(file, named)
    except WattbenchError as exc:
        raise type(exc)(f"{file}: {exc.what}", exc.why, exc.remedy) from exc


def _trusted(file: Path, named: NamedFile) -> bytes:
    what = "The raw polls" if isinstance(named, PollsFile) else "The requests"
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(f"{what} cannot be read", "it is no regular file", REMEDY)
        size = status.st_size
        data = file.read_bytes() if size <= named.size_bytes else b""
    except FileNotFoundError as exc:
        raise DocumentError(f"{what} are missing", "the result names this file, it is not there", REMEDY) from exc
    except OSError as exc:
        raise DocumentError(f"{what} cannot be read", exc.strerror or str(exc), REMEDY) from exc
    if size < named.size_bytes and not data.endswith(PARQUET_END):
        raise TruncatedError(f"{what} are truncated", f"the file has {size} of {named.size_bytes} bytes", REMEDY)
    found = "sha256:" + hashlib.sha256(data).hexdigest()
    if size > named.size_bytes or found != named.digest:
        seen = f"{found} and {size} bytes" if data else f"{size} bytes"
        why = f"the result says {named.digest} and {named.size_bytes} bytes, the file has {seen}"
        raise TamperedError(f"{what} are not those of this result", why, REMEDY)
    return data
