"""A meter's recording as a CSV file: columns by name, times that say where they stand, units that are stated."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from statistics import median
from typing import Literal

from wattbench.results.errors import UsageError
from wattbench.results.exchange.meter import MeterRecording, utc_ns

__all__ = ["UNITS", "CsvOptions", "read_meter_csv"]

UNITS = {"W": 1.0, "kW": 1e3, "mW": 1e-3, "J": 1.0, "kJ": 1e3, "mJ": 1e-3, "Wh": 3600.0, "kWh": 3.6e6}
"""Units of the value column and what one of them is in W or J."""

POWER_UNITS = ("W", "kW", "mW")

TIME_NAMES = ("time", "timestamp", "datetime", "time_utc")
WATT_NAMES = ("power_w", "watts", "power", "w")
JOULE_NAMES = ("energy_j", "joules", "j")
"""The columns that are taken without being named, in any case."""

OTHER_WATT_NAMES = ("power_kw", "kw")
OTHER_JOULE_NAMES = ("energy_kwh", "kwh", "energy_wh", "wh", "energy_kj", "kj")
"""Those that are taken where there is none of the former."""

EPOCH_UNITS = ((1e8, 1e11, 10**9, "epoch seconds"), (1e11, 1e14, 10**6, "epoch milliseconds"))
"""Numbers that are instants since 1970: seconds of the years 1973 to 5138, or milliseconds of the same span."""

YEARS = range(1973, 5138)
"""The years that times in words may lie in: those of the numbers."""

WATTS_LOW, WATTS_HIGH = 1.0, 100_000.0
"""Medians beyond these are no machine's draw but another unit's number (our choice; a rack draws up to 100 kW)."""

IN_NAMES = {"kw": "kW", "kj": "kJ", "wh": "Wh", "kwh": "kWh"}
"""Units that a column's name states and that can mean one thing only."""

UNCLEAR = {"mw": "mW", "mj": "mJ"}
"""In names these may mean thousandths or millions."""

