"""The alias guard: a sensor that looks part of the time, against a load whose cycle keeps step with its looks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from operator import mul
from statistics import fmean, median
from typing import Literal

from wattbench.results.measurement import Completions, Window

__all__ = ["Beat", "Looks", "Rhythm", "beats", "independent_looks", "rhythms"]

HARMONICS = (1, 2, 3)
"""A load's power over one cycle is described by so many overtones; each can beat by itself (our choice)."""

SLOW_BEAT = 0.1
"""A beat slower than ten looks is a danger: within a window it may not average out (our choice)."""

PASSED_MIN = 0.3
"""What a look's own averaging leaves of an overtone, times how well the load keeps step until the next look."""

CYCLES_MIN = 8
"""Below this a cycle's length and its jitter are not known well enough to say anything."""

MAD_TO_SD = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How a sensor looked over one window: every `period_s` (known to `period_u_s`) for `window_s`, `count` times."""

    period_s: float
    period_u_s: float
    window_s: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """One cycle of the load: what repeats, its median length and the scatter of its lengths, in seconds."""

    what: Literal["execution", "token"]
    period_s: float
    jitter_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """An overtone of the load that keeps step with the sensor's looks.

    `leftover` is the share of the overtone's swing that the mean over the window's looks may keep, where a fair sample
    would keep 1/sqrt(looks); `looks_per_beat` is infinite where both keep step for good.
    """

    rhythm: Rhythm
    looks: Looks
    harmonic: int
    looks_per_beat: float
    leftover: float

    @property
    def facts(self) -> str:
        """Return the beat in words."""
        every = f"an {self.rhythm.what}" if self.rhythm.what == "execution" else f"a {self.rhythm.what}"
        cycle = f"{every} takes {1e3 * self.rhythm.period_s:.4g} ms"
        looks = f"the sensor looks {1e3 * self.looks.window_s:.3g} of every {1e3 * self.looks.period_s:.4g} ms"
        together = "they keep step for good"
        if math.isfinite(self.looks_per_beat):
            together = f"they beat once in {self.looks_per_beat:.3g} looks"
        return f"{cycle} and {looks}: {together}"


def rhythms(done: Completions, window: Window) -> tuple[Rhythm, ...]:
    """Return the cycles that a window's executions went through: one execution, and one token where there are tokens.

    A cycle of which there are fewer than `CYCLES_MIN` is left out.
    """
    inside = [i for i, start in enumerate(done.start_ns) if window.start_ns <= start < window.end_ns]
    executions = [b - a for a, b in pairwise(done.start_ns[i] for i in inside)]
    steps = [(done.first_output_ns[i], *done.step_end_ns[i]) for i in inside]
    tokens = [b - a for row in steps for a, b in pairwise(row) if a is not None and b is not None]
    found = (_rhythm("execution", executions), _rhythm("token", tokens))
    return tuple(rhythm for rhythm in found if rhythm is not None)


def beats(looks: Looks, load: Sequence[Rhythm]) -> tuple[Beat, ...]:
    """Return every overtone of the load's cycles that beats slowly against the sensor's looks, the worst first.

    An overtone counts when the sensor cannot follow it (less than two looks a cycle), its phase moves by less than
    `SLOW_BEAT` of a cycle from one look to the next (give or take what is known of both periods), and both the
    averaging within a look and the load's own jitter leave `PASSED_MIN` of it.
    """
    found = [beat for rhythm in load for harmonic in HARMONICS if (beat := _beat(looks, rhythm, harmonic)) is not None]
    return tuple(sorted(found, key=lambda beat: -beat.leftover))


def independent_looks(values: Sequence[float]) -> float:
    """Return how many independent values a series in time is worth when its mean is taken, at least 1.

    n / (1 + 2 sum of autocorrelations), summed until they are first not positive (Geyer, Practical Markov Chain Monte
    Carlo, 1992, without its pairing).
    """
    n = len(values)
    centre = fmean(values) if n else 0.0
    apart = [v - centre for v in values]
    variance = math.fsum(a * a for a in apart)
    if not variance:
        return float(max(n, 1))
    shares = (math.fsum(map(mul, apart, apart[lag:])) / variance for lag in range(1, n))
    positive: Iterator[float] = takewhile((0.0).__lt__, shares)
    return max(n / (1 + 2 * math.fsum(positive)), 1.0)


def _rhythm(what: Literal["execution", "token"], cycles_ns: Sequence[int]) -> Rhythm | None:
    if len(cycles_ns) < CYCLES_MIN or median(cycles_ns) <= 0:
        return None
    middle = median(cycles_ns)
    jitter = MAD_TO_SD * median(abs(c - middle) for c in cycles_ns)
    return Rhythm(what=what, period_s=middle / 1e9, jitter_s=jitter / 1e9)


def _beat(looks: Looks, rhythm: Rhythm, harmonic: int) -> Beat | None:
    advance = harmonic * looks.period_s / rhythm.period_s  # cycles of the overtone from one look to the next
    unsure = harmonic * looks.period_u_s / rhythm.period_s
    slip = abs(advance - round(advance))
    turns = looks.period_s / rhythm.period_s
    spread = 2 * math.pi * harmonic * math.sqrt(turns) * rhythm.jitter_s / rhythm.period_s  # radians, a random walk
    kept = math.exp(-(spread**2) / 2)
    passed = abs(_sinc(harmonic * looks.window_s / rhythm.period_s))
    if advance < 0.5 or max(slip - unsure, 0.0) > SLOW_BEAT or passed * kept < PASSED_MIN:
        return None
    unsure = max(unsure, 0.5 / looks.count)  # half a beat more or less over the window is never known
    slips = [max(slip + k * unsure / 2, 0.0) for k in range(-2, 3)]
    leftover = passed * max(_leftover(s, kept, looks.count) for s in slips)
    return Beat(
        rhythm=rhythm,
        looks=looks,
        harmonic=harmonic,
        looks_per_beat=math.inf if slip <= unsure else 1 / slip,
        leftover=leftover,
    )


def _leftover(slip: float, kept: float, count: int) -> float:
    """Return the root mean square of the mean of `count` looks at a swing of unit variance.

    From the autocorrelation kept^k cos(2 pi slip k) of an oscillation whose phase walks at random.
    """
    terms = ((1 - k / count) * kept**k * math.cos(2 * math.pi * slip * k) for k in range(1, count))
    return math.sqrt(max(1 + 2 * math.fsum(terms), 0.0) / count)


def _sinc(x: float) -> float:
    """Return sin(pi x) / (pi x): what averaging over x cycles leaves of an oscillation."""
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0
