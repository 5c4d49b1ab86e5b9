"""What steps of load tell of a sensor: the curve that its answer follows, its averaging window and its lag."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, pstdev
from typing import TYPE_CHECKING, Literal

from wattbench.results.errors import SensorError
from wattbench.results.observed import ResponseKind

if TYPE_CHECKING:
    import numpy

__all__ = ["Answer", "Edge", "fit_steps"]

EDGES_MIN = 2
STEP_NOISE_MIN = 5.0
"""A step smaller than this many times the noise beside it tells nothing (our choice)."""

LOG_BETTER = 0.8
"""The exponential approach must fit better than a window by this factor of squares to be believed (our choice)."""

_GRID = 24
_ROUNDS = 4

Shape = Literal["linear", "logarithmic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An instant at which the load began (`rising`) or ended, and how long before and after it nothing else did."""

    at_ns: int
    rising: bool
    before_s: float
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The fitted answer of a sensor: its kind, averaging window or time constant and lag in s, with k=1."""

    kind: ResponseKind
    averaging_window_s: float | None
    u_averaging_window_s: float | None
    time_constant_s: float | None
    lag_s: float
    u_lag_s: float
    edges: int
    misfit_rel: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """One shape fitted: the delay before it starts, its width, the mean square left over."""

    delay_s: float
    width_s: float
    left: float

    def lag_s(self, shape: Shape) -> float:
        """Return the area between step and curve: delay and half a window, or delay and the time constant."""
        return self.delay_s + (self.width_s / 2 if shape == "linear" else self.width_s)


def fit_steps(
    times_ns: Sequence[int], watts: Sequence[float], edges: Sequence[Edge], *, period_s: float, spacing_s: float
) -> Answer:
    """Return how a sensor's curve answers steps of load.

    Three shapes are told apart: an instant rise (a window no longer than an update or two polls, which cannot be
    seen), the mean of a trailing window (a straight ramp), and an exponential approach. A common fit over all edges
    decides the shape; each edge's own fit gives the scatter of window and lag, which with one update's phase makes
    their uncertainty. Raises SensorError for fewer than two edges with polls on both sides, or steps that drown in
    the noise.
    """
    seen = [points for edge in edges if (points := _normalised(times_ns, watts, edge)) is not None]
    if len(seen) < EDGES_MIN:
        why = f"{len(seen)} of {len(edges)} steps stand out of its noise"
        raise SensorError("The sensor's answer cannot be told", why, "Use a load that draws more, on a quiet machine.")
    every = [point for points in seen for point in points]
    reach_s = min(max(t for t, _ in points) for points in seen)
    ramp, approach = _fit(every, "linear", reach_s), _fit(every, "logarithmic", reach_s)
    shape: Shape = "logarithmic" if approach.left < LOG_BETTER * ramp.left else "linear"
    best = approach if shape == "logarithmic" else ramp
    singles = [_fit(points, shape, reach_s) for points in seen]
    unseen_s = max(1.5 * period_s, 2 * spacing_s)
    instant = shape == "linear" and best.width_s <= unseen_s
    windows = [single.width_s for single in singles]
    lags = [single.lag_s(shape) for single in singles]
    phase_s = max(period_s, spacing_s) / math.sqrt(12 * len(seen))
    u_window_s = math.hypot(pstdev(windows) / math.sqrt(len(seen) - 1), phase_s)
    return Answer(
        kind="instant" if instant else shape,
        averaging_window_s=unseen_s if instant else best.width_s if shape == "linear" else None,
        u_averaging_window_s=u_window_s if shape == "linear" and not instant else None,
        time_constant_s=best.width_s if shape == "logarithmic" else None,
        lag_s=best.lag_s(shape),
        u_lag_s=math.hypot(pstdev(lags) / math.sqrt(len(seen) - 1), phase_s),
        edges=len(seen),
        misfit_rel=math.sqrt(best.left),
    )


def _normalised(times_ns: Sequence[int], watts: Sequence[float], edge: Edge) -> list[tuple[float, float]] | None:
    """Return the polls around an edge as (s since it, share of the step done); None where the step cannot be seen.

    Before is the second half of the time before the edge, when an earlier step is over, after the last third of the
    time after it.
    """
    near = [((t - edge.at_ns) / 1e9, w) for t, w in zip(times_ns, watts, strict=True)]
    before = [w for t, w in near if -edge.before_s / 2 <= t < 0]
    after = [w for t, w in near if 2 * edge.after_s / 3 <= t < edge.after_s]
    if len(before) < 2 or len(after) < 2:
        return None
    first_w, last_w = median(before), median(after)
    step_w = last_w - first_w
    noise_w = max(pstdev(before), pstdev(after))
    if (step_w > 0) != edge.rising or abs(step_w) <= STEP_NOISE_MIN * noise_w:
        return None
    return [(t, (w - first_w) / step_w) for t, w in near if -edge.before_s / 2 <= t < edge.after_s]


def _fit(points: Sequence[tuple[float, float]], shape: Shape, reach_s: float) -> _Curve:
    """Return the best curve of a shape, by a grid over delay and width that is drawn closer around the best."""
    import numpy

    times, shares = (numpy.array(column) for column in zip(*points, strict=True))
    low_d, high_d, low_w, high_w = -0.1 * reach_s, 0.6 * reach_s, 1e-3, 0.8 * reach_s
    best = _Curve(delay_s=0.0, width_s=high_w, left=math.inf)
    for _ in range(_ROUNDS):
        delays, widths = numpy.linspace(low_d, high_d, _GRID), numpy.linspace(low_w, high_w, _GRID)
        for width in widths:
            for delay in delays:
                left = float(numpy.mean((_curve(times - delay, width, shape) - shares) ** 2))
                if left < best.left:
                    best = _Curve(delay_s=float(delay), width_s=float(width), left=left)
        step_d, step_w = (high_d - low_d) / _GRID, (high_w - low_w) / _GRID
        low_d, high_d = best.delay_s - 2 * step_d, best.delay_s + 2 * step_d
        low_w, high_w = max(1e-3, best.width_s - 2 * step_w), best.width_s + 2 * step_w
    return best


def _curve(since: "numpy.ndarray", width_s: float, shape: Shape) -> "numpy.ndarray":
    """Return the share of a step that a sensor shows at times (s) since its delay."""
    import numpy

    if shape == "linear":
        ramp: numpy.ndarray = numpy.clip(since / width_s, 0.0, 1.0)
        return ramp
    approach: numpy.ndarray = 1 - numpy.exp(-numpy.clip(since, 0.0, None) / width_s)
    return approach
