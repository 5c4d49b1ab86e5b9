"""The contract between the recorder and whatever reads watts: one Protocol of three methods, and its records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord
from wattbench.results.remote_clock import RemoteClock

__all__ = [
    "Availability",
    "Batching",
    "Block",
    "ChannelRecord",
    "Clocked",
    "Deferring",
    "Paced",
    "Reading",
    "Sampler",
    "SamplerOptions",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """What a sampler is told when it is opened.

    `argument` is the text after the colon of `--power NAME:ARGUMENT` (a replay's file, a model's watts);
    `covers` the device under test (a UUID or "cpu", several joined as in `wattbench.results.covers`): a sampler of
    accelerators opens only those, a sampler of the host (CPU packages, node) opens what it has, for the host's share is
    wanted beside the device's. None opens all.
    """

    argument: str | None
    covers: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one channel, as the source gave it but in J or W: no integration, no filtering.

    `value` is None and `error` says why when this channel could not be read this time. `sensor_ns` is the source's
    own time stamp (its own clock), where it gives one. Only a buffered channel (`ChannelRecord.buffered`) gives several
    readings in one read, oldest first, or none, and only it knows `taken_ns`: when the source took the value, on the
    run's clock (`time.perf_counter_ns`).
    """

    channel: str
    value: float | None
    sensor_ns: int | None = None
    taken_ns: int | None = None
    error: str | None = None


class Sampler(Protocol):
    """Reads one physical or modelled source. Constructed with SamplerOptions; construction touches nothing.

    Class attribute `name`; attribute `channels` is filled by a successful `probe`. A sampler never converts (beyond
    the unit), integrates, drops or smooths: that is the business of `energy`.
    """

    name: str
    channels: tuple[ChannelRecord, ...]

    def probe(self) -> Availability:
        """Find the channels and say whether they can be read; never raises, changes nothing on the device."""
        ...

    def read(self) -> tuple[Reading, ...]:
        """Read every channel once, a buffered one as far as it has news.

        Raises SensorError when the whole source fails; one failing channel is a Reading.
        """
        ...

    def close(self) -> None:
        """Release the source; safe to call twice."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A sampler whose source must not be asked too often (a plug, a management controller): an optional ability.

    `poll_period_s` is the least time between two reads, in seconds, known after `probe`; the recorder keeps it where
    its own rate is higher.
    """

    poll_period_s: float


@runtime_checkable
class Clocked(Protocol):
    """A sampler whose values are stamped by another machine's clock, which it places on the run's: optional too."""

    def remote_clock(self) -> RemoteClock | None:
        """Return how that clock stood so far, None before the first exchange; in any thread, also after `close`."""
        ...


@runtime_checkable
class Deferring(Protocol):
    """A sampler that can put off making readings of what it saw: an optional ability.

    The recorder then calls `look` at each deadline and `readings` for many looks at once, in a row, which costs a tenth
    of the processor time that it takes right after waking up. `read` gives the same as both.
    """

    def look(self) -> Any:  # any: whatever `readings` understands
        """Ask the source once and return what it said, as it came. Raises SensorError when the whole source fails."""
        ...

    def readings(self, look: Any) -> tuple[Reading, ...]:  # any: what `look` returned
        """Return the readings of a look; in any thread, also after `close`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What many looks brought, by channel: the values in J or W and the source's stamps, one of each a look.

    `stamps_ns` has only the channels that give stamps. `samples` are the readings of buffered channels, each with the
    number of the look that brought them.
    """

    values: dict[str, list[float]]
    stamps_ns: dict[str, list[int | None]]
    samples: list[tuple[int, list[Reading]]]


@runtime_checkable
class Batching(Deferring, Protocol):
    """A sampler that can decode many looks at once, for a fifth of the time that single readings take: optional too."""

    def block(self, looks: Sequence[Any]) -> Block | None:  # any: what `look` returned
        """Return what the looks brought, as `readings` would, or None unless every value of every one is good."""
        ...