WHAT = "Cannot read the meter's recording"
MISSING = frozenset({"", "nan", "-", "--", "n/a", "na", "null", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """What the user states of a CSV file; None leaves it to the file, which must then say so itself.

    `zone` is what times without a time zone are ahead of UTC, `unit` one of `UNITS`.
    """

    time_column: str | None = None
    watts_column: str | None = None
    joules_column: str | None = None
    unit: str | None = None
    zone: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    time: int
    value: int
    name: str
    kind: Literal["power", "counter"]
    delimiter: str


def read_meter_csv(text: str, options: CsvOptions) -> MeterRecording:
    """Return the recording in a CSV text with a header line; lines that start with # are comments.

    Times are ISO 8601 with an offset (or without one, if `options.zone` states it) or seconds or milliseconds since
    1970; values are watts, or joules of a counter. Raises UsageError naming the line and the remedy for a missing
    column, a time that cannot be placed, times that go backwards, and numbers that look like another unit's.
    """
    rows = enumerate(text.removeprefix("\ufeff").splitlines(), 1)
    lines = [(n, line) for n, line in rows if line.strip() and not line.startswith("#")]
    if len(lines) < 3:
        raise UsageError(WHAT, "it has fewer than two samples below its header", "Record longer than the run.")
    layout = _layout(lines[0][1], options)
    factor = _factor(layout, options)
    times_ns: list[int] = []
    values: list[float | None] = []
    errors: dict[int, str] = {}
    references: dict[str, None] = {}
    for number, words in _rows(lines[1:], layout):
        time_ns, reference = _time(words[layout.time].strip(), number, options.zone)
        if times_ns and time_ns < times_ns[-1]:
            back_s = (times_ns[-1] - time_ns) / 1e9
            raise UsageError(
                WHAT, f"line {number}: its time lies {back_s:.3f} s before the one above", "Sort it by time."
            )
        value = _value(words[layout.value].strip(), number)
        if value is None:
            errors[len(values)] = f"no number: {words[layout.value].strip()!r}"
        times_ns.append(time_ns)
        values.append(None if value is None else value * factor)
        references[reference] = None
    if options.unit is None:
        _refuse_other_units(layout, times_ns, values, factor)
    return MeterRecording(
        format="csv",
        kind=layout.kind,
        times_ns=tuple(times_ns),
        values=tuple(values),
        errors=errors,
        time_reference=" and ".join(references),
    )


def _layout(header: str, options: CsvOptions) -> _Layout:
    delimiter = max((",", ";", "\t"), key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    time = _column(names, options.time_column, TIME_NAMES, "--time-column")
    if options.watts_column is not None and options.joules_column is not None:
        raise UsageError(WHAT, "both a column of watts and one of joules are named", "Name the better of the two.")
    kind: Literal["power", "counter"] = "power" if options.joules_column is None else "counter"
    stated = options.watts_column or options.joules_column
    plain, other = (*WATT_NAMES, *JOULE_NAMES), (*OTHER_WATT_NAMES, *OTHER_JOULE_NAMES)
    usual = plain if any(name.lower() in plain for name in names) else (*plain, *other)
    known = [name for name in names if name.lower() in usual]
    if stated is None and len(known) == 1:
        kind = "power" if known[0].lower() in (*WATT_NAMES, *OTHER_WATT_NAMES) else "counter"
    value = _column(names, stated, usual, "--watts-column or --joules-column")
    return _Layout(time=time, value=value, name=names[value], kind=kind, delimiter=delimiter)


def _column(names: Sequence[str], stated: str | None, known: Sequence[str], flag: str) -> int:
    """Return the index of the named column, or of the only one with a known name."""
    columns = f"its columns are {', '.join(names)}"
    if stated is not None:
        if stated not in names:
            raise UsageError(WHAT, f"there is no column {stated!r}; {columns}", f"Name one of them with {flag}.")
        return names.index(stated)
    found = [i for i, name in enumerate(names) if name.lower() in known]
    if len(found) != 1:
        many = "more than one column could be it" if found else f"none is called {', '.join(known)}"
        raise UsageError(WHAT, f"{many}; {columns}", f"Name it with {flag}.")
    return found[0]


def _factor(layout: _Layout, options: CsvOptions) -> float:
    """Return what one unit of the column is in W or J: as stated, or by the name, which must be clear."""
    wanted = "W" if layout.kind == "power" else "J"
    if options.unit is not None:
        if options.unit not in UNITS or (options.unit in POWER_UNITS) != (wanted == "W"):
            fit = [unit for unit in UNITS if (unit in POWER_UNITS) == (wanted == "W")]
            raise UsageError(WHAT, f"a column of {layout.kind} is not in {options.unit}", f"Use {', '.join(fit)}.")
        return UNITS[options.unit]
    words = [word.lower() for word in re.split(r"[^A-Za-z]+", layout.name)]
    unclear = next((UNCLEAR[word] for word in words if word in UNCLEAR), None)
    if unclear is not None:
        remedy = f"State the unit: --unit {unclear}, or --unit {wanted} if the name misleads."
        raise UsageError(WHAT, f"the column {layout.name!r} may be in {unclear} or in M{wanted}", remedy)
    named = next((IN_NAMES[word] for word in words if word in IN_NAMES), wanted)
    if (named in POWER_UNITS) != (wanted == "W"):
        remedy = f"State the unit: --unit {wanted} if the name misleads."
        raise UsageError(WHAT, f"the column {layout.name!r} names {named}, a unit of {wanted} was expected", remedy)
    return UNITS[named]


def _rows(lines: Sequence[tuple[int, str]], layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        try:
            words = next(csv.reader([line], delimiter=layout.delimiter))
        except csv.Error as exc:
            raise UsageError(WHAT, f"line {number}: {exc}", "Write one sample a line.") from None
        if len(words) <= max(layout.time, layout.value):
            raise UsageError(WHAT, f"line {number} has {len(words)} columns, too few", "Was the file cut short?")
        yield number, words


def _time(word: str, number: int, zone: timedelta | None) -> tuple[int, str]:
    """Return an instant in ns since 1970, and how it was read."""
    try:
        return _epoch_ns(Decimal(word), number)
    except InvalidOperation:
        pass
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        why = f"line {number}: {word!r:.60} is no ISO 8601 time and no number"
        raise UsageError(WHAT, why, "Times look like 2026-01-31T12:00:00.5+01:00 or 1769857200.5.") from None
    if moment.year not in YEARS:
        raise UsageError(WHAT, f"line {number}: nothing was recorded in {word!r:.60}", "Set the meter's clock.")
    if moment.tzinfo is not None:
        return utc_ns(moment), "ISO 8601 with its offset"
    if zone is None:
        why = f"line {number}: {word!r} does not say in which time zone it is"
        raise UsageError(WHAT, why, "State it: --time-zone UTC, or +01:00.")
    hours = f"{'-' if zone < timedelta(0) else '+'}{abs(zone) // timedelta(minutes=1) // 60:02d}"
    stated = f"{hours}:{abs(zone) // timedelta(minutes=1) % 60:02d}"
    return utc_ns(moment.replace(tzinfo=timezone(zone))), f"ISO 8601 without a zone, {stated} as stated"


def _epoch_ns(value: Decimal, number: int) -> tuple[int, str]:
    for low, high, unit_ns, name in EPOCH_UNITS:
        if value.is_finite() and low <= value < high:
            return int(value * unit_ns), name
    why = f"line {number}: {value} is neither seconds nor milliseconds since 1970"
    raise UsageError(WHAT, why, "A recording without wall-clock times cannot be placed; write them as ISO 8601.")


def _value(word: str, number: int) -> float | None:
    """Return a number, or None for an empty or missing one."""
    if word.lower() in MISSING:
        return None
    try:
        value = float(word)
    except ValueError:
        comma = " (decimals need a point)" if re.fullmatch(r"-?\d+,\d+", word) else ""
        raise UsageError(WHAT, f"line {number}: {word!r:.60} is not a number{comma}", "Correct the column.") from None
    return value if math.isfinite(value) else None


def _refuse_other_units(
    layout: _Layout, times_ns: Sequence[int], values: Sequence[float | None], factor: float
) -> None:
    """Raise UsageError where the numbers cannot be watts (or joules) of a machine."""
    known = [(t, v) for t, v in zip(times_ns, values, strict=True) if v is not None]
    if len(known) < 2:
        raise UsageError(WHAT, f"the column {layout.name!r} has fewer than two numbers", "Name another column.")
    if layout.kind == "power":
        typical_w = median(abs(v) for _, v in known)
    else:
        typical_w = (known[-1][1] - known[0][1]) * 1e9 / max(known[-1][0] - known[0][0], 1)
    if typical_w == 0:
        unit = "W" if layout.kind == "power" else "J"
        zeros = "is mostly 0 W" if layout.kind == "power" else "stands still"
        why = f"the column {layout.name!r} {zeros}, and no machine under load draws nothing"
        raise UsageError(WHAT, why, f"Is it the right column, and was the meter on? --unit {unit} takes it as it is.")
    if WATTS_LOW <= typical_w <= WATTS_HIGH:
        return
    if factor != 1.0:
        why = f"the column {layout.name!r}, in the unit of its name, comes to {typical_w:.3g} W"
        remedy = f"State the unit if the name misleads: --unit {'W' if layout.kind == 'power' else 'J'}"
        raise UsageError(WHAT, f"{why}, which no machine under load draws", remedy)
    units = ("kW", "mW", "W") if layout.kind == "power" else ("kWh or Wh", "mJ", "J")
    guess = units[0] if typical_w < WATTS_LOW else units[1]
    why = f"the column {layout.name!r} comes to {typical_w:.3g} W, which no machine under load draws"
    raise UsageError(WHAT, f"{why}; is it in {guess}?", f"State the unit: --unit {guess.split()[0]}, or {units[2]}.")
