"""The energy between two instants as an energy counter tells it: ticks, wrap-around, resets."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from wattbench.harness.power.curve import interpolate
from wattbench.results.errors import SamplingGapError, SensorError

__all__ = ["PLAUSIBLE_W", "CounterRules", "Ticks", "counter_delta_j", "find_ticks", "tick_powers_w"]

PLAUSIBLE_W = 20_000.0
"""Above this no single sensor's reading is believed when its own limit is unknown, in watts.

A whole 8-GPU node is rated at 10.2 kW (DGX H100 class, arXiv 2506.14551) to 14.3 kW (DGX B200, NVIDIA data sheet).
"""


JUMP_W = 1e6
"""An increase above this is a fault where no limit is known: ten times what a rack of accelerators draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRules:
    """What is known of a counter: widest gap to bridge, update period, range at which it wraps, largest power.

    `plausible_w` is the power above which an increase cannot be true; None takes `PLAUSIBLE_W`, but only where a
    wrap-around must be told from a reset; elsewhere `JUMP_W`.
    """

    max_gap_ns: float
    period_ns: float
    wraps_at_j: float | None = None
    plausible_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """The instants at which a counter was updated, with the energy since the first poll, in joules."""

    times_ns: tuple[int, ...]
    joules: tuple[float, ...]


def counter_delta_j(
    times_ns: Sequence[int], joules: Sequence[float], start_ns: int, end_ns: int, rules: CounterRules
) -> float:
    """Return the energy that a counter gained between two instants, in joules.

    A change of value in the poll log is a tick; each edge is interpolated between the ticks around it, so that the
    counter's steps do not fall into or out of the window. Wrap-around at `rules.wraps_at_j` is undone. Raises
    SensorError for a counter that went backwards otherwise, jumped beyond reason, or never advanced, and
    SamplingGapError when no ticks close enough bracket an edge.
    """
    low = bisect_left(times_ns, start_ns - 2 * rules.max_gap_ns)  # what lies further back cannot bracket an edge
    high = bisect_right(times_ns, end_ns + 2 * rules.max_gap_ns)
    ticks = find_ticks(times_ns[low:high], joules[low:high], rules)
    if not ticks.times_ns:
        raise SensorError("The energy counter did not advance", f"{high - low} polls gave the same value")
    for edge_ns, name in ((start_ns, "start"), (end_ns, "end")):
        _require_bracketed(ticks.times_ns, edge_ns, name, rules.max_gap_ns)
    at_end = interpolate(ticks.times_ns, ticks.joules, end_ns)
    return at_end - interpolate(ticks.times_ns, ticks.joules, start_ns)


def find_ticks(times_ns: Sequence[int], joules: Sequence[float], rules: CounterRules) -> Ticks:
    """Return the updates of a counter that can be seen in its poll log, wrap-around undone.

    The update behind a changed value lies between the poll before and this one, and no longer ago than one update
    period; the middle of that span is taken. The first poll is no tick: its update lies an unknown time before it.
    """
    found_ns: list[int] = []
    found_j: list[float] = []
    total = 0.0
    for i in range(1, len(joules)):
        gained = _gain_j(joules[i] - joules[i - 1], times_ns[i] - times_ns[i - 1], rules)
        if gained:
            total += gained
            earliest = max(times_ns[i - 1], times_ns[i] - rules.period_ns)
            found_ns.append(round((earliest + times_ns[i]) / 2))
            found_j.append(total)
    return Ticks(times_ns=tuple(found_ns), joules=tuple(found_j))


def tick_powers_w(ticks: Ticks) -> tuple[float, ...]:
    """Return the mean power between neighbouring ticks, in watts."""
    points = pairwise(zip(ticks.times_ns, ticks.joules, strict=True))
    return tuple((j1 - j0) * 1e9 / (t1 - t0) for (t0, j0), (t1, j1) in points if t1 > t0)


def _gain_j(delta_j: float, apart_ns: int, rules: CounterRules) -> float:
    """Return the joules gained between two polls, or raise SensorError when no honest figure exists."""
    bound_w = PLAUSIBLE_W if rules.plausible_w is None else rules.plausible_w
    bound_j = bound_w * (apart_ns + rules.period_ns) / 1e9  # a step may bring the energy of a whole update period
    if rules.wraps_at_j is not None and bound_j >= rules.wraps_at_j:
        raise SensorError("The energy counter may have wrapped unseen", f"no poll for {apart_ns / 1e9:.1f} s")
    if delta_j < 0:
        delta_j = _undo_wrap_j(delta_j, bound_j, rules.wraps_at_j)
    most_j = bound_j
    if rules.plausible_w is None:  # a second's worth at least, since a coarse counter steps by watt-hours
        most_j = JUMP_W * max((apart_ns + rules.period_ns) / 1e9, 1.0)
    if delta_j > most_j:
        raise SensorError("The energy counter jumped", f"by {delta_j:.6g} J where {most_j:.6g} J is the most possible")
    return delta_j


def _undo_wrap_j(delta_j: float, bound_j: float, wraps_at_j: float | None) -> float:
    if wraps_at_j is None:
        raise SensorError("The energy counter went backwards", f"by {-delta_j:.6g} J, and it is not known to wrap")
    unwrapped = delta_j + wraps_at_j
    if not 0 <= unwrapped <= bound_j:
        why = f"by {-delta_j:.6g} J; a wrap at {wraps_at_j:.6g} J would mean {unwrapped:.6g} J, so it was reset"
        raise SensorError("The energy counter went backwards", why)
    return unwrapped


def _require_bracketed(ticks_ns: Sequence[int], edge_ns: int, name: str, max_gap_ns: float) -> None:
    right = bisect_left(ticks_ns, edge_ns)
    left = bisect_right(ticks_ns, edge_ns) - 1
    if left < 0 or right == len(ticks_ns):
        raise SamplingGapError(f"No update of the energy counter was seen beyond the window's {name}")
    if (apart := max(ticks_ns[right] - ticks_ns[left], 0)) > max_gap_ns:
        raise SamplingGapError(f"The energy counter's updates around the window's {name} lie {apart / 1e9:.3f} s apart")
