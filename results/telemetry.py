"""The record of what a device's own monitoring said of a window, beside power: utilisation, memory, throttling."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_not_negative

__all__ = ["TelemetryRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRecord:
    """What one monitoring tool said during a repeat: the mean utilisation (0..1), and the largest of the others.

    Each is None where the tool does not tell it; without any sample there is a `reason`. No figure here is a power.
    """

    source: str
    samples: int
    utilisation_mean: float | None
    memory_used_max_bytes: int | None
    throttle_score_max: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            samples=self.samples,
            utilisation_mean=self.utilisation_mean,
            memory_used_max_bytes=self.memory_used_max_bytes,
            throttle_score_max=self.throttle_score_max,
        )
        require((self.samples == 0) == (self.reason is not None), "telemetry has samples or a reason, not both")
