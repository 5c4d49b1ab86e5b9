"""Time stamps of a device's progress: by waiting at each, or by device events that one wait at the end maps."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol

import torch

__all__ = ["DeviceEvent", "EventStamps", "HostStamps", "Stamps", "event_maker"]


class DeviceEvent(Protocol):
    """A point in a device's queue that remembers when it was reached."""

    def record(self) -> None:
        """Put the event at the end of the queue."""
        ...

    def elapsed_time(self, end_event: "DeviceEvent") -> float:
        """Return the milliseconds from this event to a later one."""
        ...


class Stamps(Protocol):
    """Instants at which the work queued so far was done, on `time.perf_counter_ns`."""

    def begin(self) -> None:
        """Start anew; nothing is queued on the device."""
        ...

    def mark(self) -> None:
        """Ask for the instant at which everything queued until now is done."""
        ...

    def read(self) -> list[int]:
        """Wait for the device and return the instants in order, in ns."""
        ...


class HostStamps:
    """Waits for the device at each mark and reads the host's clock: one wait a stamp."""

    def __init__(self, synchronise: Callable[[], None]) -> None:
        self._synchronise = synchronise
        self._stamps: list[int] = []

    def begin(self) -> None:
        """Start anew."""
        self._stamps = []

    def mark(self) -> None:
        """Wait, and take the time."""
        self._synchronise()
        self._stamps.append(perf_counter_ns())

    def read(self) -> list[int]:
        """Return the instants."""
        return self._stamps


class EventStamps:
    """Puts an event into the queue at each mark, waits once, and counts back from that wait by the device's own clock.

    The wait returns some time after the last event, so every stamp is late by that time and none is early. How late at
    most is known from the first event, which cannot have been reached before it was queued: `late_ns_max`.
    """

    def __init__(
        self,
        synchronise: Callable[[], None],
        make_event: Callable[[], DeviceEvent],
        clock_ns: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self._synchronise, self._make_event, self._clock_ns = synchronise, make_event, clock_ns
        self._events: list[DeviceEvent] = []
        self._used = 0
        self._began_ns = 0
        self.late_ns_max = 0

    def begin(self) -> None:
        """Start anew with an event at the start, which no stamp is taken from."""
        self._used = 0
        self._began_ns = self._clock_ns()
        self.mark()

    def mark(self) -> None:
        """Queue an event; events are made once and used again."""
        if self._used == len(self._events):
            self._events.append(self._make_event())
        self._events[self._used].record()
        self._used += 1

    def read(self) -> list[int]:
        """Return the instants, and note how late they may be."""
        self._synchronise()
        now_ns = self._clock_ns()
        used = self._events[: self._used]
        before = [round(event.elapsed_time(used[-1]) * 1e6) for event in used]
        self.late_ns_max = max(self.late_ns_max, now_ns - before[0] - self._began_ns)
        stamps: list[int] = []
        for back in before[1:]:
            stamps.append(max(stamps[-1] if stamps else self._began_ns, now_ns - back))
        return stamps


def event_maker(device: torch.device) -> Callable[[], DeviceEvent]:
    """Return the call that makes an event of a device which can be timed."""

    def make() -> DeviceEvent:
        event: Any = torch.Event(device, enable_timing=True)  # any: its methods' arguments have other names
        made: DeviceEvent = event
        return made

    return make
