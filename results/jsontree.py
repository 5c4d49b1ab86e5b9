"""The checks of JSON values: what a canonical document cannot hold, named by its path."""

import math
from collections.abc import Iterable

__all__ = ["DEPTH_MAX", "INTEGER_MAX", "doubles", "first_problem"]

INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8785 3.2.2.3, RFC 7493 2.2)."""

DEPTH_MAX = 64
"""The deepest nesting that is accepted; a result has about ten levels."""


def first_problem(value: object) -> str | None:
    """Return "what - at `$.path`" for the first thing that canonical JSON cannot hold, or None.

    Refused are NaN and infinities, integers beyond 2^53 - 1, strings with half a surrogate pair, keys that are not
    strings, foreign types, and nesting deeper than `DEPTH_MAX`.
    """
    found = _problem(value, 0)
    return None if found is None else f"{found[0]} - at `${found[1]}`"


def doubles(value: object, depth: int = 0) -> object:
    """Return a parsed JSON value with the integers beyond 2^53 - 1 as floats, which is what RFC 8785 takes them for.

    Raises ValueError for nesting deeper than `DEPTH_MAX`.
    """
    if depth > DEPTH_MAX:
        raise ValueError(f"it is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        return {key: doubles(child, depth + 1) for key, child in value.items()}
    if isinstance(value, list):
        return [doubles(child, depth + 1) for child in value]
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
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
        wrong = next((key for key in value if not isinstance(key, str) or _leaf_problem(key)), None)
        if wrong is not None:
            return f"the key {wrong!r} is not text that UTF-8 can hold", ""
        return _child_problem(((f".{key}", child) for key, child in value.items()), depth)
    if isinstance(value, list | tuple):
        return _child_problem(((f"[{i}]", child) for i, child in enumerate(value)), depth)
    return f"a value of type {type(value).__name__}", ""


def _child_problem(children: Iterable[tuple[str, object]], depth: int) -> tuple[str, str] | None:
    for step, child in children:
        found = _problem(child, depth + 1)
        if found is not None:
            return found[0], step + found[1]
    return None


def _leaf_problem(value: bool | float | str | None) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value} is not finite"
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return "an integer beyond 2^53 - 1"
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return "text with half a surrogate pair"
    return None
