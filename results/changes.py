"""Change points of a series: where its level moved, by rank, so that single outliers move nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy

__all__ = ["ALPHA", "SEGMENT_MIN", "Change", "changes"]

ALPHA = 0.01
"""The chance that a series of pure noise shows a change. tests/test_changes.py counts false alarms."""

SEGMENT_MIN = 5
"""The fewest values on either side of a change: of 4 against 4 even the clearest order has p = 2/70."""

SHUFFLES = 999
SEED = 20_261_128
"""Fixed, so that the same series always shows the same changes."""

REFINEMENTS = 5
"""The most rounds in which changes are moved to their best places; mostly the second one moves nothing."""

LENGTH_MAX = 2000
"""The longest series that is looked at whole, to bound the time; of a longer one its newest values are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of level: the index of its first value, the medians on both sides up to the next changes, and p.

    `p` is the share of orders that show as clear a step anywhere, the series' own order counted among them.
    """

    index: int
    before: float
    after: float
    p: float


def changes(values: Sequence[float], *, alpha: float = ALPHA, seed: int = SEED) -> tuple[Change, ...]:
    """Return the changes of level in a series of independent values in the order of time.

    Binary segmentation: the split with the greatest standardised difference of rank sums (Pettitt 1979, "A
    non-parametric approach to the change-point problem", J. R. Stat. Soc. C 28) is kept when fewer than `alpha` of the
    seeded permutations of the segment show a greater one (as E-divisive does: Matteson and James 2014, J. Am. Stat.
    Assoc. 109), and both sides are then searched, each at its share of that level. Splits leave at least
    `SEGMENT_MIN` values on either side. At the end each change is looked for again between its neighbours, since a
    first split of several steps may lie between them.
    """
    skipped = max(0, len(values) - LENGTH_MAX)
    series = numpy.asarray(values[skipped:], dtype=float)
    random = numpy.random.default_rng(seed)
    found: dict[int, float] = {}
    segments = [(0, len(series))]
    while segments:
        start, end = segments.pop()
        split = _split(series[start:end], random)
        if split is None or split[1] > _level(alpha, end - start, len(series)):
            continue
        middle = start + split[0]
        found[middle] = split[1]
        segments += [(middle, end), (start, middle)]
    return _described(series, _refined(series, found, alpha, random), skipped)


def _level(alpha: float, length: int, whole: int) -> float:
    """Return the level of a segment: its share of that of the series, so that all together stay near it.

    It is never less than what the permutations can tell from chance.
    """
    return max(alpha * length / whole, 2 / (1 + SHUFFLES))


def _refined(
    series: numpy.ndarray, found: dict[int, float], alpha: float, random: numpy.random.Generator
) -> dict[int, float]:
    """Return the changes, each at the best place between its neighbours; those that are none any more are left out."""
    for _ in range(REFINEMENTS):
        edges, better = [0, *sorted(found), len(series)], {}
        start = 0
        for end in edges[2:]:
            split = _split(series[start:end], random)
            if split is not None and split[1] <= _level(alpha, end - start, len(series)):
                start += split[0]
                better[start] = split[1]
        if better.keys() == found.keys():
            return better
        found = better
    return found


def _split(segment: numpy.ndarray, random: numpy.random.Generator) -> tuple[int, float] | None:
    """Return the best split of a segment and its p value, None where it is too short or constant."""
    n = len(segment)
    if n < 2 * SEGMENT_MIN or numpy.ptp(segment) == 0:
        return None
    ranks = _ranks(segment)
    left = numpy.arange(SEGMENT_MIN, n - SEGMENT_MIN + 1)
    scale = numpy.sqrt(left * (n - left))
    own = _steps(ranks[None, :], left, scale)[0]
    shuffled = random.permuted(numpy.broadcast_to(ranks, (SHUFFLES, n)), axis=1)
    greatest = _steps(shuffled, left, scale).max(axis=1)
    as_clear = int((greatest >= own.max() * (1 - 1e-12)).sum())  # sums of equal ranks in another order may differ
    return int(left[int(own.argmax())]), (1 + as_clear) / (1 + SHUFFLES)


def _steps(ranks: numpy.ndarray, left: numpy.ndarray, scale: numpy.ndarray) -> numpy.ndarray:
    """Return for each row and split the rank sum of the left side, as its distance from the expected one, scaled."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    return numpy.asarray(numpy.abs(numpy.cumsum(centred, axis=1)[:, left - 1]) / scale)


def _ranks(segment: numpy.ndarray) -> numpy.ndarray:
    """Return ranks from 1, equal values sharing the mean of theirs."""
    _, where, counts = numpy.unique(segment, return_inverse=True, return_counts=True)
    ends = numpy.cumsum(counts)
    return numpy.asarray((ends - (counts - 1) / 2)[where])


def _described(series: numpy.ndarray, found: dict[int, float], skipped: int) -> tuple[Change, ...]:
    edges = [0, *sorted(found), len(series)]
    levels = [float(numpy.median(series[a:b])) for a, b in pairwise(edges) if b > a]
    return tuple(
        Change(index=skipped + at, before=levels[n], after=levels[n + 1], p=found[at])
        for n, at in enumerate(sorted(found))
    )
