"""Canonical JSON (RFC 8785) at the speed that long columns of numbers need.

Equal byte for byte to the package rfc8785, which is pure Python and takes about a microsecond a number. There is one
way to write integers and literals, so any fast encoder will do; Python's own escapes in text what RFC 8785 3.2.2.2 asks
for; floats are written by `_number`, and objects are sorted here. tests/test_results_canonical.py compares the two.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from types import NoneType

from wattbench.results.codec import integers_json
from wattbench.results.errors import DocumentError
from wattbench.results.jsontree import DEPTH_MAX, INTEGER_MAX, column_kinds, first_problem, table_kinds

__all__ = ["write_canonical"]

Write = Callable[[bytes], object]

INTEGERS = frozenset({int, bool, NoneType})
NUMBERS = frozenset({int, float, NoneType})
ZERO_FRACTION = re.compile(r"\.0(?=[,\]])")

ENCODE = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def write_canonical(value: object, write: Write) -> None:
    """Hand the canonical JSON of a value to `write`, piece by piece.

    Raises DocumentError with the path of what JSON cannot hold: NaN, integers beyond 2^53 - 1, broken text; what was
    written until then is of no use.
    """
    try:
        _value(value, write, 0)
    except (ValueError, TypeError, AttributeError) as exc:
        problem = first_problem(value)
        if problem is None:
            raise
        raise DocumentError(
            "This document cannot be written as JSON", problem, "Correct the value at that path."
        ) from exc


def _value(value: object, write: Write, depth: int) -> None:
    if isinstance(value, dict | list | tuple):
        if depth >= DEPTH_MAX:
            raise ValueError("too deep")
        if isinstance(value, dict):
            _members(value, write, depth)
        else:
            _sequence(value, write, depth)
    else:
        write(_leaf(value).encode())


def _members(members: dict[str, object], write: Write, depth: int) -> None:
    """Write an object, its keys in the order of their UTF-16 code units (RFC 8785 3.2.3)."""
    before = "{"
    for key in sorted(members, key=lambda key: key.encode("utf-16-be")):
        write(f"{before}{ENCODE(key)}:".encode())
        _value(members[key], write, depth + 1)
        before = ","
    write(b"}" if members else b"{}")


def _sequence(values: Sequence[object], write: Write, depth: int) -> None:
    kinds = table_kinds(values, depth)
    if kinds is not None and kinds <= INTEGERS:
        write(integers_json(values))
    elif kinds is not None and column_kinds(values) is not None:
        write(_column(values, kinds))
    else:
        _elements(values, write, depth)


def _elements(elements: Sequence[object], write: Write, depth: int) -> None:
    before = b"["
    for element in elements:
        write(before)
        _value(element, write, depth + 1)
        before = b","
    write(b"]")


def _column(column: Sequence[object], kinds: set[type]) -> bytes:
    """Return a column of the kinds that `column_kinds` found; without text it is a few calls in C."""
    if kinds <= NUMBERS:
        text = repr(list(column)).replace(" ", "").replace("None", "null")
        if "e" not in text and "-0.0" not in text:  # neither exponents nor a negative zero: see _number
            return ZERO_FRACTION.sub("", text).encode()
    return f"[{','.join(map(_leaf, column))}]".encode()


def _leaf(value: object) -> str:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise ValueError("not exact")
    return ENCODE(value)


def _number(value: float) -> str:
    """Return a float as ECMAScript writes it (RFC 8785 3.2.2.3).

    Both take the shortest digits that read back as the same double. From 1e-4 to 1e16 Python writes them without an
    exponent, as ECMAScript does from 1e-6 to 1e21, and differs only by a trailing ".0" and the sign of zero.
    """
    if not math.isfinite(value):
        raise ValueError("not finite")
    text = float.__repr__(value)
    if "e" in text:
        import rfc8785

        return rfc8785.dumps(float(value)).decode()
    return text.removesuffix(".0") if value else "0"
