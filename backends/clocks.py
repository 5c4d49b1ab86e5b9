"""How far a remote clock is from ours, bounded by the times around each exchange."""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["ClockOffset", "Exchange", "clock_offset", "http_date_s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question to a remote clock: our UTC seconds before and after, and its answer, cut to `resolution_s`."""

    sent_s: float
    received_s: float
    remote_s: float
    resolution_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """The remote clock minus ours, in seconds, and half the width of the interval that it must lie in."""

    offset_s: float
    bound_s: float

    def __str__(self) -> str:
        return f"its clock minus ours is {self.offset_s:+.2f} s within {self.bound_s:.2f} s"


def clock_offset(exchanges: Iterable[Exchange]) -> ClockOffset | None:
    """Return the offset that all exchanges allow, or None without any.

    The answer was given between sending and receiving, so each exchange bounds the offset; the bounds intersect. Where
    they do not (the clock was stepped in between) the exchange with the narrowest bound stands, the one with the
    shortest way there and back (Cristian, Distributed Computing 3, 1989).
    """
    bounds = [(e.remote_s - e.received_s, e.remote_s + e.resolution_s - e.sent_s) for e in exchanges]
    if not bounds:
        return None
    low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
    if low > high:
        low, high = min(bounds, key=lambda bound: bound[1] - bound[0])
    return ClockOffset(offset_s=(low + high) / 2, bound_s=(high - low) / 2)


def http_date_s(header: str | None) -> float | None:
    """Return the UTC seconds of a `Date` header, which is cut to whole seconds; None without one that can be read."""
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, IndexError, OverflowError):
        return None
