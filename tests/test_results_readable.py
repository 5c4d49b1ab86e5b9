"""Figures as people read them."""

import pytest

from wattbench.results.readable import number, time


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.012345, "0.0123"), (9.984, "9.98"), (123.44, "123.4"), (10550.4, "10,550"), (-1e6, "-1,000,000")],
)
def test_numbers(value: float, text: str) -> None:
    """A figure has three digits or more, thousands apart, and no power of ten."""
    assert text == number(value)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.3e-5, "0.013 ms"), (0.9997, "999.7 ms"), (90.0, "90 s"), (3600.0, "3,600 s")]
)
def test_times(seconds: float, text: str) -> None:
    """A time below a second is in ms, any other in s."""
    assert text == time(seconds)
