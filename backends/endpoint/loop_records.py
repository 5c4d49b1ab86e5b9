"""The records of the client's loop: the server as it needs it, the calls that it sent, everything that it saw."""

import ssl
from array import array
from dataclasses import dataclass, field

from wattbench.backends.client_health import OwnCost
from wattbench.backends.endpoint.answer import Answer
from wattbench.backends.endpoint.connection import Address
from wattbench.backends.endpoint.reply import Reply
from wattbench.backends.endpoint.stamps import Alignment
from wattbench.backends.traffic import NONE

__all__ = ["Call", "Log", "Peer"]

NO_STAMPS = array("q")


@dataclass(frozen=True, slots=True)
class Peer:
    """The server as the loop needs it: its resolved address, TLS, and what one call may take."""

    address: Address
    host: str
    context: ssl.SSLContext | None
    stream: bool
    timeout_ns: int
    keep_text: bool = False
    reuses: bool = True


@dataclass(slots=True)
class Call:
    """One call that was sent; times are `perf_counter_ns`, `answer` is read when the answer is whole."""

    index: int
    planned_ns: int
    free_ns: int
    start_ns: int = 0
    end_ns: int = 0
    fresh: bool = False
    reply: Reply | None = field(default_factory=Reply)
    answer: Answer | None = None
    kernel_ns: "array[int]" = field(default_factory=lambda: NO_STAMPS)
    user_ns: "array[int]" = field(default_factory=lambda: NO_STAMPS)
    answer_at: int = NONE
    end_kernel_ns: int = 0


@dataclass(slots=True)
class Log:
    """Everything that a loop saw; `lags` has a number a read: our own stamp less the kernel's, not aligned.

    `cost` is what the process itself took.
    """

    calls: list[Call]
    start_ns: int
    end_ns: int
    before: Alignment
    after: Alignment
    opened: int
    peak: int
    lags: "array[int]"
    cost: OwnCost
