"""The record of what load generation was asked for: how requests were to arrive, how long they were, what must hold."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_finite

__all__ = ["Arrival", "TrafficPlan"]

Arrival = Literal["poisson", "gamma", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPlan:
    """How requests were to arrive; which fields are given follows from the plan's scenario.

    `rate_per_s` is the rate of an open loop (None with `rate_auto`: the highest that holds `slo` was searched, and the
    result says which it is), `arrival_shape` the shape of gamma arrivals. `concurrency` is how many requests a closed
    loop keeps in progress, `samples` how many one query of multi-stream has. `ramp` are the levels of a ramp in their
    order, rates where `rate_per_s` is one too. `trace` names the file that was replayed, `trace_digest` its bytes,
    `trace_format` how it was read and `trace_scale` what its times were multiplied with; of it only what lies in
    `trace_clip_s`, from and to in the trace's own seconds. `sessions` is how many chains of calls were in progress
    (None with a rate: they arrive), `session` how one is built. `input_lengths` and `output_lengths` are distributions
    in the words of docs/scenarios.md (None: the load's own lengths). `slo` is what was to hold, in the words of
    `--slo`. At most `in_flight_max` requests were in progress (None: no limit).
    """

    arrival: Arrival | None = None
    arrival_shape: float | None = None
    rate_per_s: float | None = None
    rate_auto: bool = False
    concurrency: int | None = None
    samples: int | None = None
    ramp: str | None = None
    trace: str | None = None
    trace_digest: str | None = None
    trace_format: str | None = None
    trace_scale: float = 1.0
    trace_clip_s: tuple[float, float] | None = None
    sessions: int | None = None
    session: str | None = None
    input_lengths: str | None = None
    output_lengths: str | None = None
    slo: str | None = None
    in_flight_max: int | None = None

    def __post_init__(self) -> None:
        require_finite(rate_per_s=self.rate_per_s, arrival_shape=self.arrival_shape, trace_scale=self.trace_scale)
        require(self.rate_per_s is None or self.rate_per_s > 0, "rate_per_s must be positive")
        require(self.rate_per_s is None or not self.rate_auto, "a rate is given or searched, not both")
        require(not self.rate_auto or self.slo is not None, "a search for a rate needs an slo that it holds")
        require((self.arrival == "gamma") == (self.arrival_shape is not None), "gamma arrivals alone have a shape")
        require(self.arrival_shape is None or self.arrival_shape > 0, "arrival_shape must be positive")
        for name in ("concurrency", "samples", "sessions", "in_flight_max"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be at least 1")
        require(self.trace_digest is None or self.trace is not None, "a digest of a trace belongs to a trace")
        require(self.trace_scale > 0, "trace_scale must be positive")
        if self.trace_clip_s is not None:
            begin, end = self.trace_clip_s
            require(0 <= begin < end, "trace_clip_s goes from a time to a later one")
