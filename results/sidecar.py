"""The files beside a result, each named by the digest of its bytes and written before the document that names it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from wattbench.results.beside import file_bytes
from wattbench.results.document import Result
from wattbench.results.energy import Polls, PollsFile
from wattbench.results.errors import StorageError, WattbenchError
from wattbench.results.files import put_file, write_result
from wattbench.results.polls_file import decode_polls, encode_polls
from wattbench.results.requests_file import encode_requests, named_requests, without_requests

__all__ = ["read_polls", "with_polls", "write_unfinished", "write_with_files", "write_with_polls"]

Written = TypeVar("Written")

MANY_STAMPS = 500_000
"""Beyond so many stamps, some 7 MB of text, a document that is still to grow has its requests beside it already."""


def write_with_files(result: Result, path: Path) -> Result:
    """Write a result of traffic with its requests in a file of their own, and any with its polls in another.

    Return it as `read_result` gives it: the polls named, the requests in it. A run that sent no request has no file of
    them, and where pyarrow cannot be loaded all stays in the document. Raises StorageError; no new file is left then.
    """
    served = [repeat.traffic is not None for repeat in result.repeats]
    if not any(len(repeat.completions) for repeat in result.repeats) or not all(served):
        return write_with_polls(result, path)
    try:
        data = encode_requests(result.repeats)
    except ImportError:
        return write_with_polls(result, path)
    named = named_requests(data, result.repeats)
    slim = without_requests(result, named)
    written = _followed(path.parent / named.name, data, lambda: write_with_polls(slim, path))
    return replace(written, repeats=result.repeats, requests_file=None)


def write_unfinished(result: Result, path: Path) -> Path | None:
    """Write a result that is still to grow, its polls in it, and return the file of its requests.

    None: they are in the document, being few, or since pyarrow cannot be loaded. Raises StorageError; no new file is
    left then.
    """
    stamps = sum(map(len, (steps for repeat in result.repeats for steps in repeat.completions.step_end_ns)))
    served = all(repeat.traffic is not None for repeat in result.repeats)
    try:
        data = encode_requests(result.repeats) if served and stamps > MANY_STAMPS else None
    except ImportError:
        data = None
    if data is None:
        write_result(result, path)
        return None
    named = named_requests(data, result.repeats)
    slim, file = without_requests(result, named), path.parent / named.name
    _followed(file, data, lambda: write_result(slim, path))
    return file


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
    _followed(path.parent / named.name, data, lambda: write_result(slim, path))
    return slim


def read_polls(result: Result, path: Path) -> tuple[Polls, ...]:
    """Return the raw polls of the result at `path`, from the document or from the file beside it.

    Raises TruncatedError for a file of which the end is missing, TamperedError for other bytes, and DocumentError when
    it is missing or no file of polls; the message starts with its path.
    """
    named = result.power.polls_file
    if named is None:
        return result.power.polls
    data = file_bytes(named, path)
    try:
        return decode_polls(data, named.rows)
    except WattbenchError as exc:
        raise type(exc)(f"{path.parent / named.name}: {exc.what}", exc.why, exc.remedy) from exc


def with_polls(result: Result, path: Path) -> Result:
    """Return the result at `path` with its polls in it. Raises what `read_polls` raises."""
    return replace(result, power=replace(result.power, polls=read_polls(result, path), polls_file=None))


def _followed(file: Path, data: bytes, write: Callable[[], Written]) -> Written:
    """Write a file and what names it; a new file goes again when that cannot follow. Raises StorageError."""
    there = file.exists()
    put_file(file, data)
    try:
        return write()
    except StorageError:
        if not there:
            file.unlink(missing_ok=True)
        raise
