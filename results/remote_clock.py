"""The record of another machine's clock, as it stood against the run's when its values were placed."""

from dataclasses import dataclass

from wattbench.results.checks import require_finite, require_not_negative

__all__ = ["RemoteClock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteClock:
    """One remote clock over a run: `source` names it, `boot` the life of the service that reads it.

    `offset_s` is that clock minus the run's at the last exchange, which `bound_s` holds it to; `worst_bound_s` is the
    largest bound that a value was placed with (None: no value came). `drift_ppm` is the rate at which the offset moved
    between the first exchanges and the last, known within `drift_bound_ppm`. `steps` counts the jumps of that clock.
    """

    source: str
    boot: str
    exchanges: int
    least_round_trip_s: float
    offset_s: float
    bound_s: float
    worst_bound_s: float | None
    drift_ppm: float | None
    drift_bound_ppm: float | None
    steps: int

    def __post_init__(self) -> None:
        require_finite(offset_s=self.offset_s, drift_ppm=self.drift_ppm)
        require_not_negative(
            exchanges=self.exchanges,
            least_round_trip_s=self.least_round_trip_s,
            bound_s=self.bound_s,
            worst_bound_s=self.worst_bound_s,
            drift_bound_ppm=self.drift_bound_ppm,
            steps=self.steps,
        )
