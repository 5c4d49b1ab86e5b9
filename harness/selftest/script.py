"""What the stub server does: how long tokens take, when it stalls, and which calls go wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wattbench.results.checks import require

__all__ = ["Fault", "StubScript", "Truth"]

Fault = Literal[
    "http_500",
    "http_429",
    "http_401",
    "reset",  # a connection that breaks in the middle of the stream
    "half_closed",  # a stream that ends in good order before its end
    "in_stream",  # an error object inside a 200 stream
    "malformed",  # an event that is not JSON
    "not_http",
    "slow_head",  # nothing at all
    "dropped",  # a connection closed without an answer
    "endless",  # tokens without end
    "no_usage",
    "no_done",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StubScript:
    """A script; times in seconds. `stalls` are (start, length): start counts from the first request.

    A call's first token is due `ttft_s` after its request was read, each later one `gap_s` after the one before;
    `per_write` tokens go out in one write. What falls due in a stall goes out at its end. `faults` are by the number at
    the end of a call's X-Request-Id.
    """

    ttft_s: float = 0.0
    gap_s: float = 0.0
    per_write: int = 1
    stalls: tuple[tuple[float, float], ...] = ()
    faults: Mapping[int, Fault] = field(default_factory=dict)
    model: str = "stub"

    def __post_init__(self) -> None:
        require(self.ttft_s >= 0 and self.gap_s >= 0, "a token cannot come before its request")
        require(self.per_write >= 1, "a write has at least one token")
        require(all(start >= 0 and length > 0 for start, length in self.stalls), "a stall has a start and a length")


@dataclass(slots=True)
class Truth:
    """What happened to one request: its number, when it was read, and when each write of tokens began (ns)."""

    number: int
    read_ns: int
    prompt_tokens: int
    tokens: int
    write_ns: list[int] = field(default_factory=list)
    end_ns: int = 0
