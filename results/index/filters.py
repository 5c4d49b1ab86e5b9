"""What to list: filters over rows as text from users, and as one condition that SQLite and DuckDB both understand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from wattbench.results.errors import UsageError
from wattbench.results.index.database import packed
from wattbench.results.index.row import BINARY, COLUMNS
from wattbench.results.plugins import nearest_lines

__all__ = ["TIERS", "Condition", "Filters", "Where", "condition_of", "parse_since", "parse_where"]

TIERS = ("self-reported", "signed", "reproduced", "audited")
"""The tiers of trust, the lowest first."""

WHERE = re.compile(r"\s*([a-z0-9_]+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*", re.DOTALL)
SINCE = re.compile(r"([0-9]{1,6})([dhw])")
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
DIGEST = re.compile(r"(sha256:)?([0-9a-f]{64})")
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """One comparison of a column with a value; None is "not stated"."""

    column: str
    operator: str
    value: str | float | bool | bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What rows must be: every field that is not None. `hardware` is a class or a part of one ("h100").

    `scope` None takes each document's own scope. `since_us` counts from 1970 in microseconds.
    """

    load: str | None = None
    precision: str | None = None
    hardware: str | None = None
    scope: str | None = None
    since_us: int | None = None
    tier: str | None = None
    machine: str | None = None
    rankable: bool = True
    where: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition in SQL, and the values of its holes."""

    text: str
    values: tuple[object, ...] = field(default=())


def condition_of(filters: Filters) -> Condition:
    """Return the condition that rows have to meet."""
    parts: list[str] = ["scope = ?" if filters.scope is not None else "primary_scope"]
    values: list[object] = [filters.scope] if filters.scope is not None else []
    for column, value in (("load", filters.load), ("precision", filters.precision)):
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(value)
    if filters.hardware is not None:
        parts.append("instr(lower(hardware), ?) > 0")
        values.append(filters.hardware.lower())
    if filters.since_us is not None:
        parts.append("time_us >= ?")
        values.append(filters.since_us)
    if filters.tier is not None:
        tiers = TIERS[TIERS.index(filters.tier) :]
        parts.append(f"tier IN ({', '.join('?' * len(tiers))})")
        values += tiers
    if filters.machine is not None:
        parts.append("fingerprint >= ? AND fingerprint <= ?")
        values += _span(filters.machine)
    if filters.rankable:
        parts.append("rankable")
    for where in filters.where:
        text, holes = _where(where)
        parts.append(text)
        values += holes
    return Condition(text=" AND ".join(parts), values=tuple(values))


def parse_where(text: str) -> Where:
    """Return the comparison in "column=value" (or !=, <, <=, >, >=). Raises UsageError naming what is wrong."""
    match = WHERE.fullmatch(text)
    if match is None:
        raise UsageError(f"--where {text!r:.200} is no comparison", "", "Write column=value, such as engine=compiled.")
    column, operator, value = match.groups()
    if column not in COLUMNS:
        raise UsageError(f"Unknown column {column!r:.80}", *nearest_lines(column, COLUMNS))
    kind = COLUMNS[column]
    if (kind is bool or column in BINARY) and operator not in ("=", "!="):
        raise UsageError(f"--where {text!r:.200} cannot be asked", f"{column} has no order", "Use = or !=.")
    return Where(column=column, operator=operator, value=_value(text, column, kind, value))


def parse_since(text: str, now: datetime) -> int:
    """Return the instant of "30d", "12h", "2w" before now, or of an ISO date or time (UTC), in microseconds."""
    match = SINCE.fullmatch(text)
    try:
        at = now - int(match[1]) * UNITS[match[2]] if match else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as exc:
        remedy = "Write a date such as 2026-01-31, or a span such as 30d, 12h, 2w."
        raise UsageError(f"--since {text!r:.80} is no time", str(exc), remedy) from exc
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1e6)


def _value(text: str, column: str, kind: type, value: str) -> str | float | bool | bytes | None:
    if value == "null":
        return None
    if column in BINARY:
        match = DIGEST.fullmatch(value)
        if match is None:
            raise UsageError(f"--where {text!r:.200} cannot be asked", f"{column} is a digest", "Give sha256:<64 hex>.")
        return packed(match[2])
    if kind is bool:
        if value.lower() not in BOOLEANS:
            raise UsageError(f"--where {text!r:.200} cannot be asked", f"{column} is true or false")
        return BOOLEANS[value.lower()]
    if kind in (int, float):
        try:
            return float(value)
        except ValueError as exc:
            raise UsageError(f"--where {text!r:.200} cannot be asked", f"{column} is a number") from exc
    return value


def _where(where: Where) -> tuple[str, Sequence[object]]:
    if where.value is None:
        return f'"{where.column}" IS {"NOT " if where.operator == "!=" else ""}NULL', ()
    if where.operator == "!=":
        return f'("{where.column}" IS NULL OR "{where.column}" <> ?)', (where.value,)
    return f'"{where.column}" {where.operator} ?', (where.value,)


def _span(prefix: str) -> tuple[bytes, bytes]:
    """Return the first and last digest that begin with some hexadecimal digits. Raises UsageError for other text."""
    digits = prefix.removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{4,64}", digits):
        why = "a machine is the first 4 or more hexadecimal digits of its fingerprint"
        raise UsageError(f"{prefix!r:.80} is no machine", why, "`bench query` lists them with --json.")
    return bytes.fromhex(digits.ljust(64, "0")), bytes.fromhex(digits.ljust(64, "f"))
