"""Time stamps by waiting, and by device events."""

from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="the stamps are torch's")

from wattbench.backends.torch.stamps import DeviceEvent, EventStamps, HostStamps


class FakeEvent:
    """An event whose instant on the device's clock, in ms, comes from a script."""

    def __init__(self, script: list[float]) -> None:
        self._script = script
        self.at_ms = 0.0

    def record(self) -> None:
        """Take the next instant of the script."""
        self.at_ms = self._script.pop(0)

    def elapsed_time(self, end_event: DeviceEvent) -> float:
        """Return the milliseconds to a later event."""
        assert isinstance(end_event, FakeEvent)
        return end_event.at_ms - self.at_ms


def stamps_of(script: list[float], host_ns: list[int]) -> EventStamps:
    """Return stamps over a scripted device and a scripted host clock."""
    return EventStamps(lambda: None, lambda: FakeEvent(script), lambda: host_ns.pop(0))


def test_events_are_counted_back_from_the_wait() -> None:
    """Events 1 and 3 ms before the last lie that much before the host's time of the wait."""
    stamps = stamps_of([10.0, 11.0, 13.0, 14.0], [1_000_000, 5_500_000])
    stamps.begin()
    for _ in range(3):
        stamps.mark()

    assert [2_500_000, 4_500_000, 5_500_000] == stamps.read()


def test_how_late_the_stamps_are_is_bounded() -> None:
    """The first event lies 0.5 ms after it was queued, so no stamp is later than that."""
    stamps = stamps_of([10.0, 11.0, 13.0, 14.0], [1_000_000, 5_500_000])
    stamps.begin()
    for _ in range(3):
        stamps.mark()
    stamps.read()

    assert 500_000 == stamps.late_ns_max


def test_events_are_used_again() -> None:
    """A second execution makes no further events and starts anew."""
    made: list[FakeEvent] = []
    script = [0.0, 1.0, 5.0, 7.0]

    def make() -> FakeEvent:
        made.append(FakeEvent(script))
        return made[-1]

    host_ns = [0, 1_000_000, 2_000_000, 4_000_000]
    stamps = EventStamps(lambda: None, make, lambda: host_ns.pop(0))
    found = []
    for _ in range(2):
        stamps.begin()
        stamps.mark()
        found.append(stamps.read())

    assert 2 == len(made)
    assert [[1_000_000], [4_000_000]] == found


def test_the_host_waits_at_each_mark() -> None:
    """Without events every stamp costs one wait for the device."""
    waits: list[int] = []
    synchronise: Callable[[], None] = lambda: waits.append(1)  # noqa: E731 (a fake of one line)
    stamps = HostStamps(synchronise)
    stamps.begin()
    stamps.mark()
    stamps.mark()
    found = stamps.read()

    assert 2 == len(waits) == len(found)
    assert found == sorted(found)
