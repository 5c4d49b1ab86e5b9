"""Whether limits hold for what was served: goodput, and each quantile with its early-stopping rule."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_not_negative
from wattbench.results.slo import LatencyKind, Limit, Slo
from wattbench.results.stats import early_stopping_minimum, quantile

__all__ = ["LimitVerdict", "RequestTimes", "SloVerdict", "judge_slo"]

Standing = Literal["holds", "unproven", "broken", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTimes:
    """The times of one request in seconds, from its planned start; all None, and no gaps, for one that failed.

    `ttft_s` is None for one without tokens out, `tpot_s` for one with a single token; `gaps_s` lie between two tokens.
    """

    failed: bool
    latency_s: float | None
    ttft_s: float | None
    tpot_s: float | None
    gaps_s: Sequence[float] = ()

    def __post_init__(self) -> None:
        require(self.failed == (self.latency_s is None), "a request has a latency unless it failed")
        require(not self.failed or (self.ttft_s is None and self.tpot_s is None), "a failed request has no times")

    def value_s(self, kind: LatencyKind) -> float | None:
        """Return its time of one kind; there are several gaps, and no one time of them."""
        return {"latency": self.latency_s, "ttft": self.ttft_s, "tpot": self.tpot_s, "itl": None}[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitVerdict:
    """Whether one limit holds over `count` samples, of which `over` were over it or belong to requests that failed.

    `value_s` is the quantile itself, None where failures alone reach beyond it (it is then infinite) or there is no
    sample. It `holds` if there are at least `needed` samples, by MLPerf's early stopping; with fewer, although the
    quantile lies within the limit, it is `unproven`. Gaps are not independent: theirs have no `needed` and hold by the
    quantile alone. `unknown`: there was nothing to judge.
    """

    limit: Limit
    standing: Standing
    count: int
    over: int
    needed: int | None
    value_s: float | None

    def __post_init__(self) -> None:
        require_not_negative(count=self.count, over=self.over, needed=self.needed, value_s=self.value_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SloVerdict:
    """How requests kept a set of limits.

    `good` requests succeeded and kept every limit each for itself (a request's gaps: at the limit's own quantile);
    `goodput_per_s` is their rate over the window. The limits hold when each of them does.
    """

    slo: Slo
    requests: int
    failed: int
    good: int
    goodput_per_s: float
    limits: tuple[LimitVerdict, ...]

    @property
    def good_share(self) -> float | None:
        """Return the share of all requests, failed ones included, that were good; None without any."""
        return self.good / self.requests if self.requests else None

    @property
    def holds(self) -> bool:
        """Return whether every limit holds, proven."""
        return all(verdict.standing == "holds" for verdict in self.limits)

    @property
    def broken(self) -> bool:
        """Return whether some limit does not hold whatever more samples would say of the others."""
        return any(verdict.standing == "broken" for verdict in self.limits)


def judge_slo(slo: Slo, requests: Sequence[RequestTimes], window_s: float) -> SloVerdict:
    """Return how requests kept the limits; a failure is over every one of them."""
    good = sum(all(_keeps(request, limit) for limit in slo.limits) for request in requests)
    return SloVerdict(
        slo=slo,
        requests=len(requests),
        failed=sum(request.failed for request in requests),
        good=good,
        goodput_per_s=good / window_s,
        limits=tuple(_judged(limit, requests) for limit in slo.limits),
    )


def _keeps(request: RequestTimes, limit: Limit) -> bool:
    """Return whether one request keeps a limit; one that has no such time has nothing to break."""
    if request.failed:
        return False
    if limit.kind == "itl":
        return not request.gaps_s or quantile(request.gaps_s, limit.q) <= limit.limit_s
    value_s = request.value_s(limit.kind)
    return value_s is None or value_s <= limit.limit_s


def _judged(limit: Limit, requests: Sequence[RequestTimes]) -> LimitVerdict:
    samples = _samples(limit.kind, requests)
    count, within = len(samples), bisect_right(samples, limit.limit_s)
    over = count - within
    value = quantile(samples, limit.q) if samples else math.inf
    needed = None if limit.kind == "itl" or not samples else early_stopping_minimum(limit.q, over)
    return LimitVerdict(
        limit=limit,
        standing=_standing(count, needed, inside=value <= limit.limit_s),
        count=count,
        over=over,
        needed=needed,
        value_s=value if math.isfinite(value) else None,
    )


def _standing(count: int, needed: int | None, *, inside: bool) -> Standing:
    if not count:
        return "unknown"
    if not inside:
        return "broken"
    return "holds" if needed is None or count >= needed else "unproven"


def _samples(kind: LatencyKind, requests: Sequence[RequestTimes]) -> list[float]:
    """Return the samples of one kind in their order; a failure counts as one that never came."""
    samples = [math.inf for request in requests if request.failed]
    if kind == "itl":
        samples += [gap for request in requests for gap in request.gaps_s]
    else:
        samples += [value for request in requests if (value := request.value_s(kind)) is not None]
    return sorted(samples)
