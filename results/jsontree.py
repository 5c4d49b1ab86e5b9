"""The checks of JSON values: what a canonical document cannot hold, named by its path.

A result is mostly long columns of numbers. A column is judged as a whole by C code; only what is not one is walked.
"""

import math
from collections.abc import Sequence
from types import NoneType

__all__ = ["DEPTH_MAX", "INTEGER_MAX", "doubles", "first_problem", "is_column"]

INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8785 3.2.2.3, RFC 7493 2.2)."""

DEPTH_MAX = 64
"""The deepest nesting that is accepted; a result has about ten levels."""

LEAVES = frozenset({NoneType, bool, int, float, str})


def first_problem(value: object) -> str | None:
    """Return "what - at `$.path`" for the first thing that canonical JSON cannot hold, or None.

    Refused are NaN and infinities, integers beyond 2^53 - 1, strings with half a surrogate pair, keys that are not
    strings, foreign types, and nesting deeper than `DEPTH_MAX`.
    """
    found = _problem(value, 0)
    return None if found is None else f"{found[0]} - at `${found[1]}`"


def is_column(values: Sequence[object]) -> bool:
    """Return whether all values are numbers, text, booleans or None, each of which canonical JSON can hold."""
    kinds = set(map(type, values))
    if not kinds <= LEAVES:
        return False
    integers = [x for x in values if type(x) is int] if int in kinds else [0]
    if max(integers) > INTEGER_MAX or min(integers) < -INTEGER_MAX:
        return False
    if float in kinds and not all(math.isfinite(x) for x in values if type(x) is float):
        return False
    return str not in kinds or not any(_is_broken(x) for x in values if type(x) is str)


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
        if depth == DEPTH_MAX or not is_column(value):
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
        return None if is_column(value) else _element_problem(value, depth)
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
