"""Change points: known steps are found where they are, and noise shows none."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.changes import ALPHA, SEGMENT_MIN, changes


def noise(seed: int, n: int, level: float = 100.0, spread: float = 1.0) -> list[float]:
    """Return normal noise around a level."""
    draw = random.Random(seed)
    return [draw.gauss(level, spread) for _ in range(n)]


def test_a_step_is_found_where_it_is() -> None:
    """A step of four standard deviations is placed to the value, with the medians of both sides."""
    series = noise(1, 20) + noise(2, 20, level=104)
    (change,) = changes(series)

    assert 20 == change.index
    assert 100 == pytest.approx(change.before, abs=1)
    assert 104 == pytest.approx(change.after, abs=1)
    assert ALPHA >= change.p


def test_two_steps_are_found() -> None:
    """A level that goes down and comes back shows both ends, to one value; nearly all of forty show no more."""
    found = [
        [change.index for change in changes(noise(s, 25) + noise(s + 1, 25, level=92) + noise(s + 2, 25))]
        for s in range(0, 120, 3)
    ]

    assert all(min(abs(index - step) for index in each) <= 1 for each in found for step in (25, 50))
    assert 36 <= found.count([25, 50])  # three segments at 1 % each: fewer than 36 of 40 have a chance below 0.01


def test_one_outlier_is_no_change() -> None:
    """A single wild value moves no level."""
    series = noise(6, 30)
    series[15] = 1e6

    assert () == changes(series)


def test_noise_rarely_raises_an_alarm() -> None:
    """Of 400 series of pure noise no more show a change than the stated level allows."""
    alarms = sum(bool(changes(noise(1000 + seed, 30, spread=3.0))) for seed in range(400))

    assert alarms <= 14  # of 400 at 1 % more than 14 have a chance below 1e-4


def test_noise_with_ties_and_a_long_tail_rarely_raises_an_alarm() -> None:
    """The level holds for other noise too: rounded to few values, and log-normal."""
    rounded = sum(bool(changes([float(round(x)) for x in noise(5000 + s, 30)])) for s in range(200))
    tailed = sum(
        bool(changes([random.Random(9000 + 100 * s + i).lognormvariate(0, 1) for i in range(30)])) for s in range(200)
    )

    assert max(rounded, tailed) <= 10  # of 200 at 1 % more than 10 have a chance below 1e-4


@given(st.lists(st.floats(-1e6, 1e6), max_size=2 * SEGMENT_MIN - 1))
def test_a_short_series_has_no_change(values: list[float]) -> None:
    """Where no side could have enough values there is nothing to find."""
    assert () == changes(values)


@given(seed=st.integers(0, 50), scale=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_units_mean_nothing(seed: int, scale: float, offset: float) -> None:
    """Another unit, or another zero, leaves the changes where they are."""
    series = [round(x, 3) for x in noise(seed, 15) + noise(seed + 1, 15, level=103)]

    assert [c.index for c in changes(series)] == [c.index for c in changes([scale * x + offset for x in series])]


def test_a_constant_series_has_no_change() -> None:
    """Without any spread there is no order to find."""
    assert () == changes([5.0] * 100)
