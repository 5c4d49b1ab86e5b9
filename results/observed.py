"""The record of how a sensor was seen to behave, beside what is stated of it."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require_not_negative

__all__ = ["ObservedRecord", "ResponseKind", "StepResponse"]

ResponseKind = Literal["instant", "linear", "logarithmic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResponse:
    """How a channel answered steps of load, from the last probe (`bench doctor --power --probe-load`).

    `kind` is instant (the window is too short to see), linear (the mean of a trailing window) or logarithmic (an
    exponential approach). `averaging_window_s` is that window (of an instant response the longest that would not have
    been seen), `time_constant_s` the approach's. `lag_s` is how far the channel's curve lies behind the power's, all
    causes together; `u_*` are standard uncertainties (k=1) from `edges` steps. `misfit_rel` is the root mean square
    distance from the fitted curve over the step, `poll_spacing_s` the time between polls. `time_resolution_s` is the
    longest of update period, averaging window (or time constant) and poll spacing: what is shorter cannot be told.
    """

    kind: ResponseKind
    averaging_window_s: float | None
    u_averaging_window_s: float | None
    time_constant_s: float | None
    lag_s: float
    u_lag_s: float
    edges: int
    misfit_rel: float
    poll_spacing_s: float
    time_resolution_s: float
    probed_at: str
    driver: str | None

    def __post_init__(self) -> None:
        require_not_negative(
            averaging_window_s=self.averaging_window_s,
            time_constant_s=self.time_constant_s,
            u_lag_s=self.u_lag_s,
            misfit_rel=self.misfit_rel,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRecord:
    """One channel's behaviour as it was observed, and as it is stated (None: unknown).

    `update_period_s` comes from the run's own polls, with its uncertainty (k=1); with `at_most` the polls were too rare
    to see more than that it is no longer. `reason` says why there is none. `response` is the last probe's, if one is
    remembered. `contradictions` say in words where observation and statement part; the observed value is used then.
    """

    channel: str
    polls: int
    changes: int
    update_period_s: float | None
    u_update_period_s: float | None
    at_most: bool
    reason: str | None
    stated_update_period_s: float | None
    stated_averaging_window_s: float | None
    stated_lag_s: float | None
    response: StepResponse | None
    contradictions: tuple[str, ...]

    def __post_init__(self) -> None:
        require_not_negative(update_period_s=self.update_period_s, u_update_period_s=self.u_update_period_s)
