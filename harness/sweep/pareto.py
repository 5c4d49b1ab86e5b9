"""The best of a sweep: Pareto front, equal points, knee, and the fastest within a limit; pure functions of figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from wattbench.results.checks import require, require_finite
from wattbench.results.counted import counted

__all__ = ["KNEE_RULE", "Estimate", "Knee", "Rated", "equal_pairs", "front_of", "knee_of"]

KNEE_RULE = (
    "the point of the front that lies farthest above the chord between its ends, "
    "with both axes logarithmic and scaled to 0..1"
)
"""The idea of Kneedle (Satopää, Albrecht, Irwin and Raghavan 2011, doi 10.1109/ICDCSW.2011.20): the knee is where the
curve, scaled to the unit square, rises farthest above its chord. Without its smoothing, since a front has few points,
and in logarithms, since batches double.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with the ends of its confidence interval; both None: one repeat has no interval."""

    value: float
    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        require_finite(value=self.value, low=self.low, high=self.high)
        require((self.low is None) == (self.high is None), "an interval has two ends")

    def overlaps(self, other: "Estimate") -> bool:
        """Return whether the two intervals have a value in common; without both intervals nobody can say so."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return False
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A point by two figures: `gain` is better when larger (throughput), `cost` when smaller (latency, energy)."""

    name: str
    gain: Estimate
    cost: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """The knee of a front: its name and its height above the chord (0..1), or None with the reason."""

    name: str | None
    height: float | None
    reason: str


def front_of(points: Sequence[Rated]) -> tuple[Rated, ...]:
    """Return the points that no other one beats, by rising cost.

    One beats another when it is no worse in either figure and better in one (by the values; `equal_pairs` says which
    differences mean nothing).
    """
    found = [p for p in points if not any(_beats(other, p) for other in points)]
    return tuple(sorted(found, key=lambda p: (p.cost.value, p.gain.value, p.name)))


def equal_pairs(points: Sequence[Rated]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of points whose intervals overlap in both figures: the repeats cannot tell them apart."""
    return tuple(
        (a.name, b.name) for a, b in combinations(points, 2) if a.gain.overlaps(b.gain) and a.cost.overlaps(b.cost)
    )


def knee_of(front: Sequence[Rated]) -> Knee:
    """Return the knee of a front (in the order of `front_of`) by `KNEE_RULE`."""
    if len(front) < 3:
        return _no_knee(f"a front of {counted(len(front), 'point')} has no knee: it takes three")
    if front[0].cost.value == front[-1].cost.value:
        return _no_knee("all points of the front are the same")
    if any(p.gain.value <= 0 or p.cost.value <= 0 for p in front):
        return _no_knee("a figure of 0 has no logarithm")
    gains, costs = _scaled([p.gain.value for p in front]), _scaled([p.cost.value for p in front])
    heights = [gain - cost for gain, cost in zip(gains, costs, strict=True)]
    best = max(range(len(front)), key=lambda i: (heights[i], -i))
    if heights[best] <= 1e-9:
        return _no_knee("no point of the front lies above its chord: it is straight, or bends the other way")
    return Knee(name=front[best].name, height=heights[best], reason="")


def _beats(one: Rated, other: Rated) -> bool:
    no_worse = one.gain.value >= other.gain.value and one.cost.value <= other.cost.value
    return no_worse and (one.gain.value > other.gain.value or one.cost.value < other.cost.value)


def _scaled(values: Sequence[float]) -> list[float]:
    """Return the logarithms of rising values, the first being 0 and the last 1; a front's ends differ."""
    first, last = math.log(values[0]), math.log(values[-1])
    return [(math.log(value) - first) / (last - first) for value in values]


def _no_knee(reason: str) -> Knee:
    return Knee(name=None, height=None, reason=reason)
