"""Google's monitoring of TPUs: what `libtpu.sdk.tpumonitoring` says; it has no power and no temperature."""

from collections.abc import Callable

from wattbench.harness.telemetry.sample import Sample, at, loaded, number, share

__all__ = ["MEMORY", "METRICS", "parse_tpu"]

MEMORY = "hbm_capacity_usage"
UTILISATIONS = ("tensorcore_util", "duty_cycle_pct")
THROTTLE = "tpu_throttle_score"

METRICS = (*UTILISATIONS, MEMORY, THROTTLE)
"""Of the 32 that libtpu 0.0.51 lists (October 2026)."""


def parse_tpu(line: bytes) -> Sample | None:
    """Return the mean utilisation of the chips, their memory in use, and the highest throttle score.

    None for a line without a figure. A line is an object of metrics, each a list with a text or number a chip.
    """
    told = loaded(line)
    values = {name: _read(at(told, name), share if name in UTILISATIONS else number) for name in METRICS}
    shares = next((values[name] for name in UTILISATIONS if values[name]), [])
    if not any(values.values()):
        return None
    return Sample(
        utilisation=sum(shares) / len(shares) if shares else None,
        memory_used_bytes=int(sum(values[MEMORY])) if values[MEMORY] else None,
        throttle_score=max(values[THROTTLE], default=None),
    )


def _read(told: object, read: Callable[[object], float | None]) -> list[float]:
    return [found for value in told if (found := read(value)) is not None] if isinstance(told, list) else []
