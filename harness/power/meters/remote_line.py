"""The line between a remote monotonic clock and ours: an interval that every exchange narrows and time widens."""

from dataclasses import dataclass

__all__ = ["RATE_REL", "ClockLine", "Drift", "Roundtrip"]

RATE_REL = 1e-3
"""The most that two monotonic clocks drift apart: each is slewed by 500 ppm at most (MAXFREQ, linux/timex.h)."""

STAMP_NS = 1
"""Stamps are whole nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roundtrip:
    """One exchange: our clock when we asked and when the answer came, and the remote one's in between, in ns."""

    sent_ns: int
    received_ns: int
    remote_received_ns: int
    remote_sent_ns: int

    @property
    def low_ns(self) -> int:
        """Return the least that the remote clock can be ahead of ours: the answer came after it was sent."""
        return self.remote_sent_ns - self.received_ns

    @property
    def high_ns(self) -> int:
        """Return the most that the remote clock can be ahead of ours: the question was read after it was asked."""
        return self.remote_received_ns - self.sent_ns

    @property
    def width_ns(self) -> int:
        """Return the time on the way, both ways together; negative for an exchange that cannot be true."""
        return self.high_ns - self.low_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    """What the remote clock is ahead by at an instant of ours, in ns."""

    at_ns: int
    low_ns: float
    high_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The rate at which an offset moves, and how far that can be off."""

    ppm: float
    bound_ppm: float


class ClockLine:
    """Follows the offset (remote clock minus ours) by intersecting what each exchange allows (Marzullo, 1984).

    Between exchanges the interval widens by `RATE_REL`; one that misses it altogether is a step of the remote clock,
    from which the line starts anew.
    """

    def __init__(self) -> None:
        self._first: _Interval | None = None
        self._now: _Interval | None = None
        self.exchanges = 0
        self.steps = 0
        self.least_ns: int | None = None
        """The least time on the way, both ways together."""

    def add(self, trip: Roundtrip) -> int | None:
        """Take one exchange in; return by how many ns the remote clock has jumped, None where it has not.

        Raises ValueError for an exchange that cannot be true.
        """
        if trip.width_ns < 0 or trip.remote_sent_ns < trip.remote_received_ns:
            raise ValueError("its answer was under way for less than no time")
        self.exchanges += 1
        self.least_ns = trip.width_ns if self.least_ns is None else min(self.least_ns, trip.width_ns)
        moved_ns = RATE_REL * (trip.received_ns - trip.sent_ns) + STAMP_NS  # it may move while it is under way
        seen = _Interval(at_ns=trip.received_ns, low_ns=trip.low_ns - moved_ns, high_ns=trip.high_ns + moved_ns)
        if self._now is None:
            self._first = self._now = seen
            return None
        held = _widened(self._now, seen.at_ns)
        if seen.low_ns > held.high_ns or seen.high_ns < held.low_ns:
            jump_ns = round((seen.low_ns + seen.high_ns - held.low_ns - held.high_ns) / 2)
            self._first = self._now = seen
            self.steps += 1
            return jump_ns
        low_ns, high_ns = max(held.low_ns, seen.low_ns), min(held.high_ns, seen.high_ns)
        self._now = _Interval(at_ns=seen.at_ns, low_ns=low_ns, high_ns=high_ns)
        return None

    def settle(self) -> None:
        """Take the interval of now for the beginning from which drift is counted: the first exchanges are over."""
        self._first = self._now

    def offset_ns(self) -> int:
        """Return the offset as the last exchange left it, in ns. Raises ValueError before the first."""
        now = self._held()
        return round((now.low_ns + now.high_ns) / 2)

    def bound_ns(self, at_ns: int | None = None) -> float:
        """Return how far that offset can be from the one at an instant of ours (None: at the last exchange), in ns."""
        now = self._held()
        away_ns = 0 if at_ns is None else abs(at_ns - now.at_ns)
        return (now.high_ns - now.low_ns) / 2 + RATE_REL * away_ns

    def drift(self) -> "Drift | None":
        """Return the offset's rate from the first exchanges to the last; None for one instant."""
        first, now = self._first, self._now
        if first is None or now is None or now.at_ns <= first.at_ns:
            return None
        span_ns = now.at_ns - first.at_ns
        low, high = (now.low_ns - first.high_ns) / span_ns, (now.high_ns - first.low_ns) / span_ns
        return Drift(ppm=1e6 * (low + high) / 2, bound_ppm=1e6 * (high - low) / 2)

    def _held(self) -> _Interval:
        if self._now is None:
            raise ValueError("no exchange yet")
        return self._now


def _widened(held: _Interval, at_ns: int) -> _Interval:
    """Return an interval as far as it still holds at another instant."""
    by_ns = RATE_REL * abs(at_ns - held.at_ns)
    return _Interval(at_ns=at_ns, low_ns=held.low_ns - by_ns, high_ns=held.high_ns + by_ns)
