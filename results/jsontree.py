"""The checks of JSON values: what a canonical document cannot hold, named by its path.

A result is mostly long columns of numbers. A column is judged as a whole by C code; only what is not one is walked.
"""

import math
from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import Any, cast

__all__ = ["DEPTH_MAX", "INTEGER_MAX", "column_kinds", "doubles", "first_problem", "table_kinds"]

INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8785 3.2.2.3, RFC 7493 2.2)."""

DEPTH_MAX = 64
"""The deepest nesting that is accepted; a result has about ten levels."""

LEAVES = frozenset({NoneType, bool, int, float, str})
ROWS = frozenset({list, tuple})


def first_problem(value: object) -> str | None:
    """Return "what - at `$.path`" for the first thing that canonical JSON cannot hold, or None.

    Refused are NaN and infinities, integers beyond 2^53 - 1, strings with half a surrogate pair, keys that are not
    strings, foreign types, and nesting deeper than `DEPTH_MAX`.
    """
    found = _problem(value, 0)
    return None if found is None else f"{found[0]} - at `${found[1]}`"


def column_kinds(values: Sequence[object]) -> set[type] | None:
    """Return the types in a column of numbers, text, booleans and None, each of which canonical JSON can hold.

    None means that the sequence holds something else, or something that must be looked at one by one.
    """
    kinds = set(map(type, values))
    if not kinds <= LEAVES:
        return None
    if int in kinds:
        integers: Any = values if len(kinds) == 1 else [x for x in values if type(x) is int]  # any: mypy cannot follow
        ordered = sorted(integers)  # one pass over stamps, which ascend: faster than min and max
        if ordered[0] < -INTEGER_MAX or ordered[-1] > INTEGER_MAX:
            return None
    if float in kinds and not all(math.isfinite(x) for x in values if type(x) is float):
        return None
    broken = str in kinds and any(_is_broken(x) for x in values if type(x) is str)
    return None if broken else kinds


def table_kinds(rows: Sequence[object], depth: int) -> set[type] | None:
    """Return the types in a column, or in a list of columns that may be empty, at a depth of nesting; None as above."""
    if depth + 1 < DEPTH_MAX and set(map(type, rows)) <= ROWS:
        return column_kinds([*chain.from_iterable(cast(Sequence[Sequence[object]], rows))])
    return column_kinds(rows) if depth < DEPTH_MAX else None


def doubles(value: object, depth: int = 0) -> object:
    """Return a parsed JSON value with the integers beyond 2^53 - 1 as floats, which is what RFC 8785 takes them for.

    Lists and dicts are changed in place, since a copy of a large document costs as much memory again.
    Raises ValueError for nesting deeper than `DEPTH_MAX`.
    """
    if depth > DEPTH_MAX:
        raise ValueError(f"it is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        for key, child in value.items():
            value[key] = doubles(child, depth + 1)
    elif isinstance(value, list):
        if table_kinds(value, depth) is None:
            value[:] = [doubles(child, depth + 1) for child in value]
    elif isinstance(value, int) and abs(value) > INTEGER_MAX:
        return float(value) if abs(value) < 10**308 else math.inf
    return value


def _problem(value: object, depth: int) -> tuple[str, str] | None:
    """Return (what, path below the value), or None."""
    if value is None or isinstance(value, bool | int | float | str):
        what = _leaf_problem(value)
        return None if what is None else (what, "")
    if depth >= DEPTH_MAX:
        return f"nesting deeper than {DEPTH_MAX} levels", ""
    if isinstance(value, dict):
        return _member_problem(value, depth)
    if isinstance(value, list | tuple):
        return _element_problem(value, depth) if table_kinds(value, depth) is None else None
    return f"a value of type {type(value).__name__}", ""


def _member_problem(members: dict[object, object], depth: int) -> tuple[str, str] | None:
    wrong = next((key for key in members if not isinstance(key, str) or _is_broken(key)), None)
    if wrong is not None:
        return f"the key {wrong!r} is not text that UTF-8 can hold", ""
    for key, child in members.items():
        found = _problem(child, depth + 1)
        if found is not None:
            return found[0], f".{key}{found[1]}"
    return None


def _element_problem(elements: Sequence[object], depth: int) -> tuple[str, str] | None:
    for index, child in enumerate(elements):
        found = _problem(child, depth + 1)
        if found is not None:
            return found[0], f"[{index}]{found[1]}"
    return None


def _leaf_problem(value: bool | float | str | None) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value} is not finite"
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return "an integer beyond 2^53 - 1"
    if isinstance(value, str) and _is_broken(value):
        return "text with half a surrogate pair"
    return None


def _is_broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)
