"""The power log of MLPerf (spl.txt): the lines that SPEC's PTDaemon gives for every sample of the meter."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wattbench.results.errors import DocumentError
from wattbench.results.exchange.meter import MeterRecording, utc_ns

__all__ = ["TIME_FORMAT", "read_spl"]

TIME_FORMAT = "%m-%d-%Y %H:%M:%S.%f"
"""How MLPerf's logs write an instant (LoadGen and power-dev, mlcommons/inference and mlcommons/power-dev)."""

FIELDS_MIN = 4
REMEDY = "Give the spl.txt of a power run: lines such as `Time,07-13-2025 01:10:05.749,Watts,32.990000,...`."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line: its instant and watts (None with the cause: the meter had no valid reading), or why it is none."""

    time_ns: int | None
    power_w: float | None
    problem: str | None


def read_spl(text: str, *, zone: timedelta = timedelta(0), zone_stated: bool = False) -> MeterRecording:
    """Return the recording in the text of an spl.txt.

    Its times have no zone: they are `zone` ahead of UTC, and UTC by power-dev's convention. A line that cannot be read
    is skipped and counted, and the text is then called cut. Raises DocumentError when there is no sample at all, or
    when the times go backwards.
    """
    rows = list(_rows(text, zone))
    good = [(row.time_ns, row.power_w, row.problem) for _, row in rows if row.time_ns is not None]
    broken = [(number, row.problem) for number, row in rows if row.time_ns is None]
    if not good:
        why = f"line {broken[0][0]}: {broken[0][1]}" if broken else "no line starts with Time"
        raise DocumentError("This is no power log of MLPerf", why, REMEDY)
    times_ns = tuple(time_ns for time_ns, _, _ in good)
    for i in range(1, len(times_ns)):
        if times_ns[i] < times_ns[i - 1]:
            why = f"sample {i + 1} lies {(times_ns[i - 1] - times_ns[i]) / 1e9:.3f} s before the one above"
            raise DocumentError("The times of this power log go backwards", why, "Take the log of one run alone.")
    stated = "as stated" if zone_stated else "by power-dev's convention"
    return MeterRecording(
        format="mlperf-spl",
        kind="power",
        times_ns=times_ns,
        values=tuple(power_w for _, power_w, _ in good),
        errors={i: problem for i, (_, _, problem) in enumerate(good) if problem is not None},
        time_reference=f"times without a zone, read as {_zone_text(zone)} {stated}",
        cut=_cut(text, broken),
        skipped=len(broken),
    )


def _rows(text: str, zone: timedelta) -> Iterator[tuple[int, _Row]]:
    lines = text.splitlines()
    fields = max((line.count(",") for line in lines[:1]), default=0)
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not text.endswith("\n") and line.count(",") < fields:
            yield (
                number,
                _Row(time_ns=None, power_w=None, problem="it breaks off"),
            )  # its last number may be half of one
        elif line.startswith("Time"):
            yield number, _row(line, zone)
        elif line.strip():
            yield number, _Row(time_ns=None, power_w=None, problem="it does not start with Time")


def _row(line: str, zone: timedelta) -> _Row:
    fields = line.split(",")
    if len(fields) < FIELDS_MIN:
        return _Row(time_ns=None, power_w=None, problem="it ends before its watts")
    try:
        moment = datetime.strptime(fields[1], TIME_FORMAT).replace(tzinfo=UTC) - zone
        power_w = float(fields[3])
    except ValueError as exc:
        return _Row(time_ns=None, power_w=None, problem=str(exc))
    if not math.isfinite(power_w) or power_w <= 0:
        return _Row(time_ns=utc_ns(moment), power_w=None, problem=f"the meter gave {power_w:g} W: no valid reading")
    return _Row(time_ns=utc_ns(moment), power_w=power_w, problem=None)


def _cut(text: str, broken: list[tuple[int, str | None]]) -> str | None:
    if broken:
        number, problem = broken[-1]
        return f"line {number}: {problem}" + (f" (and {len(broken) - 1} more such lines)" if len(broken) > 1 else "")
    return None if text.endswith("\n") else "the last line has no end"


def _zone_text(zone: timedelta) -> str:
    minutes = round(zone.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return "UTC" if minutes == 0 else f"UTC{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
