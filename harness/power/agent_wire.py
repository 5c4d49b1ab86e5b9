"""What `bench agent` and its client say to each other: the records of its answers, and where they are asked for."""

from dataclasses import dataclass

from wattbench.results.energy import ChannelRecord

__all__ = ["PORT", "PROTOCOL", "REPLY_ROWS", "AgentClock", "AgentFacts", "AgentPolls", "Row"]

PROTOCOL = 1
"""Raised when an answer changes its meaning; either side refuses another one."""

PORT = 8477
"""Where an agent listens unless told otherwise (not registered with IANA for anything else that we know of)."""

REPLY_ROWS = 2000
"""The most rows of one answer: about 200 kB."""

Row = tuple[int, int, int, float | None, int | None, str | None]
"""Channel (its place in the facts), instants before and after the read, value, instant it was taken, cause of failure.

All instants are ns of the agent's `time.perf_counter_ns`; a buffered channel's value has the fourth of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What an agent has: its channels as their samplers state them, how it polls, and the machine that it runs on.

    `boot` is drawn anew at each start. `depth_rows` is how many rows it keeps; `next` the number of the coming one.
    """

    protocol: int
    boot: str
    version: str
    rate_hz: float
    depth_rows: int
    next: int
    machine: dict[str, str]
    channels: tuple[ChannelRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentClock:
    """The agent's clock when it had read a question, and when it sent the answer, in ns."""

    boot: str
    received_ns: int
    sent_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPolls:
    """The rows after a number, oldest first, with the clock as in `AgentClock`.

    `next` is the number to ask for the rows after these, `lost` how many of those asked for are no longer kept, `more`
    whether there are more already.
    """

    boot: str
    received_ns: int
    sent_ns: int
    next: int
    lost: int
    more: bool
    rows: tuple[Row, ...]
