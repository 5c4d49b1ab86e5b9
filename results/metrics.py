"""The records of derived figures: metrics with interval and uncertainty, and latency quantiles."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_finite, require_not_negative

__all__ = ["Interval", "Metric", "Quantile", "QuantileMetric", "Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval [low, high] at `level`, and the method that gave it."""

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        require_finite(low=self.low, high=self.high)
        require(self.low <= self.high, f"an interval's low end lies above its high end: {self.low} > {self.high}")
        require(0 < self.level < 1, f"an interval's level lies between 0 and 1, not at {self.level}")

    @property
    def half_width(self) -> float:
        """Return half the interval's length, in the metric's unit."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure: median over repeats, with its interval, spread, samples, scope, method and uncertainties.

    `unit` is UCUM. `value` is None with a `reason` when it is not known. `spread` is the interquartile range (None for
    fewer than 2 samples). `scope` and `boundary` are set for energy figures. `u_*_rel` are relative standard
    uncertainties (k=1), None where nothing states them.
    """

    name: str
    unit: str
    value: float | None
    reason: str | None
    method: str
    interval: Interval | None
    spread: float | None
    samples: tuple[float, ...]
    scope: str | None
    boundary: str | None
    u_absolute_rel: float | None
    u_comparison_rel: float | None

    def __post_init__(self) -> None:
        require_finite(value=self.value)
        require_not_negative(
            spread=self.spread, u_absolute_rel=self.u_absolute_rel, u_comparison_rel=self.u_comparison_rel
        )
        require((self.value is None) == (self.reason is not None), f"{self.name}: a value or a reason, never both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """One quantile: the empirical value, and the early-stopping upper bound (99 % confidence; None below its floor)."""

    q: float
    value: float
    bound: float | None

    def __post_init__(self) -> None:
        require(0 < self.q < 1, f"a quantile lies within 0..1, not at {self.q}")
        require_not_negative(value=self.value, bound=self.bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileMetric:
    """A distribution of latencies in seconds over all requests of all repeats.

    `count` is how many values it has: requests, or token gaps for latency.itl; None where an imported file does not
    state it. Without any, `mean` is None, `quantiles` is empty and `reason` says why.
    """

    name: str
    unit: str
    count: int | None
    mean: float | None
    quantiles: tuple[Quantile, ...]
    method: str
    reason: str | None = None

    def __post_init__(self) -> None:
        require_not_negative(count=self.count, mean=self.mean)
        require((self.mean is None) == (self.reason is not None), f"{self.name}: a mean or a reason, never both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything derived from the raw repeats; it can always be computed again from them.

    `requests` counts all requests, the failed ones included.
    """

    metrics: tuple[Metric, ...]
    latencies: tuple[QuantileMetric, ...]
    requests: int
    failed_requests: int
    repeats: int
    measured_s: float

    def __post_init__(self) -> None:
        require_not_negative(requests=self.requests, repeats=self.repeats, measured_s=self.measured_s)
        require(0 <= self.failed_requests <= self.requests, "failed_requests must be within 0..requests")

    def metric(self, name: str, scope: str | None = None) -> Metric | None:
        """Return the first metric of that name (and scope, if given), or None."""
        matches = (m for m in self.metrics if m.name == name and (scope is None or m.scope == scope))
        return next(matches, None)
