"""The search for the highest rate that holds: doubling, bisecting and confirming, bounded in count and time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require
from wattbench.results.readable import number

__all__ = ["Break", "Found", "Probe", "Range", "Verdict", "search_rate"]

Step = Literal["bracket", "bisect", "confirm"]
Ended = Literal["found", "none", "ceiling", "probes", "time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the limits held at a rate, and in words why."""

    holds: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a search may try: from where, within what, how finely, and with how much.

    It ends when the highest rate that held and the lowest above it that did not lie within `width` of each other, and
    1 + `confirm` measurements of either have mostly said the same. At most `probes_max` are made, and none is begun
    that would end, as the longest one before it took, after `seconds_max`.
    """

    start_per_s: float
    low_per_s: float = 1e-3
    high_per_s: float = 1e6
    width: float = 0.05
    confirm: int = 2
    probes_max: int = 40
    seconds_max: float = 3600.0

    def __post_init__(self) -> None:
        require(0 < self.low_per_s <= self.start_per_s <= self.high_per_s, "a search starts within its range")
        require(0 < self.width < 1, "width must lie within 0..1")
        require(self.confirm >= 0 and self.probes_max >= 1 and self.seconds_max > 0, "a search needs room")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One measurement of a search."""

    rate_per_s: float
    step: Step
    seconds: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Two measurements that contradict each other: the limits held at a rate, and not at one that is no higher."""

    failed_per_s: float
    held_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found: the highest rate that held (None: none did), every probe in its order, and why it ended.

    `ended` is "found" when the edge is known to the width, "ceiling" when even the highest rate allowed held, "none"
    when not even the lowest did; after "probes" or "time" the rate is only the highest that held so far.
    """

    rate_per_s: float | None
    failed_per_s: float | None
    ended: Ended
    reason: str
    probes: tuple[Probe, ...]
    breaks: tuple[Break, ...]


Measure = Callable[[float], Verdict]


def search_rate(measure: Measure, within: Range, clock_s: Callable[[], float] = time.monotonic) -> Found:
    """Return the highest rate at which `measure` says that the limits hold.

    From the start the rate is doubled while the limits hold, or halved until they do; the bracket is bisected, and its
    lower end measured again. A rate that most of its measurements contradict counts as failed, and the search goes on
    below it. What `measure` raises ends the search.
    """
    search = _Search(measure, within, clock_s)
    try:
        search.run()
    except _Spent as spent:
        return search.found(spent.ended)
    return search.found(None)


class _Spent(Exception):
    """No further probe may be made."""

    def __init__(self, ended: Ended) -> None:
        self.ended: Ended = ended


class _Search:
    """The state of one search: what each rate was found to be, in the order of the probes."""

    def __init__(self, measure: Measure, within: Range, clock_s: Callable[[], float]) -> None:
        self._measure, self._within, self._clock_s = measure, within, clock_s
        self._began = clock_s()
        self._probes: list[Probe] = []
        self._edge_known = False

    def run(self) -> None:
        """Probe until the edge is confirmed from both sides, or the range ends."""
        within = self._within
        self._probe(within.start_per_s, "bracket")
        while True:
            low, high = self._held(), self._failed()
            if low is None:
                lowest = self._lowest()
                if lowest > within.low_per_s:
                    self._probe(max(within.low_per_s, lowest / 2), "bracket")
                elif not self._confirmed(lowest):
                    return
            elif high is None:
                if low < within.high_per_s:
                    self._probe(min(within.high_per_s, 2 * low), "bracket")
                elif self._confirmed(low):
                    return
            elif high - low > within.width * low:
                self._probe((low + high) / 2, "bisect")
            elif self._confirmed(low) and not self._confirmed(high):
                self._edge_known = True
                return

    def found(self, spent: Ended | None) -> Found:
        """Return what is known."""
        low, high = self._held(), self._failed()
        ended = spent or ("none" if low is None else "found" if self._edge_known else "ceiling")
        return Found(
            rate_per_s=low,
            failed_per_s=high,
            ended=ended,
            reason=self._reason(ended, low, high),
            probes=tuple(self._probes),
            breaks=_breaks(self._probes),
        )

    def _confirmed(self, rate: float) -> bool:
        """Measure a rate again until more measurements cannot change what most of them say, and return that."""
        wanted = 1 + self._within.confirm
        while True:
            votes = self._votes(rate)
            if 2 * sum(votes) > wanted or 2 * (len(votes) - sum(votes)) >= wanted:
                return self._holds(rate)
            self._probe(rate, "confirm")

    def _probe(self, rate: float, step: Step) -> bool:
        within, now = self._within, self._clock_s()
        if len(self._probes) >= within.probes_max:
            raise _Spent("probes")
        longest = max((probe.seconds for probe in self._probes), default=0.0)
        if self._probes and now - self._began + longest > within.seconds_max:
            raise _Spent("time")
        verdict = self._measure(rate)
        self._probes.append(Probe(rate_per_s=rate, step=step, seconds=self._clock_s() - now, verdict=verdict))
        return verdict.holds

    def _votes(self, rate: float) -> list[bool]:
        return [probe.verdict.holds for probe in self._probes if probe.rate_per_s == rate]

    def _holds(self, rate: float) -> bool:
        votes = self._votes(rate)
        return 2 * sum(votes) > len(votes)

    def _lowest(self) -> float:
        return min(probe.rate_per_s for probe in self._probes)

    def _failed(self) -> float | None:
        """Return the lowest rate above the one that holds at which the limits did not."""
        low = self._held() or 0.0
        rates = {probe.rate_per_s for probe in self._probes}
        return min((rate for rate in rates if rate > low and not self._holds(rate)), default=None)

    def _held(self) -> float | None:
        """Return the highest rate at which the limits held, with no lower one at which they did not."""
        held: float | None = None
        for rate in sorted({probe.rate_per_s for probe in self._probes}):
            if not self._holds(rate):
                return held
            held = rate
        return held

    def _reason(self, ended: Ended, low: float | None, high: float | None) -> str:
        within = self._within
        if ended == "none":
            return f"the limits do not hold even at {number(self._lowest())} requests/s"
        if ended == "ceiling":
            return f"the limits hold even at {number(low or 0)} requests/s, the highest rate allowed"
        between = f"they hold at {number(low)} requests/s" if low is not None else "they held at no rate so far"
        between += f" and not at {number(high)} requests/s" if high is not None else ""
        if ended == "found":
            return f"{between}, within {100 * within.width:.0f} % of each other"
        limit = f"{within.probes_max} probes" if ended == "probes" else f"{within.seconds_max:,g} s"
        return f"{between}, when the {limit} of the search were spent"


def _breaks(probes: list[Probe]) -> tuple[Break, ...]:
    """Return each rate at which the limits held although they had not at the same or a lower one."""
    failed = min((probe.rate_per_s for probe in probes if not probe.verdict.holds), default=None)
    if failed is None:
        return ()
    held = sorted({p.rate_per_s for p in probes if p.verdict.holds and p.rate_per_s >= failed})
    return tuple(Break(failed_per_s=failed, held_per_s=rate) for rate in held)
