"""What vendors claim of their devices: dense matrix products and memory bandwidth, from the table peaks.toml."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from wattbench.results.checks import require, require_not_negative
from wattbench.results.errors import DocumentError

__all__ = ["PRECISIONS", "PeakClaim", "Peaks", "claimed_peaks", "read_peaks"]

PRECISIONS = ("float32", "tf32", "bfloat16", "float16", "float8", "int8", "int4")
GRADES = ("vendor", "second_hand")

TABLE = Path(__file__).with_name("peaks.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakClaim:
    """One number that a vendor states, in FLOP/s or By/s, and in words where it was read and when."""

    value: float
    source: str

    def __post_init__(self) -> None:
        require_not_negative(value=self.value)
        require(self.value > 0, "a claim is more than nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What is claimed of one device: dense products by precision, without sparsity, and memory bandwidth.

    `match` are the patterns of its names. A precision that is not listed is not known, nor is a bandwidth of None.
    """

    device: str
    match: tuple[str, ...]
    flops_per_s: dict[str, PeakClaim]
    bytes_per_s: PeakClaim | None


def claimed_peaks(device_name: str | None, table: tuple[Peaks, ...] | None = None) -> Peaks | None:
    """Return the claims for the device that a driver calls `device_name`; None when it is not listed.

    A name that fits more than one variant fits none: their figures differ, and a guess would be wrong for one of them.
    `table` replaces the table of the package.
    """
    if device_name is None:
        return None
    name = " ".join(device_name.split())
    peaks = _packaged() if table is None else table
    found = [p for p in peaks if any(re.fullmatch(pattern, name, re.IGNORECASE) for pattern in p.match)]
    return found[0] if len(found) == 1 else None


def read_peaks(text: str) -> tuple[Peaks, ...]:
    """Return the devices of a table of claims.

    Raises DocumentError naming the device and the key of anything unknown, missing, of the wrong type or impossible.
    """
    try:
        table = tomllib.loads(text)
        _check(table, "", read=str, sources=dict, device=list)
        sources = {key: _source(key, row) for key, row in table["sources"].items()}
        return tuple(_device(row, sources) for row in table["device"])
    except ValueError as exc:  # TOMLDecodeError is one
        raise DocumentError("The table of vendors' peaks cannot be used", str(exc), "Reinstall wattbench.") from exc


@cache
def _packaged() -> tuple[Peaks, ...]:
    return read_peaks(TABLE.read_text(encoding="utf-8"))


def _source(key: str, row: Any) -> str:  # any: TOML, checked here
    where = f"sources.{key}"
    _check(row, where, optional=("date",), title=str, url=str, grade=str, date=str)
    require(row["grade"] in GRADES, f"{where}: grade must be one of {', '.join(GRADES)}")
    date = f", {row['date']}" if "date" in row else ""
    second_hand = ", second-hand" if row["grade"] == "second_hand" else ""
    return f"{row['title']}{date}{second_hand}"


def _device(row: Any, sources: dict[str, str]) -> Peaks:  # any: TOML, checked here
    where = str(row.get("name", "a device")) if isinstance(row, dict) else "a device"
    _check(row, where, optional=("bytes_per_s",), name=str, match=list, flops_per_s=dict, bytes_per_s=dict)
    for precision in row["flops_per_s"]:
        require(precision in PRECISIONS, f"{where}: unknown precision {precision!r}; known are {', '.join(PRECISIONS)}")
    claims = {key: _claim(claim, f"{where}: {key}", sources) for key, claim in row["flops_per_s"].items()}
    memory = row.get("bytes_per_s")
    return Peaks(
        device=row["name"],
        match=tuple(_pattern(pattern, where) for pattern in row["match"]),
        flops_per_s=claims,
        bytes_per_s=None if memory is None else _claim(memory, f"{where}: bytes_per_s", sources),
    )


def _pattern(pattern: object, where: str) -> str:
    require(isinstance(pattern, str), f"{where}: a pattern of 'match' must be a text, got {pattern!r}")
    try:
        re.compile(str(pattern))
    except re.error as exc:
        raise ValueError(f"{where}: {pattern!r} is no regular expression: {exc}") from exc
    return str(pattern)


def _claim(row: Any, where: str, sources: dict[str, str]) -> PeakClaim:  # any: TOML, checked here
    _check(row, where, optional=("note",), value=float, source=str, note=str)
    require(row["source"] in sources, f"{where}: unknown source {row['source']!r}")
    require(row["value"] > 0, f"{where}: a claim is more than nothing")
    return PeakClaim(value=row["value"], source=sources[row["source"]])


def _check(row: Any, where: str, *, optional: tuple[str, ...] = (), **types: type) -> None:  # any: TOML, checked here
    """Refuse a table with a key that is unknown, missing, or of another type."""
    require(isinstance(row, dict), f"{where} must be a table")
    at = f"{where}: " if where else ""
    for key in row:
        require(key in types, f"{at}unknown key {key!r}; known are {', '.join(types)}")
    for key, type_ in types.items():
        require(key in row or key in optional, f"{at}missing key {key!r}")
        value = row.get(key)
        require(key not in row or isinstance(value, type_), f"{at}{key!r} must be of type {type_.__name__}")
