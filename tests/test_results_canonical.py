"""Canonical JSON, compared byte for byte with the package rfc8785."""

import math
from enum import IntEnum
from io import BytesIO
from typing import Any

import numpy
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from wattbench.results.canonical import write_canonical
from wattbench.results.errors import DocumentError

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAF = st.none() | st.booleans() | INTEGERS | FLOATS | st.text()
COLUMN = (
    st.lists(INTEGERS) | st.lists(FLOATS) | st.lists(INTEGERS | st.none()) | st.lists(FLOATS | INTEGERS | st.none())
)
JSON = st.recursive(
    LEAF | COLUMN | st.lists(LEAF),
    lambda children: st.lists(children) | st.lists(children).map(tuple) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def _bytes(value: object) -> bytes:
    sink = BytesIO()
    write_canonical(value, sink.write)
    return sink.getvalue()


@given(JSON)
@example({"\ue000": 1, "\U00010000": 2, "a": '\x7f\u2028\x00\x1f"\\/\b\f'})
@example([1e-7, 123456789012345680000.0, 1e21, 1e22, 5e-324, 1.7976931348623157e308])
@example([0.0, -0.0, 1.0, -1.0, 10.05, -0.05, 100.0])
@example([1e16, 9999999999999998.0, 1e-4, 9.999e-5, 1e-6, 9.9e-7, -1e-5])
@example([1.0, None, 2, 2.5])
@example([[1, 2], [], (3, None), [True]])
@example([[1.5], [2]])
@example([["a"], []])
@example([[[1]], [[]]])
@example([[], {}, (), [[]], [None], [True, False]])
def test_same_bytes_as_the_reference(value: Any) -> None:  # any: a JSON tree
    """Whatever JSON can hold has the bytes that the pure Python implementation gives."""
    assert rfc8785.dumps(value) == _bytes(value)


@given(FLOATS)
def test_floats_as_the_reference(value: float) -> None:
    """A float has the reference's digits, alone and in a column."""
    assert rfc8785.dumps([value, [value, 1.5]]) == _bytes([value, [value, 1.5]])


class _Number(IntEnum):
    SEVEN = 7


@pytest.mark.parametrize(
    ("value", "expected"), [([numpy.float64(1.5)], b"[1.5]"), (_Number.SEVEN, b"7"), ([_Number.SEVEN, 1], b"[7,1]")]
)
def test_subclasses_are_plain(value: object, expected: bytes) -> None:
    """Kinds of numbers that print themselves in another way are written as numbers."""
    assert expected == _bytes(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "the number nan is not finite - at `$`"),
        ([1, 2**53], "an integer beyond 2^53 - 1 - at `$[1]`"),
        ([[1], [None, -(2**53)]], "an integer beyond 2^53 - 1 - at `$[1][1]`"),
        ({"a": [1.5, math.inf]}, "the number inf is not finite - at `$.a[1]`"),
        ({"a": ["b", "\udfff"]}, "text with half a surrogate pair - at `$.a[1]`"),
        ({"\ud800": 1}, "the key '\\ud800' is not text that UTF-8 can hold - at `$`"),
        ({1: 1}, "the key 1 is not text that UTF-8 can hold - at `$`"),
        ([b"1"], "a value of type bytes - at `$[0]`"),
        ([numpy.float64("nan")], "the number nan is not finite - at `$[0]`"),
    ],
)
def test_refused(value: object, why: str) -> None:
    """What JSON cannot hold is refused with its path, in a column or alone."""
    with pytest.raises(DocumentError) as caught:
        _bytes(value)

    assert why == caught.value.why


def test_depth() -> None:
    """Nesting of 64 levels is written."""
    value: object = []
    for _ in range(63):
        value = [value]

    assert b"[" * 64 + b"]" * 64 == _bytes(value)


def test_too_deep() -> None:
    """Nesting deeper than 64 levels is refused, however plain its end."""
    value: object = []
    for _ in range(64):
        value = [value]
    with pytest.raises(DocumentError, match="nesting deeper than 64"):
        _bytes(value)
