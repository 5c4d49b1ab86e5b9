"""What a canonical document cannot hold."""

import math

import pytest

from wattbench.results.jsontree import DEPTH_MAX, doubles, first_problem


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [None, True, 2**53 - 1, -(2**53 - 1), 1e300, "äöü😀", {"a": [1, ("b",)]}, _nested(64)]
)
def test_accepted(value: object) -> None:
    """Everything that JSON keeps exactly is accepted."""
    assert first_problem(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "the number nan is not finite - at `$`"),
        ({"a": [1, -math.inf]}, "the number -inf is not finite - at `$.a[1]`"),
        ([[1], [2**53]], "an integer beyond 2^53 - 1 - at `$[1][0]`"),
        ({"a": ({"b": 2**53},)}, "an integer beyond 2^53 - 1 - at `$.a[0].b`"),
        ({"a": "\ud800"}, "text with half a surrogate pair - at `$.a`"),
        ({"a": {"\udfff": 1}}, "the key '\\udfff' is not text that UTF-8 can hold - at `$.a`"),
        ({1: 2}, "the key 1 is not text that UTF-8 can hold - at `$`"),
        ([{1, 2}], "a value of type set - at `$[0]`"),
    ],
)
def test_refused(value: object, expected: str) -> None:
    """Everything else is refused with its path."""
    assert expected == first_problem(value)


def test_depth_refused() -> None:
    """Nesting has a limit far above a result's own."""
    problem = first_problem(_nested(DEPTH_MAX + 1))

    assert problem is not None
    assert "nesting deeper than 64 levels" in problem


def test_doubles() -> None:
    """Integers beyond 2^53 - 1 become floats, all else stays."""
    assert {"a": [1, float(2**60), "b", None]} == doubles({"a": [1, 2**60, "b", None]})


def test_doubles_of_huge_integers() -> None:
    """An integer beyond every double becomes infinite, which the checks then refuse."""
    assert math.inf == doubles(10**400)


def test_doubles_refuses_depth() -> None:
    """Deep nesting is refused before it can exhaust the stack."""
    with pytest.raises(ValueError, match="deeper"):
        doubles(_nested(DEPTH_MAX + 1))
