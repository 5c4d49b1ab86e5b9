"""Ramps: levels of a rate or of a concurrency that follow one another in one window, in steps or evenly."""

import re
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from wattbench.results.checks import require
from wattbench.results.errors import UsageError

__all__ = ["Ramp", "parse_ramp"]

LEVELS_MAX = 100
RATE_MAX_PER_S = 1e6
PLACES_MAX = 65_536
RATE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)/s", re.ASCII)
PLACES = re.compile(r"\d{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """The levels of a ramp, each for an equal part of the window; `linear` ones move evenly from the first to the last.

    `rates` levels are calls per second, else requests in progress, which can only rise within one window: a closed
    loop has no call to take back.
    """

    levels: tuple[float, ...]
    rates: bool
    linear: bool

    def __post_init__(self) -> None:
        require(1 <= len(self.levels) <= LEVELS_MAX, f"a ramp has 1 to {LEVELS_MAX} levels")
        require(not self.linear or len(self.levels) == 2, "an even ramp goes from one level to another")
        highest = RATE_MAX_PER_S if self.rates else PLACES_MAX
        require(all(0 < level <= highest for level in self.levels), f"levels lie within 0..{highest:g}")
        require(self.rates or list(self.levels) == sorted(self.levels), "requests in progress can only rise")

    @property
    def pieces(self) -> int:
        """Return the number of parts of the window with a law of their own."""
        return 1 if self.linear else len(self.levels)

    def expected(self, share: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
        """Return the mean number of arrivals up to each share of the window, for a window of 1 s."""
        if self.linear:
            first, last = self.levels
            return first * share + (last - first) * share**2 / 2
        sums = numpy.concatenate([[0.0], numpy.cumsum(self.levels) / len(self.levels)])
        found: NDArray[numpy.float64] = numpy.interp(share, numpy.linspace(0, 1, len(sums)), sums)
        return found

    def opens(self) -> NDArray[numpy.float64]:
        """Return at which share of the window each place of a closed loop opens."""
        last = int(self.levels[-1])
        places = numpy.arange(last)
        if not self.linear:
            steps = numpy.searchsorted(numpy.array(self.levels), places, side="right")
            return steps / len(self.levels)
        first = int(self.levels[0])
        return numpy.maximum(0, places + 1 - first) / (last + 1 - first)

    @property
    def mean_places(self) -> float:
        """Return how many places of a closed loop are open, on average over the window."""
        return float((1 - self.opens()).sum())

    def shares(self) -> NDArray[numpy.float64]:
        """Return how much of a window's calls each place may take: more than 1 in sum, so that none runs out of calls.

        With n places open, one makes at most 1/n of the calls that all of them make at the last level. Those are at
        most the mean of the window times last level / mean level, since a call is no faster beside more of them.
        """
        at = numpy.append(self.opens(), 1.0)
        alike = numpy.diff(at) / numpy.arange(1, len(at))
        shares: NDArray[numpy.float64] = numpy.cumsum(alike[::-1])[::-1] * len(alike) / self.mean_places
        return shares


def parse_ramp(text: str) -> Ramp:
    """Return the ramp of "1,2,4,8" (requests in progress), "1/s,2/s" (rates), "1..8" or "1/s..8/s" (evenly).

    Raises UsageError for other words, and for levels that cannot be.
    """
    linear = ".." in text
    words = [word.strip() for word in (text.split("..") if linear else text.split(","))]
    rates = all(RATE.fullmatch(word) for word in words)
    if not rates and not all(PLACES.fullmatch(word) for word in words):
        why = f"got {text[:80]!r}, it must be levels like 1,2,4 or 1/s,2/s, or two with .. between them"
        raise UsageError("--ramp is no ramp", why, "For example --ramp 1/s..10/s.")
    try:
        return Ramp(levels=tuple(float(word.removesuffix("/s")) for word in words), rates=rates, linear=linear)
    except ValueError as exc:
        remedy = "Use bench sweep for levels that fall." if "rise" in str(exc) else "For example --ramp 1,2,4,8."
        raise UsageError("--ramp is impossible", f"{text[:80]!r}: {exc}", remedy) from exc
