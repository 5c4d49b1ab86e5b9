"""What a sampled power curve says of a window: its energy, and how much of it the samples cover."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from statistics import median

from wattbench.results.errors import SamplingGapError

__all__ = ["Coverage", "change_count", "coverage", "integrate_j", "interpolate", "observed_period_ns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The share of a window within gaps that are small enough, and the largest gap that touches it, in seconds."""

    share: float
    max_gap_s: float


def integrate_j(
    times_ns: Sequence[int], watts: Sequence[float], start_ns: int, end_ns: int, max_gap_ns: float
) -> float:
    """Return the energy under the samples between two instants, in joules.

    Trapezoids between all samples, edges interpolated, nothing deduplicated; times must not go backwards. Raises
    SamplingGapError when the samples do not reach over both edges, or when two neighbours within the window lie
    further apart than `max_gap_ns`, since the curve between them is unknown.
    """
    first = bisect_right(times_ns, start_ns) - 1
    last = bisect_left(times_ns, end_ns)
    if first < 0 or last >= len(times_ns):
        raise _uncovered(times_ns, start_ns, end_ns)
    widest = max(times_ns[i + 1] - times_ns[i] for i in range(first, last))
    if widest > max_gap_ns:
        raise _too_wide(widest, max_gap_ns)
    inner = range(first + 1, last)
    instants = [start_ns, *(times_ns[i] for i in inner), end_ns]
    powers = [
        interpolate(times_ns, watts, start_ns),
        *(watts[i] for i in inner),
        interpolate(times_ns, watts, end_ns),
    ]
    spans = pairwise(zip(instants, powers, strict=True))
    return fsum((p0 + p1) * (t1 - t0) for (t0, p0), (t1, p1) in spans) / 2e9  # 2: trapezoid, 1e9: ns to s


def interpolate(times_ns: Sequence[int], values: Sequence[float], at_ns: int) -> float:
    """Return the value at an instant, linear between the samples around it; the instant must lie within the samples."""
    right = bisect_right(times_ns, at_ns)
    if right == len(times_ns):
        return values[-1]
    left = right - 1
    share = (at_ns - times_ns[left]) / (times_ns[right] - times_ns[left])
    return values[left] + (values[right] - values[left]) * share


def coverage(times_ns: Sequence[int], start_ns: int, end_ns: int, max_gap_ns: float) -> Coverage:
    """Return how much of a window lies between samples no further apart than `max_gap_ns`, and the largest gap.

    A window edge without a sample beyond it counts as a gap from the edge to the nearest sample, and is not covered.
    """
    first = max(bisect_right(times_ns, start_ns) - 1, 0)
    near = times_ns[first : bisect_left(times_ns, end_ns) + 1]
    if not near:
        return Coverage(share=0.0, max_gap_s=(end_ns - start_ns) / 1e9)
    gaps = [b - a for a, b in pairwise(near)]
    missing = [max(min(near[0], end_ns) - start_ns, 0), max(end_ns - max(near[-1], start_ns), 0)]
    covered = sum(min(b, end_ns) - max(a, start_ns) for a, b in pairwise(near) if b - a <= max_gap_ns)
    return Coverage(share=covered / (end_ns - start_ns), max_gap_s=max(*gaps, *missing) / 1e9)


def observed_period_ns(times_ns: Sequence[int], values: Sequence[float]) -> int | None:
    """Return the median time between changes of the value, or None when it changed fewer than twice."""
    changes = [times_ns[i] for i in range(1, len(values)) if values[i] != values[i - 1]]
    return round(median(b - a for a, b in pairwise(changes))) if len(changes) >= 2 else None


def change_count(values: Sequence[float]) -> int:
    """Return how often the value differs from the one before: the sensor's updates that could be seen."""
    return sum(a != b for a, b in pairwise(values))


def _uncovered(times_ns: Sequence[int], start_ns: int, end_ns: int) -> SamplingGapError:
    if not times_ns:
        why = "there is no sample at all"
    elif times_ns[0] > start_ns:
        why = f"the first sample lies {(times_ns[0] - start_ns) / 1e9:.3f} s after its start"
    else:
        why = f"the last sample lies {(end_ns - times_ns[-1]) / 1e9:.3f} s before its end"
    return SamplingGapError("The samples do not cover the window", why, "Start the recorder earlier and stop it later.")


def _too_wide(gap_ns: int, max_gap_ns: float) -> SamplingGapError:
    why = f"two samples lie {gap_ns / 1e9:.3f} s apart, {max_gap_ns / 1e9:.3f} s is the most that can be bridged"
    return SamplingGapError("The power curve has a gap", why, "Free the machine, or poll a source that answers faster.")
