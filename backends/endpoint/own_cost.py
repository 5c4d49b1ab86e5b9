"""What the client itself took: processor time, waiting for a processor, switches; of this process, over a span."""

import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OwnCost", "cost_since", "look"]

SCHEDSTAT = Path("/proc/self/schedstat")


@dataclass(frozen=True, slots=True)
class OwnCost:
    """Seconds of processor time and of waiting for a processor; None where the system does not tell."""

    cpu_s: float
    run_queue_wait_s: float | None
    involuntary_switches: int | None


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
