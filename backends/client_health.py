"""What every load generator says of itself: how late its calls went out, and what it took of the processor."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray

__all__ = ["Lateness", "OwnCost", "cost_since", "lateness_of", "look", "quantile_of"]

TENTH = 10
SCHEDSTAT = Path("/proc/self/schedstat")


@dataclass(frozen=True, slots=True)
class OwnCost:
    """Seconds of processor time and of waiting for a processor; None where the system does not tell."""

    cpu_s: float
    run_queue_wait_s: float | None
    involuntary_switches: int | None


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds that calls went out late: quantiles, and the last tenth's median less the first's; None without calls."""

    p50_s: float | None
    p99_s: float | None
    max_s: float | None
    drift_s: float | None


def lateness_of(late_s: NDArray[numpy.float64]) -> Lateness:
    """Return the lateness of calls in the order in which they went out."""
    tenth = len(late_s) // TENTH
    drift = float(numpy.median(late_s[-tenth:]) - numpy.median(late_s[:tenth])) if tenth else None
    return Lateness(quantile_of(late_s, 0.5), quantile_of(late_s, 0.99), quantile_of(late_s, 1.0), drift)


def quantile_of(values: NDArray[numpy.float64], q: float) -> float | None:
    """Return a nearest-rank quantile; None without values."""
    return float(numpy.quantile(values, q, method="inverted_cdf")) if len(values) else None


def look() -> OwnCost:
    """Return the costs so far of the main thread, which sends and receives everything, and the process's CPU time."""
    return OwnCost(time.process_time_ns() / 1e9, _waited_s(), _switches())


def cost_since(before: OwnCost) -> OwnCost:
    """Return what was added since an earlier look."""
    now = look()
    waited = now.run_queue_wait_s, before.run_queue_wait_s
    switched = now.involuntary_switches, before.involuntary_switches
    return OwnCost(
        now.cpu_s - before.cpu_s,
        None if waited[0] is None or waited[1] is None else waited[0] - waited[1],
        None if switched[0] is None or switched[1] is None else switched[0] - switched[1],
    )


def _waited_s() -> float | None:
    try:  # "time on a processor, time waiting for one, in ns; time slices" (Documentation/scheduler/sched-stats)
        return int(SCHEDSTAT.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _switches() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
