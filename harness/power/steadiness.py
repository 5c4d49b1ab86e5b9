"""Whether a curve still moves: the slope of power or temperature over a span, beyond what its noise explains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "POWER_TEST",
    "SPAN_S",
    "TEMPERATURE_TEST",
    "Slope",
    "power_moves",
    "slope_of",
    "temperature_moves",
    "window_drift",
]

SPAN_S = 30.0
"""Slopes are judged over the last 30 s, and stated for 30 s."""

POWER_SLOPE_MAX = 0.005

WINDOW_DRIFT_MAX = 0.01
"""A window within which power moves by more than this from end to end is doubted: 0.5 % in 30 s over 60 s."""

TEMPERATURE_SLOPE_MAX_C = 1.0

POWER_TEST = "power moves by less than 0.5 % in 30 s"
TEMPERATURE_TEST = "temperature moves by less than 1 degree C in 30 s"
"""The two rules in words; a slope counts as far as it exceeds twice its standard error, so noise is no drift.

The figures are the protocol's (docs/protocol.md): llenergymeasure and the ML.ENERGY benchmark wait in similar ways.
"""

VALUE_MAX = 1e100
"""No power or temperature reaches this (our choice; squares of doubles overflow at 1e154)."""

_BLOCKS = 8
"""The span is cut into so many means: neighbouring samples of an averaging sensor are not independent."""

_STUDENT = 2.447
"""Two-sided 95 % quantile of Student's t for 6 degrees of freedom: 8 blocks, 2 unknowns (JCGM 100:2008, G.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How much a quantity moves a second, its standard error, the mean, and the span in s that this comes from."""

    per_s: float
    u_per_s: float
    mean: float
    span_s: float

    @property
    def sure_per_s(self) -> float:
        """Return the part of the slope that its noise does not explain (95 %), 0 when it explains all."""
        beyond = abs(self.per_s) - _STUDENT * self.u_per_s
        return math.copysign(beyond, self.per_s) if beyond > 0 else 0.0


def slope_of(times_ns: Sequence[int], values: Sequence[float]) -> Slope | None:
    """Return the slope of samples by a straight line through the means of eight equal spans; None with an empty one.

    None too where a value lies above `VALUE_MAX`: it is a fault, which the energies tell, and its square overflows.
    """
    if len(times_ns) < _BLOCKS or times_ns[-1] <= times_ns[0] or max(values) > VALUE_MAX:
        return None
    span_ns = times_ns[-1] - times_ns[0]
    blocks: list[list[tuple[float, float]]] = [[] for _ in range(_BLOCKS)]
    for at_ns, value in zip(times_ns, values, strict=True):
        since_ns = at_ns - times_ns[0]
        blocks[min(_BLOCKS * since_ns // span_ns, _BLOCKS - 1)].append((since_ns / 1e9, value))
    if not all(blocks):
        return None
    x = [math.fsum(t for t, _ in block) / len(block) for block in blocks]
    y = [math.fsum(v for _, v in block) / len(block) for block in blocks]
    mean_x, mean_y = math.fsum(x) / _BLOCKS, math.fsum(y) / _BLOCKS
    squares = math.fsum((a - mean_x) ** 2 for a in x)
    per_s = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / squares
    left = math.fsum((b - mean_y - per_s * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True)) / (_BLOCKS - 2)
    return Slope(per_s=per_s, u_per_s=math.sqrt(left / squares), mean=mean_y, span_s=span_ns / 1e9)


def power_moves(slope: Slope | None) -> str | None:
    """Return in words that power moves by more than `POWER_TEST` allows, or None; unknown is no movement."""
    if slope is None or slope.mean <= 0:
        return None
    share = SPAN_S * slope.sure_per_s / slope.mean
    if abs(share) < POWER_SLOPE_MAX:
        return None
    return f"power moves by {SPAN_S * slope.per_s / slope.mean:+.1%} in 30 s"


def temperature_moves(slope: Slope | None) -> str | None:
    """Return in words that the temperature moves by more than `TEMPERATURE_TEST` allows, or None."""
    if slope is None or abs(SPAN_S * slope.sure_per_s) < TEMPERATURE_SLOPE_MAX_C:
        return None
    return f"temperature moves by {SPAN_S * slope.per_s:+.1f} degrees C in 30 s"


def window_drift(slope: Slope | None) -> str | None:
    """Return in words that power moved within a window by more than `WINDOW_DRIFT_MAX` and `POWER_TEST`, or None."""
    if slope is None or power_moves(slope) is None:
        return None
    share = slope.span_s * slope.sure_per_s / slope.mean
    if abs(share) <= WINDOW_DRIFT_MAX:
        return None
    return f"power moved by {slope.span_s * slope.per_s / slope.mean:+.1%} within {slope.span_s:.3g} s"
