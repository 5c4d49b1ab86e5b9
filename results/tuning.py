"""The records of tuning: every candidate that was tried for a load, what became of it, and which one was chosen."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_not_negative

TrialOutcome = Literal["measured", "too_slow", "failed_gate", "failed"]

__all__ = ["TrialOutcome", "TrialRecord", "TuningRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One candidate in a fresh worker process: engine, precision, and what a short gated trial gave.

    Rates are the median of short windows: requests/s, and tokens/s of prefill and decode where the load has them.
    `relative_error` is the quality gate's. `reason` says why a candidate is out of the race. One that is `too_slow` was
    given up after some executions, without gate or windows; `executions_per_s` is their rate, and no measured figure.
    """

    backend: str
    device: str
    precision: str
    tuning: str
    outcome: TrialOutcome
    requests_per_s: float | None
    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    relative_error: float | None
    prepare_s: float | None
    reason: str
    executions_per_s: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            requests_per_s=self.requests_per_s,
            prefill_tokens_per_s=self.prefill_tokens_per_s,
            decode_tokens_per_s=self.decode_tokens_per_s,
            prepare_s=self.prepare_s,
            executions_per_s=self.executions_per_s,
        )
        measured = self.outcome == "measured"
        require(measured == (self.requests_per_s is not None), "a measured trial has a rate, another one has none")
        too_slow = self.outcome == "too_slow"
        require(too_slow == (self.executions_per_s is not None), "a trial given up as too slow says how slow it was")
        require(measured or self.reason != "", "a trial that was not measured says why")

    @property
    def name(self) -> str:
        """Return the candidate as "backend/tuning precision on device"."""
        return f"{self.backend}/{self.tuning} {self.precision} on {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRecord:
    """The whole grid and the choice: the fastest candidate by requests/s among those that passed the gate.

    `chosen` is the name of a trial. `fastest_prefill` and `fastest_decode` name the best candidate of each phase, None
    for loads without tokens out. `cached` says that the trials are those of an earlier run of the same plan with the
    same versions, at most a day old.
    """

    trials: tuple[TrialRecord, ...]
    chosen: str
    fastest_prefill: str | None
    fastest_decode: str | None
    measured_at: str
    duration_s: float
    cached: bool

    def __post_init__(self) -> None:
        require(self.chosen in {t.name for t in self.trials}, "the choice is one of the trials")
        require_not_negative(duration_s=self.duration_s)
