"""The log of LoadGen (mlperf_log_detail.txt): its key-value lines, and the span that the power counts for."""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wattbench.results.errors import DocumentError
from wattbench.results.exchange.meter import utc_ns
from wattbench.results.exchange.mlperf_spl import TIME_FORMAT

__all__ = ["DetailLog", "read_detail"]

MARKER = ":::MLLOG"
TIME = re.compile(r"\d+-\d+-\d+ \d+:\d+:\d+\.\d+")
"""The director looks for a date like this in any line that has power_begin or power_end in it."""

REMEDY = "Give the mlperf_log_detail.txt of a finished run, as LoadGen wrote it."


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailLog:
    """What LoadGen noted: the last value of each key, the errors and warnings, the power window in ns since 1970.

    `cut` says why the text is not whole; `power_begin_ns` and `power_end_ns` are None where the log has none.
    """

    values: dict[str, object]
    errors: tuple[str, ...]
    warnings: int
    power_begin_ns: int | None
    power_end_ns: int | None
    cut: str | None

    def text(self, key: str) -> str | None:
        """Return a value as text, or None when the log has none or an empty one."""
        value = self.values.get(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> float | None:
        """Return a finite number, or None."""
        value = self.values.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if is_number else None  # type: ignore[arg-type]  # the line above tells

    def duration_s(self) -> float | None:
        """Return the length of the power window in seconds, or None."""
        if self.power_begin_ns is None or self.power_end_ns is None:
            return None
        return (self.power_end_ns - self.power_begin_ns) / 1e9


def read_detail(text: str) -> DetailLog:
    """Return what a detail log says. Raises DocumentError when no line of it is LoadGen's."""
    values: dict[str, object] = {}
    errors: list[str] = []
    warnings, broken = 0, 0
    for line in text.splitlines():
        if not line.startswith(MARKER):
            continue
        record = _record(line)
        if record is None:
            broken += 1
            continue
        key, value, metadata = str(record["key"]), record.get("value"), record.get("metadata")
        flags = metadata if isinstance(metadata, dict) else {}
        values[key] = value
        warnings += flags.get("is_warning") is True
        if flags.get("is_error") is True:
            errors.append(f"{key}: {value}")
    if not values:
        raise DocumentError("This is no log of LoadGen", f"no line starts with {MARKER} and a JSON object", REMEDY)
    return DetailLog(
        values=values,
        errors=tuple(errors),
        warnings=warnings,
        power_begin_ns=_moment_ns(text, "power_begin"),
        power_end_ns=_moment_ns(text, "power_end"),
        cut=_cut(values, broken),
    )


def _record(line: str) -> dict[str, object] | None:
    try:
        record = json.loads(line[len(MARKER) :])
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "key" in record else None


def _moment_ns(text: str, word: str) -> int | None:
    """Return the first instant in a line with that word, read as UTC, in ns since 1970."""
    for line in text.splitlines():
        found = TIME.search(line) if word in line.lower() else None
        if found is not None:
            try:
                return utc_ns(datetime.strptime(found[0], TIME_FORMAT).replace(tzinfo=UTC))
            except ValueError as exc:
                raise DocumentError(f"{word} of this log is no instant", str(exc), REMEDY) from exc
    return None


def _cut(values: dict[str, object], broken: int) -> str | None:
    if broken:
        return f"{broken} of its lines cannot be read"
    return None if "result_validity" in values else "it ends before LoadGen's verdict on the run (result_validity)"
