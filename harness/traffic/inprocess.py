"""Running a schedule through a backend in this process: one execution at a time, of the calls that wait then."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wattbench.backends.client_health import OwnCost, cost_since, look
from wattbench.backends.contract import Backend, Batch
from wattbench.backends.execution import Executed, executed
from wattbench.backends.traffic import Schedule, Served
from wattbench.harness.traffic.collecting import Sent, collected
from wattbench.harness.traffic.queueing import CallQueue
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.results.errors import UsageError

__all__ = ["Clock", "InProcessServer", "serve_calls"]

BATCH_POOL = 4
"""Distinct seeded batches that executions take turns with, so that no cache can answer from memory."""

SPIN_NS = 200_000
"""The last stretch before a call is due is spun: sleeping may last so much longer than asked for."""

WAITED: Final = "it was due, and still waited for its turn when the window's deadline came"


class Clock(Protocol):
    """Where a run takes its times from: ns of one clock, and waiting until a time of it."""

    def now_ns(self) -> int:
        """Return the time."""
        ...

    def wait_until(self, at_ns: int) -> None:
        """Return at a time, or a little later."""
        ...


class RealClock:
    """`time.perf_counter_ns`."""

    def now_ns(self) -> int:
        """Return the time."""
        return time.perf_counter_ns()

    def wait_until(self, at_ns: int) -> None:
        """Sleep, then spin."""
        left_ns = at_ns - time.perf_counter_ns()
        if left_ns > SPIN_NS:
            time.sleep((left_ns - SPIN_NS) / 1e9)
        while time.perf_counter_ns() < at_ns:
            pass


class InProcessServer:
    """Serves schedules by a prepared backend whose load has one shape."""

    def __init__(self, backend: Backend, load: Load, batch: int, seed: int) -> None:
        self._backend, self._load, self._batch = backend, load, batch
        self._pool = [make_arrays(load, batch, seed + 1 + i) for i in range(BATCH_POOL)]
        self._turn = 0

    def serve(self, schedule: Schedule) -> Served:
        """Execute every call when it is due, or as soon after it as the backend is free.

        Raises UsageError for calls of another shape than the load's, DeviceError for a device that fails altogether;
        an execution that the backend says has failed is a row for each of its calls.
        """
        _check_shape(schedule, self._load)
        return serve_calls(schedule, self._execute, self._batch)

    def _execute(self, requests: int) -> Executed:
        shape = self._load.shape
        self._turn = (self._turn + 1) % len(self._pool)
        return executed(
            self._backend,
            Batch(
                arrays={name: array[:requests] for name, array in self._pool[self._turn].items()},
                requests=requests,
                input_tokens=requests * shape.input_tokens,
                output_tokens=requests * shape.output_tokens,
            ),
        )


@dataclass(slots=True)
class _Window:
    """One window as it goes on."""

    origin_ns: int
    sent: list[Sent] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    free_ns: int = 0


def serve_calls(
    schedule: Schedule, execute: Callable[[int], Executed], batch: int, clock: Clock | None = None
) -> Served:
    """Return what came of a schedule whose calls are executed up to `batch` together, by `execute(requests)`.

    A call that waits behind an execution waits in the backend's queue, which its latency from the planned start has in
    it. The generator's own lateness is what passes from when a call could start (it was due, and the backend free) to
    when it did. An execution in progress at the deadline goes on to its end; what waits then in an open loop is given
    up, a row each.
    """
    clock = clock or RealClock()
    most = batch if schedule.in_flight_max is None else min(batch, schedule.in_flight_max)
    queue, before = CallQueue(schedule), look()
    gc.collect()
    gc.disable()
    try:
        window = _Window(clock.now_ns())
        _go_on(schedule, execute, most, clock, queue, window)
        end_ns = clock.now_ns()
    finally:
        gc.enable()
    if schedule.open_loop and schedule.give_up_ns is not None and end_ns - window.origin_ns >= schedule.give_up_ns:
        window.sent += [
            Sent.given_up(w.row, window.origin_ns + w.planned_ns, end_ns, WAITED)
            for w in queue.left(schedule.give_up_ns)
        ]
    cost: OwnCost = cost_since(before)
    return collected(window.sent, window.late_ns, cost, window.origin_ns, end_ns)


def _go_on(
    schedule: Schedule,
    execute: Callable[[int], Executed],
    most: int,
    clock: Clock,
    queue: CallQueue,
    window: _Window,
) -> None:
    """Execute what waits, wait for what is due, until there is nothing more or the time is over."""
    ends = [limit for limit in (schedule.issue_until_ns, schedule.give_up_ns) if limit is not None]
    until = min(ends, default=None)
    while until is None or clock.now_ns() - window.origin_ns < until:
        now = clock.now_ns() - window.origin_ns
        calls = queue.take(now, most)
        if calls:
            done = execute(len(calls))
            planned = [window.origin_ns + call.planned_ns for call in calls]
            window.late_ns += [done.before_ns - max(at, window.free_ns) for at in planned]
            window.free_ns = done.after_ns
            rows = [call.row for call in calls]
            sent = Sent.of_execution(rows, planned, done.completion)
            window.sent += sent
            for one in sent:
                queue.ended(one.row, one.end_ns - window.origin_ns)
            continue
        wake = queue.next_ns()
        if wake is None:
            return
        clock.wait_until(window.origin_ns + (wake if until is None else min(wake, until)))


def _check_shape(schedule: Schedule, load: Load) -> None:
    shape = load.shape
    lengths: Sequence[tuple[int, int]] = sorted(
        set(zip(schedule.input_tokens.tolist(), schedule.output_tokens.tolist(), strict=True))
    )
    if shape.turns > 1:
        why = f"{load.name} has {shape.turns} turns, which a backend in this process executes as one"
        raise UsageError("The load's turns cannot arrive one by one", why, "Choose a load of one turn, or --endpoint.")
    strange = [pair for pair in lengths if pair != (shape.input_tokens, shape.output_tokens)]
    if strange:
        (first, *more) = strange
        own = f"{shape.input_tokens} tokens in and {shape.output_tokens} out"
        why = f"{load.name} was prepared for {own}, a call has {first[0]} and {first[1]}"
        why += f", and there are {len(more)} further shapes" if more else ""
        remedy = "Leave the lengths to the load; traces, drawn lengths and growing sessions need --endpoint."
        raise UsageError("A backend in this process executes one shape", why, remedy)
