"""One row of a trace in each of the formats that are known: our own, Mooncake's, BurstGPT's and Azure's."""

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from wattbench.results.quantities import TOKENS_MAX

__all__ = ["FORMATS", "Row", "TraceFormat", "format_of"]

MOONCAKE_BLOCK_TOKENS = 512
"""Tokens of a block that a hash stands for (Mooncake, FAST25-release/traces, README)."""

OWN_KEYS = ("at_s", "input_tokens", "output_tokens", "session", "pause_s", "prefix_group", "prefix_tokens")

SECONDS_MAX = 1e9
"""No trace is longer than this (31 years); what is, is a wrong unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call of a trace; `blocks` are hashes of its prompt's blocks, by which shared prefixes are known.

    `session` and `group` are names; None: it has none.
    """

    at_s: float
    input_tokens: int
    output_tokens: int
    session: str | None = None
    pause_s: float = 0.0
    group: str | None = None
    prefix_tokens: int = 0
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFormat:
    """How one format is read: `row` takes a line and the header's names (none for JSONL).

    `row` raises ValueError for what it does not understand. Rows without tokens are failures in a `log` of others, and
    left out; in our own format they are a mistake.
    """

    name: str
    row: Callable[[str, tuple[str, ...]], Row]
    header: bool
    log: bool


def format_of(line: str) -> TraceFormat | None:
    """Return the format whose first line this is; None when it is none's."""
    if line.lstrip().startswith("{"):
        try:
            keys = json.loads(line).keys()
        except (ValueError, AttributeError, RecursionError):
            return None
        return OWN if "at_s" in keys else MOONCAKE if {"timestamp", "input_length"} <= keys else None
    try:
        names = set(_cells(line))
    except ValueError:
        return None
    if {"TIMESTAMP", "ContextTokens", "GeneratedTokens"} <= names:
        return AZURE
    return BURSTGPT if {"Timestamp", "Request tokens", "Response tokens"} <= names else None


def _own(line: str, header: tuple[str, ...]) -> Row:
    entry = _object(line)
    strange = next((key for key in entry if key not in OWN_KEYS), None)
    if strange is not None:
        raise ValueError(f"unknown key {strange[:40]!r}; it may have {', '.join(OWN_KEYS)}")
    row = Row(
        at_s=_seconds(entry.get("at_s"), "at_s"),
        input_tokens=_tokens(entry.get("input_tokens"), "input_tokens"),
        output_tokens=_tokens(entry.get("output_tokens"), "output_tokens"),
        session=_name(entry.get("session"), "session"),
        pause_s=_seconds(entry.get("pause_s", 0), "pause_s"),
        group=_name(entry.get("prefix_group"), "prefix_group"),
        prefix_tokens=_tokens(entry.get("prefix_tokens", 0), "prefix_tokens"),
    )
    if row.input_tokens < 1:
        raise ValueError("input_tokens must be at least 1")
    if row.prefix_tokens > row.input_tokens:
        raise ValueError("prefix_tokens is more than input_tokens")
    if row.prefix_tokens and row.group is None and row.session is None:
        raise ValueError("prefix_tokens needs the prefix_group or the session that it belongs to")
    return row


def _mooncake(line: str, header: tuple[str, ...]) -> Row:
    entry = _object(line)
    blocks = entry.get("hash_ids", [])
    if not isinstance(blocks, list) or not all(isinstance(b, int) and not isinstance(b, bool) for b in blocks):
        raise ValueError("hash_ids must be a list of whole numbers")
    return Row(
        at_s=_seconds(entry.get("timestamp"), "timestamp", per_second=1000),  # Mooncake counts in milliseconds
        input_tokens=_tokens(entry.get("input_length"), "input_length"),
        output_tokens=_tokens(entry.get("output_length"), "output_length"),
        blocks=tuple(blocks),
    )


def _burstgpt(line: str, header: tuple[str, ...]) -> Row:
    cells = _record(line, header)
    return Row(
        at_s=_seconds(_number(cells["Timestamp"], "Timestamp"), "Timestamp"),
        input_tokens=_tokens(_number(cells["Request tokens"], "Request tokens"), "Request tokens"),
        output_tokens=_tokens(_number(cells["Response tokens"], "Response tokens"), "Response tokens"),
    )


def _azure(line: str, header: tuple[str, ...]) -> Row:
    """Read a row whose time is that of a calendar, with seven decimals in 2023 and an offset in 2024."""
    cells = _record(line, header)
    text = cells["TIMESTAMP"].strip()
    day, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        at = datetime.fromisoformat(day + rest[len(digits) :])
    except ValueError as exc:
        raise ValueError(f"TIMESTAMP {text[:40]!r} is no date and time") from exc
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return Row(
        at_s=at.timestamp() + (float(f"0.{digits}") if digits else 0.0),
        input_tokens=_tokens(_number(cells["ContextTokens"], "ContextTokens"), "ContextTokens"),
        output_tokens=_tokens(_number(cells["GeneratedTokens"], "GeneratedTokens"), "GeneratedTokens"),
    )


OWN = TraceFormat(name="wattbench", row=_own, header=False, log=False)
MOONCAKE = TraceFormat(name="mooncake", row=_mooncake, header=False, log=True)
BURSTGPT = TraceFormat(name="burstgpt", row=_burstgpt, header=True, log=True)
AZURE = TraceFormat(name="azure", row=_azure, header=True, log=True)
FORMATS = (OWN, MOONCAKE, BURSTGPT, AZURE)
"""Sources: kvcache-ai/Mooncake FAST25-release/traces, HPMLL/BurstGPT README, Azure/AzurePublicDataset
AzureLLMInferenceDataset2023.md and 2024.md (all read 2026-11)."""


def _object(line: str) -> Mapping[str, object]:
    try:
        entry = json.loads(line)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    if not isinstance(entry, dict):
        raise ValueError("it is no JSON object")
    return entry


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]), [])]
    except csv.Error as exc:
        raise ValueError(f"it is no CSV: {exc}") from exc


def _record(line: str, header: tuple[str, ...]) -> Mapping[str, str]:
    cells = _cells(line)
    if len(cells) != len(header):
        raise ValueError(f"it has {len(cells)} cells, the header has {len(header)}")
    return dict(zip(header, cells, strict=True))


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise ValueError(f"{name} {text[:40]!r} is no number") from exc


def _seconds(value: object, name: str, *, per_second: float = 1) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is missing" if value is None else f"{name} must be a number")
    if not 0 <= value <= SECONDS_MAX * per_second:  # false for NaN too
        raise ValueError(f"{name} {value!r:.40} must lie within 0..{SECONDS_MAX * per_second:g}")
    return float(value) / per_second


def _tokens(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is missing" if value is None else f"{name} must be a whole number")
    if isinstance(value, float) and (not math.isfinite(value) or value != int(value)):
        raise ValueError(f"{name} {value!r:.40} must be a whole number")
    if not 0 <= value <= TOKENS_MAX:
        raise ValueError(f"{name} {value!r:.40} must lie within 0..{TOKENS_MAX}")
    return int(value)


def _name(value: object, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{name} must be a text or a whole number")
    return f"{value!s:.200}"
