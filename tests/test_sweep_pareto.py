"""Front, equal points and knee on figures that were worked out by hand."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.sweep.pareto import Estimate, Rated, equal_pairs, front_of, knee_of


def rated(name: str, gain: float, cost: float, width: float | None = 0.0) -> Rated:
    """Return a point whose intervals are `width` to either side of the values; None: no intervals."""

    def estimate(value: float) -> Estimate:
        low, high = (None, None) if width is None else (value - width, value + width)
        return Estimate(value=value, low=low, high=high)

    return Rated(name=name, gain=estimate(gain), cost=estimate(cost))


def names(points: tuple[Rated, ...]) -> list[str]:
    """Return the points' names."""
    return [point.name for point in points]


BATCHES = (rated("1", 10, 1.0), rated("2", 19, 1.05), rated("4", 34, 1.2), rated("8", 40, 2.0), rated("16", 42, 4.0))
"""Throughput rises with latency: all are on the front; beyond batch 4 latency rises faster."""


def test_a_point_that_another_one_beats_is_off_the_front() -> None:
    """Less throughput at more latency is beaten; less throughput at less latency is not."""
    beaten = rated("beaten", 18, 1.1)

    assert ["1", "2", "4", "8", "16"] == names(front_of([*BATCHES, beaten]))


def test_a_tie_in_one_figure_is_decided_by_the_other() -> None:
    """Of two points with the same throughput only the faster one stays."""
    assert ["fast"] == names(front_of([rated("slow", 10, 2.0), rated("fast", 10, 1.0)]))


def test_two_points_with_the_same_figures_both_stay() -> None:
    """Neither beats the other."""
    assert ["a", "b"] == names(front_of([rated("b", 10, 1.0), rated("a", 10, 1.0)]))


def test_points_whose_intervals_overlap_in_both_figures_are_equal() -> None:
    """An overlap in throughput alone is not enough."""
    a, b, c = rated("a", 10, 1.0, 0.2), rated("b", 10.3, 1.1, 0.2), rated("c", 10.3, 5.0, 0.2)

    assert (("a", "b"),) == equal_pairs([a, b, c])


def test_without_intervals_nothing_is_said_to_be_equal() -> None:
    """One repeat has no interval, so nobody knows."""
    assert () == equal_pairs([rated("a", 10, 1.0, None), rated("b", 10, 1.0, None)])


def test_the_knee_lies_farthest_above_the_chord() -> None:
    """Worked out by hand: ln(34/10)/ln(42/10) - ln(1.2)/ln(4) = 0.853 - 0.132 at batch 4, the highest of the five."""
    knee = knee_of(front_of(BATCHES))

    assert "4" == knee.name
    assert math.log(3.4) / math.log(4.2) - math.log(1.2) / math.log(4.0) == pytest.approx(knee.height)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (BATCHES[:2], "takes three"),
        (BATCHES[:1], "a front of 1 point has no knee"),
        ((rated("a", 1, 1), rated("b", 2, 2), rated("c", 4, 4)), "straight"),
        ((rated("a", 1, 1), rated("b", 1.1, 2), rated("c", 4, 4)), "bends the other way"),
        ((rated("a", 0, 1), rated("b", 2, 2), rated("c", 4, 4)), "logarithm"),
        ((rated("a", 1, 1), rated("b", 1, 1), rated("c", 1, 1)), "the same"),
    ],
)
def test_a_front_without_a_knee_says_why(points: tuple[Rated, ...], says: str) -> None:
    """Two points, a straight front, a convex one, a zero and a single place have no knee."""
    knee = knee_of(front_of(points))

    assert knee.name is None
    assert says in knee.reason


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.1, 100)), min_size=1, max_size=20), st.randoms())
def test_the_front_is_never_empty_and_minds_no_order(figures: list[tuple[float, float]], chance: random.Random) -> None:
    """Whatever the figures: some point is unbeaten, costs and gains rise together, any order gives the same front."""
    points = [rated(str(index), gain, cost) for index, (gain, cost) in enumerate(figures)]
    front = front_of(points)
    chance.shuffle(points)

    assert front
    assert sorted(p.cost.value for p in front) == [p.cost.value for p in front]
    assert sorted(p.gain.value for p in front) == [p.gain.value for p in front]
    assert front == front_of(points)


@pytest.mark.parametrize("ends", [(1.0, None), (None, 1.0)])
def test_an_interval_has_two_ends(ends: tuple[float | None, float | None]) -> None:
    """Half an interval is refused."""
    with pytest.raises(ValueError, match="two ends"):
        Estimate(value=1.0, low=ends[0], high=ends[1])
