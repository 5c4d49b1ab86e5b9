"""The statistics of a comparison: the ratio of two figures with its interval, and verdicts over many of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_not_negative
from wattbench.results.metrics import Metric
from wattbench.results.stats import standard_uncertainty
from wattbench.results.student import student_coverage, student_half_width

__all__ = [
    "DISCOVERY_RATE",
    "LEVEL",
    "Estimate",
    "Outcome",
    "Ratio",
    "discoveries",
    "estimate_of",
    "outcome_of",
    "ratio_of",
]

LEVEL = 0.95
"""The level of a ratio's interval."""

DISCOVERY_RATE = 0.05
"""Of all differences that are called real, at most this share is expected not to be (Benjamini and Hochberg)."""

U_REL_MAX = 1e6
"""A figure that is uncertain by more than this many times itself says nothing (a document may state 5e-324)."""

FREEDOM_MAX = 1000
"""More degrees of freedom are as good as infinitely many: at 95 % they change the interval by less than 0.13 %."""

Outcome = Literal["better", "worse", "equal", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its relative standard uncertainty (k=1) and the degrees of freedom of that."""

    value: float
    u_rel: float
    freedom: int

    def __post_init__(self) -> None:
        require_not_negative(u_rel=self.u_rel)
        require(self.value > 0, "a ratio needs figures above 0")
        require(self.freedom >= 1, "an uncertainty has at least one degree of freedom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The second figure over the first, its interval at `LEVEL`, and the probability of such a ratio among equals."""

    value: float
    low: float
    high: float
    p: float


def estimate_of(metric: Metric, *, same_board: bool, shared_rel: float = 0.0) -> Estimate | None:
    """Return a metric's value with what it is uncertain by when it is compared; None where that is not known.

    Of an energy figure that is the comparison uncertainty when both were measured on the same board, and the absolute
    one otherwise, since then the sensors' gains differ; `shared_rel` of it is counted elsewhere. Other figures have the
    repeatability of their repeats alone.
    Effective degrees of freedom by Welch and Satterthwaite (GUM G.4.1), what sensors state having infinitely many.
    """
    if not metric.value or metric.value < 0 or metric.interval is None or len(metric.samples) < 2:
        return None
    repeats_rel = standard_uncertainty(metric.interval) / metric.value
    stated = metric.u_comparison_rel if same_board else metric.u_absolute_rel
    if metric.scope is not None and stated is None:
        return None
    stated_rel = math.sqrt(max(0.0, (stated or 0.0) ** 2 - shared_rel**2))
    total_rel = max(repeats_rel, stated_rel)
    if not total_rel < U_REL_MAX:
        return None
    freedom = len(metric.samples) - 1
    if repeats_rel > 0:
        freedom = _whole(freedom * min(total_rel / repeats_rel, U_REL_MAX) ** 4)
    elif total_rel > 0:
        freedom = FREEDOM_MAX
    return Estimate(value=metric.value, u_rel=total_rel, freedom=freedom)


def ratio_of(first: Estimate, second: Estimate, pair_rel: float = 0.0) -> Ratio:
    """Return second / first with its interval, taken on the logarithm, where a ratio's uncertainty is symmetric.

    `pair_rel` is what the ratio is unsure by beside its parts, being known well (infinite degrees of freedom).
    """
    u_rel = math.hypot(first.u_rel, second.u_rel, pair_rel)
    value = second.value / first.value
    if u_rel == 0:
        return Ratio(value=value, low=value, high=value, p=float(value == 1))
    fourth = first.u_rel**4 / first.freedom + second.u_rel**4 / second.freedom
    freedom = _whole(u_rel**4 / fourth) if fourth else FREEDOM_MAX
    reach = math.exp(min(student_half_width(LEVEL, freedom) * u_rel, 700.0))  # exp(700) is near the largest double
    p = 1 - student_coverage(abs(math.log(value)) / u_rel, freedom)
    return Ratio(value=value, low=value / reach, high=value * reach, p=min(1.0, max(0.0, p)))


def discoveries(probabilities: Sequence[float], rate: float = DISCOVERY_RATE) -> tuple[bool, ...]:
    """Return which of many differences are real at a false discovery rate.

    The largest k with p(k) <= k / m x rate, and all of smaller p: Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995).
    """
    count = len(probabilities)
    ordered = sorted(probabilities)
    limits = [p for k, p in enumerate(ordered, start=1) if p <= k / count * rate]
    limit = limits[-1] if limits else -1.0
    return tuple(p <= limit for p in probabilities)


def outcome_of(ratio: Ratio, *, real: bool, delta: float, higher_is_better: bool) -> Outcome:
    """Return what a ratio says of the second: equal when its whole interval lies within 1/(1+delta)..1+delta.

    Otherwise better or worse where the difference is `real`, else inconclusive.
    """
    if 1 / (1 + delta) <= ratio.low and ratio.high <= 1 + delta:
        return "equal"
    if not real:
        return "inconclusive"
    return "better" if (ratio.value > 1) == higher_is_better else "worse"


def _whole(freedom: float) -> int:
    return max(1, min(FREEDOM_MAX, int(freedom + 1e-9)))
