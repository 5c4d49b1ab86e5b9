"""Reading a trace from a file, line by line and bounded: what it holds, its digest, and what was remarkable."""

import hashlib
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

from wattbench.harness.traffic.streams import CALLS_MAX
from wattbench.harness.traffic.trace_formats import FORMATS, Row, TraceFormat, format_of
from wattbench.results.errors import UsageError

__all__ = ["Trace", "read_trace"]

SIZE_MAX_BYTES = 512 * 2**20
"""A longer file is refused unread: the whole of BurstGPT (5 million rows) has 220 MB."""

LINE_MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The calls of a trace in the order of their times, the first one at 0 s; `notes` say what was done to them."""

    name: str
    digest: str
    format: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def read_trace(path: Path) -> Trace:
    """Return what a trace file holds; its format is seen from its first line.

    Raises UsageError for a file that is missing, no file, too long, empty, or of no known format, and for a line that
    cannot be (its number is named).
    """
    digest = hashlib.sha256()
    with _opened(path) as stream:
        lines = _lines(stream, path, digest.update)
        at, first = next(lines, (0, ""))
        form = format_of(first) if at else None
        if form is None:
            names = ", ".join(form.name for form in FORMATS)
            why = f"line {at} of {path.name} begins none of {names}" if at else f"{path.name} is empty"
            raise UsageError("The trace cannot be read", why, "docs/scenarios.md has the formats.")
        header = tuple(cell.strip() for cell in first.split(",")) if form.header else ()
        rows, failed = _rows(form, header, chain(() if form.header else ((at, first),), lines), path)
    if not rows:
        why = f"{path.name} has no call" + (f", {failed} rows without tokens" if failed else "")
        raise UsageError("The trace is empty", why, "Choose another file.")
    return _trace(path.name, f"sha256:{digest.hexdigest()}", form, rows, failed)


def _rows(
    form: TraceFormat, header: tuple[str, ...], lines: Iterable[tuple[int, str]], path: Path
) -> tuple[list[Row], int]:
    """Return the calls of the lines, and how many of a log had failed."""
    rows: list[Row] = []
    failed = 0
    for number, line in lines:
        row = _row(form, line, header, path, number)
        if form.log and (row.input_tokens < 1 or row.output_tokens < 1):
            failed += 1
            continue
        rows.append(row)
        if len(rows) > CALLS_MAX:
            why = f"{path.name} has more than {CALLS_MAX} calls"
            raise UsageError("The trace is too long", why, "Cut it to the part that is to be replayed.")
    return rows, failed


def _trace(name: str, digest: str, form: TraceFormat, rows: list[Row], failed: int) -> Trace:
    times = [row.at_s for row in rows]
    late = sum(b < a for a, b in pairwise(times))
    ordered = sorted(rows, key=lambda row: row.at_s)
    notes = [f"{failed} rows without tokens were left out: calls that failed"] if failed else []
    notes += [f"{late} rows came before the row above them: sorted by time"] if late else []
    begin = ordered[0].at_s
    notes += [f"its first call at {begin:g} s was made the start"] if begin else []
    return Trace(name=name, digest=digest, format=form.name, rows=_from_zero(ordered, begin), notes=tuple(notes))


def _from_zero(rows: list[Row], begin: float) -> tuple[Row, ...]:
    if begin == 0:
        return tuple(rows)
    return tuple(replace(row, at_s=row.at_s - begin) for row in rows)


def _opened(path: Path) -> IO[bytes]:
    """Open a regular file of a sensible size."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError("The trace cannot be read", f"{path.name} is no file", "Name a file.")
        if found.st_size > SIZE_MAX_BYTES:
            why = f"{path.name} has {found.st_size / 2**20:.0f} MiB, at most {SIZE_MAX_BYTES >> 20} are read"
            raise UsageError("The trace is too long", why, "Cut it to the part that is to be replayed.")
        return path.open("rb")
    except (OSError, ValueError) as exc:
        words = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise UsageError("The trace cannot be read", f"{path.name}: {words}", "Check the name.") from exc


def _lines(stream: IO[bytes], path: Path, note: Callable[[bytes], None]) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is not blank; `note` gets every line's bytes."""
    number = 0
    while line := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        if len(line) > LINE_MAX_BYTES:
            why = f"line {number} of {path.name} has more than {LINE_MAX_BYTES} bytes"
            raise UsageError("The trace cannot be read", why, "One call is one line.")
        note(line)
        try:
            text = line.decode("utf-8").removeprefix("\ufeff").strip()
        except UnicodeDecodeError as exc:
            raise UsageError("The trace cannot be read", f"line {number} of {path.name} is no UTF-8 text") from exc
        if text:
            yield number, text


def _row(form: TraceFormat, line: str, header: tuple[str, ...], path: Path, number: int) -> Row:
    try:
        return form.row(line, header)
    except ValueError as exc:
        why = f"line {number} of {path.name}: {exc}"
        raise UsageError(f"The trace is no {form.name} trace throughout", why, "Mend the line, or cut it out.") from exc
