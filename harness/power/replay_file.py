"""Recorded power traces as files: our CSV, and the logs that nvidia-smi writes; read strictly."""

import csv
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from wattbench.results.energy import Scope
from wattbench.results.errors import UsageError

__all__ = ["Recording", "Trace", "read_recording"]

FACTS = ("update_period_s", "averaging_window_s", "lag_s", "seen_share", "wraps_at_j", "limit_w", "accuracy_rel")
"""What lines such as `# lag_s: 0.1` may say of the recorded sensor; `# accuracy_basis: TEXT` goes with the last."""

FORMAT = "docs/power.md#replay shows the format."

_SMI_FIELDS = ("power.draw.instant", "power.draw", "power.draw.average")
_SMI_ACCURACY_REL = 0.127 / math.sqrt(3)
_SMI_ACCURACY_BASIS = (
    "the log does not name its board: +12.7 %, the largest of 16 published comparisons of NVML with a meter "
    "(arXiv 2312.02741), as a rectangular bound"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One recorded quantity: its scope, whether it is a power or a counter, times in s, values in W or J.

    Times count from the recording's origin, so that all traces of a file keep step; the first is 0.
    """

    scope: Scope
    kind: Literal["power", "counter"]
    times_s: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file's traces, what it says of the sensor, and the digest of its bytes.

    `length_s` is the part of the time that every trace covers, after which all of them start again together.
    """

    traces: tuple[Trace, ...]
    length_s: float
    facts: dict[str, float]
    accuracy_basis: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Where a header line puts time, value and scope, how its times read, and what parts its columns."""

    time: int
    value: int
    scope: int | None
    kind: Literal["power", "counter"]
    smi: bool
    delimiter: str


def read_recording(path: Path) -> Recording:
    """Return the recording in a CSV file with columns `time_s` and `power_w` or `energy_j`, and optionally `scope`.

    Columns are parted by commas, semicolons or tabs.
    A log of `nvidia-smi --query-gpu=timestamp,power.draw,... --format=csv` works too. Raises UsageError naming the
    line for anything that is not a finite, not negative number at a time not before the last one.
    """
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise UsageError(f"Cannot replay {path}", why, "Name a CSV file: --power replay:FILE") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"Cannot replay {path}", "it is not UTF-8 text", "Name a CSV file: --power replay:FILE"
        ) from exc
    rows = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if len(rows) < 2:
        raise UsageError(f"Cannot replay {path}", "the file holds no samples", FORMAT)
    header = _columns(path, rows[0])
    facts, basis = _facts(path, lines)
    if header.smi and "accuracy_rel" not in facts:
        facts, basis = facts | {"accuracy_rel": _SMI_ACCURACY_REL}, _SMI_ACCURACY_BASIS
    traces, length_s = _traces(path, header, rows[1:])
    digest = hashlib.sha256(data).hexdigest()
    return Recording(traces=traces, length_s=length_s, facts=facts, accuracy_basis=basis, sha256=digest)


def _columns(path: Path, row: tuple[int, str]) -> _Columns:
    delimiter = max((",", ";", "\t"), key=row[1].count)
    names = [name.split("[")[0].strip() for name in _words(path, *row, delimiter)]
    smi = "timestamp" in names
    values = [name for name in (_SMI_FIELDS if smi else ("power_w", "energy_j")) if name in names]
    time_name = "timestamp" if smi else "time_s"
    if time_name not in names or not values or (len(values) > 1 and not smi):
        raise _refused(path, row[0], f"columns are {', '.join(names)}; wanted are time_s and one of power_w, energy_j")
    return _Columns(
        time=names.index(time_name),
        value=names.index(values[0]),
        scope=names.index("scope") if "scope" in names else None,
        kind="counter" if values[0] == "energy_j" else "power",
        smi=smi,
        delimiter=delimiter,
    )


def _facts(path: Path, lines: list[str]) -> tuple[dict[str, float], str]:
    """Return the comment lines that state facts of the sensor, and the basis of its accuracy."""
    facts: dict[str, float] = {}
    basis = "the recording does not state the accuracy of its sensor"
    for number, line in enumerate(lines, 1):
        key, _, text = line.removeprefix("#").partition(":")
        if not line.startswith("#"):
            continue
        if key.strip() == "accuracy_basis":
            basis = text.strip()
        elif key.strip() in FACTS:
            facts[key.strip()] = _fact(path, number, key.strip(), text)
    return facts, basis


def _fact(path: Path, number: int, key: str, text: str) -> float:
    """Return a stated fact. Raises UsageError for a share above 1, and for zeros that would switch a check off."""
    value = _number(path, number, text)
    if key == "seen_share" and not 0 < value <= 1:
        raise _refused(path, number, f"seen_share {value:g} is a share from above 0 to 1")
    if key in ("limit_w", "wraps_at_j") and not value:
        raise _refused(path, number, f"{key} 0 is no limit; leave out what is not known")
    return value


def _traces(path: Path, header: _Columns, rows: list[tuple[int, str]]) -> tuple[tuple[Trace, ...], float]:
    """Return the traces over the time that all of them cover, and its length in s; one row alone is a constant."""
    samples: dict[Scope, list[tuple[float, float]]] = {}
    for number, time_s, value, scope in _samples(path, header, rows):
        known = samples.setdefault(scope, [])
        if known and time_s < known[-1][0]:
            raise _refused(path, number, f"its time {time_s:.6g} s lies before the one above, {known[-1][0]:.6g} s")
        known.append((time_s, value))
    moving = [known for known in samples.values() if len(known) > 1]
    origin_s = max((known[0][0] for known in moving), default=0.0)
    end_s = min((known[-1][0] for known in moving), default=origin_s)
    if len(moving) > 1 and end_s <= origin_s:
        raise _refused(path, rows[-1][0], f"its scopes {', '.join(samples)} have no time in common")
    traces = (_trace(scope, header.kind, known, origin_s, end_s) for scope, known in samples.items())
    return tuple(traces), end_s - origin_s


def _trace(
    scope: Scope, kind: Literal["power", "counter"], known: list[tuple[float, float]], origin_s: float, end_s: float
) -> Trace:
    """Return one scope's samples of [origin, end], led by the value that was in force at the origin."""
    before = [value for time_s, value in known if time_s <= origin_s] or [known[0][1]]
    within = [(time_s - origin_s, value) for time_s, value in known if origin_s < time_s <= end_s]
    times_s, values = zip((0.0, before[-1]), *within, strict=True)
    return Trace(scope=scope, kind=kind, times_s=times_s, values=values)


def _samples(path: Path, header: _Columns, rows: list[tuple[int, str]]) -> Iterator[tuple[int, float, float, Scope]]:
    for number, line in rows:
        words = _words(path, number, line, header.delimiter)
        if len(words) <= max(header.time, header.value, header.scope or 0):
            raise _refused(path, number, "it has too few columns")
        time_word = words[header.time]
        time_s = _smi_time_s(path, number, time_word) if header.smi else _number(path, number, time_word)
        value = _number(path, number, words[header.value].removesuffix("W"))
        yield number, time_s, value, _scope(path, number, "board" if header.scope is None else words[header.scope])


def _words(path: Path, number: int, line: str, delimiter: str) -> list[str]:
    """Return the fields of one line; a row that goes on in the next line is none that a logger writes."""
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except csv.Error as exc:
        raise _refused(path, number, str(exc)) from None


def _scope(path: Path, number: int, word: str) -> Scope:
    for scope in get_args(Scope):
        if scope == word.strip():
            return scope  # type: ignore[no-any-return]  # get_args has no types
    raise _refused(path, number, f"scope {word.strip()!r} is none of {', '.join(get_args(Scope))}")


def _number(path: Path, number: int, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        comma = " (decimals need a point)" if re.fullmatch(r"\s*\d+,\d+\s*", word) else ""
        raise _refused(path, number, f"{word.strip()!r} is not a number{comma}") from None
    if not math.isfinite(value) or value < 0:
        raise _refused(path, number, f"{word.strip()} is not a finite number from 0 up")
    return value


def _smi_time_s(path: Path, number: int, word: str) -> float:
    try:
        return datetime.strptime(word.strip(), "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _refused(path, number, f"{word.strip()!r} is not a time such as 2026/01/31 12:00:00.000") from None


def _refused(path: Path, number: int, why: str) -> UsageError:
    return UsageError(f"Cannot replay {path}", f"line {number}: {why}", FORMAT)
