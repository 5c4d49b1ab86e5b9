"""The raw polls beside a result: one file named by the digest of its bytes, written before the document names it."""

import hashlib
from dataclasses import replace
from pathlib import Path

from wattbench.results.document import Result
from wattbench.results.energy import Polls, PollsFile, PowerRecord
from wattbench.results.errors import DocumentError, StorageError, TamperedError, TruncatedError, WattbenchError
from wattbench.results.files import put_file, write_result
from wattbench.results.polls_file import decode_polls, encode_polls

__all__ = ["polls_bytes", "read_polls", "with_polls", "write_with_polls"]

REMEDY = "Keep the two files together; take the original one, or measure again."


def write_with_polls(result: Result, path: Path) -> Result:
    """Write a result's polls into a file of their own, then the result that names it; return what was written.

    A result without a poll is written as it is, and so is one where pyarrow cannot be loaded: its polls then stay in
    the document, where they are as good. Raises StorageError; no file of polls is left behind then.
    """
    if not any(log.value for log in result.power.polls):
        write_result(result, path)
        return result
    try:
        data = encode_polls(result.power.polls)
    except ImportError:
        write_result(result, path)
        return result
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    rows = sum(len(log.value) for log in result.power.polls)
    named = PollsFile(digest=digest, size_bytes=len(data), rows=rows)
    slim = replace(result, power=replace(result.power, polls=(), polls_file=named))
    file = path.parent / named.name
    there = file.exists()
    put_file(file, data)
    try:
        write_result(slim, path)
    except StorageError:
        if not there:
            file.unlink(missing_ok=True)
        raise
    return slim


def read_polls(result: Result, path: Path) -> tuple[Polls, ...]:
    """Return the raw polls of the result at `path`, from the document or from the file beside it.

    Raises TruncatedError for a file that is shorter than the result says, TamperedError for other bytes, and
    DocumentError when it is missing or no file of polls; the message starts with its path.
    """
    named = result.power.polls_file
    if named is None:
        return result.power.polls
    file = path.parent / named.name
    try:
        return decode_polls(_trusted(file, named), named.rows)
    except WattbenchError as exc:
        raise type(exc)(f"{file}: {exc.what}", exc.why, exc.remedy) from exc


def polls_bytes(power: PowerRecord, path: Path) -> bytes:
    """Return the bytes of the file of polls beside the result at `path`; empty when it names none.

    Raises what `read_polls` raises.
    """
    if power.polls_file is None:
        return b""
    file = path.parent / power.polls_file.name
    try:
        return _trusted(file, power.polls_file)
    except WattbenchError as exc:
        raise type(exc)(f"{file}: {exc.what}", exc.why, exc.remedy) from exc


def with_polls(result: Result, path: Path) -> Result:
    """Return the result at `path` with its polls in it. Raises what `read_polls` raises."""
    return replace(result, power=replace(result.power, polls=read_polls(result, path), polls_file=None))


def _trusted(file: Path, named: PollsFile) -> bytes:
    try:
        size = file.stat().st_size
        data = file.read_bytes() if size == named.size_bytes else b""
    except FileNotFoundError as exc:
        raise DocumentError("The raw polls are missing", "the result names this file, it is not there", REMEDY) from exc
    except OSError as exc:
        raise DocumentError("The raw polls cannot be read", exc.strerror or str(exc), REMEDY) from exc
    if size < named.size_bytes:
        why = f"the file has {size} of {named.size_bytes} bytes"
        raise TruncatedError("The raw polls are truncated", why, REMEDY)
    found = "sha256:" + hashlib.sha256(data).hexdigest()
    if size > named.size_bytes or found != named.digest:
        why = f"the result says {named.digest} and {named.size_bytes} bytes, the file has {size} other ones"
        raise TamperedError("The raw polls are not those of this result", why, REMEDY)
    return data
