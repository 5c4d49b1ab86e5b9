"""Times of which some are only known to be longer than what was seen: how all of them are distributed."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Lifetimes", "kaplan_meier"]

ROUNDING = 1e-9
"""Shares are products of some thousand factors at most; what they miss of a quantile by rounding is far less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """A distribution of times, in the unit of the samples: by `at[i]`, rising, the share `ended[i]` of all has ended.

    `longest` is the longest time seen, of one that ended or was cut; where it was cut, the last share is below 1.
    """

    at: tuple[float, ...]
    ended: tuple[float, ...]
    longest: float

    def quantile(self, q: float) -> float | None:
        """Return the first time by which at least a share `q` has ended; None where that lies beyond what was seen."""
        place = bisect_left(self.ended, q - ROUNDING)
        return self.at[place] if place < len(self.at) else None

    def mean(self) -> float:
        """Return the mean, each time counted up to the longest seen: of times that were cut a lower bound."""
        edges = (0.0, *self.at, self.longest)
        lasting = (1.0, *(1 - share for share in self.ended))
        return sum(left * (b - a) for left, a, b in zip(lasting, edges, edges[1:], strict=False))


def kaplan_meier(ended: Sequence[float], cut: Sequence[float]) -> Lifetimes:
    """Return the distribution of times of which some ended, and others were cut while they still went on.

    At each time t at which d ended, of the n that had lasted until t, the share that lasts is multiplied by 1 - d / n;
    one that was cut at t had lasted until t. Without cuts it is the distribution of the samples. It holds too where one
    follows another until a fixed end (Gill), as sessions do in a window. Raises ValueError where none ended.
    Sources: Kaplan and Meier, Nonparametric estimation from incomplete observations, JASA 53 (1958); Gill, Testing with
    replacement and the product limit estimator, Annals of Statistics 9 (1981).
    """
    if not ended:
        raise ValueError("a distribution of times of which none ended is not defined")
    every, lasting = sorted([*ended, *cut]), 1.0
    at, shares = [], []
    for time, count in sorted(Counter(ended).items()):
        lasting *= 1 - count / (len(every) - bisect_left(every, time))
        at.append(time)
        shares.append(1 - lasting)
    return Lifetimes(at=tuple(at), ended=tuple(shares), longest=every[-1])
