"""How many processes send calls (`--workers auto`): raised in warm-up where they are late, never above what is free."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy
import psutil

from wattbench.backends.traffic import NONE, Schedule, Served
from wattbench.harness.cpu_facts import usable_cores
from wattbench.results.traffic import LATE_SHARE, CrewStep

__all__ = ["WORKERS_MAX", "CrewSize", "OwnProcessors", "Processors", "lag_limit_s", "looked_at"]

CALLS_MIN = 50
"""Fewer calls say nothing of their 99th percentile (our choice)."""

BETTER = 0.9
"""More processes must bring the lag below this share of what it was, else there are fewer again (our choice)."""

WORKERS_MAX = 256


class Processors(Protocol):
    """What tells how busy the processors are that this process may use."""

    cores: float

    def busy_s(self) -> float:
        """Return for how long they have worked, in core-seconds."""
        ...

    def own_s(self) -> float:
        """Return how much of that was for this process and those of its children that ended, in core-seconds."""
        ...


class OwnProcessors:
    """The processors of this machine that this process may use."""

    def __init__(self) -> None:
        self.cores = usable_cores()

    def busy_s(self) -> float:
        """Return for how long they have worked, in core-seconds."""
        every = psutil.cpu_times(percpu=True)
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(every))
        known = [every[number] for number in allowed if number < len(every)]
        return sum(sum(times) - times.idle - getattr(times, "iowait", 0.0) - _guest_s(times) for times in known)

    def own_s(self) -> float:
        """Return how much of that was for this process and those of its children that ended, in core-seconds."""
        return sum(os.times()[:4])


class CrewSize:
    """The number of processes that send, one at first; `use` makes the generator send with another number."""

    def __init__(
        self, use: Callable[[int], None], *, limit_s: float | None = None, processors: Processors | None = None
    ) -> None:
        self._use = use
        self._limit_s = limit_s
        self._processors = processors or OwnProcessors()
        self._asked = 1
        self._before: CrewStep | None = None
        self._settled = False

    def served(self, serve: Callable[[Schedule], Served], schedule: Schedule) -> tuple[Served, CrewStep]:
        """Have a stretch of warm-up served, and let as many processes send from then on as it asks for."""
        busy_s, own_s = self._processors.busy_s(), self._processors.own_s()
        done = serve(schedule)
        others_s = (self._processors.busy_s() - busy_s) - (self._processors.own_s() - own_s)
        step = looked_at(
            done,
            asked=self._asked,
            limit_s=lag_limit_s(done, self._limit_s),
            free_cpus=_free(self._processors.cores, others_s, done.health.observed_s),
            before=self._before,
        )
        if self._settled:
            step = replace(step, next_workers=self._asked, reason="the number is settled")
        elif step.next_workers != self._asked:
            self._settled = step.next_workers < self._asked
            self._asked = step.next_workers
            self._use(self._asked)
        self._before = step
        return done, step


def looked_at(
    done: Served, *, asked: int, limit_s: float | None, free_cpus: int, before: CrewStep | None = None
) -> CrewStep:
    """Return what one stretch says of the `asked` processes that sent it, and how many are to send from then on.

    `limit_s` is how late calls may go out and bytes may be read in 99 % of the cases, `free_cpus` the processors that
    nothing else used, `before` the step before.
    """
    health = done.health
    step = CrewStep(
        workers=asked,
        calls=len(done),
        send_late_p99_s=health.send_late_p99_s,
        kernel_lag_p99_s=health.kernel_lag_p99_s,
        limit_s=limit_s,
        free_cpus=free_cpus,
        next_workers=asked,
        reason="kept up",
    )
    if limit_s is None or step.calls < CALLS_MIN:
        return replace(step, reason=f"fewer than {CALLS_MIN} calls that succeeded say nothing")
    if step.worst_s <= limit_s:
        return step
    if before is not None and before.workers < asked and step.worst_s > BETTER * before.worst_s:
        fewer = before.workers
        return replace(step, next_workers=fewer, reason=f"late, and not less than with {fewer}")
    if health.workers < asked:
        return replace(step, reason="late, and the calls cannot be shared out further")
    if free_cpus <= asked:
        return replace(step, reason="late, and no other processor is free")
    return replace(step, next_workers=min(2 * asked, free_cpus, WORKERS_MAX), reason="late")


def _free(cores: float, others_s: float, observed_s: float) -> int:
    """Return how many whole processors the others left in a stretch, rounded; one at least."""
    busy = max(0.0, others_s) / observed_s if observed_s > 0 else 0.0
    return max(1, int(cores - busy + 0.5))


def _guest_s(times: object) -> float:
    """Return what Linux counts as work of guests and, once more, as work."""
    return float(getattr(times, "guest", 0.0)) + float(getattr(times, "guest_nice", 0.0))


def lag_limit_s(done: Served, slo_s: float | None) -> float | None:
    """Return how late calls may go out and bytes may be read: 1 % of the limit on the first token, or of its median.

    In seconds; of the median latency where answers are not streamed, None where no call succeeded.
    """
    good = numpy.array([error is None for error in done.error], dtype=bool)
    first = good & (done.first_output_ns != NONE)
    rows, ends = (first, done.first_output_ns) if first.any() else (good, done.end_ns)
    if slo_s is None and not rows.any():
        return None
    base_s = slo_s if slo_s is not None else float(numpy.median((ends - done.start_ns)[rows])) / 1e9
    return LATE_SHARE * base_s
