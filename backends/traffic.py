"""The contract for many requests at once: a schedule that was drawn before, and what came of each of its calls."""

import hashlib
from dataclasses import dataclass, fields
from typing import Protocol, TypedDict, runtime_checkable

import numpy
from numpy.typing import NDArray

from wattbench.results.checks import require
from wattbench.results.traffic import ClientHealth, ErrorKind

__all__ = ["NONE", "Columns", "Schedule", "Served", "TrafficServer", "lone_calls"]

NONE = -1
"""What an integer column holds where there is nothing: no predecessor, no session, no stamp, not known."""

Integers = NDArray[numpy.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """Every call of one window, by column, drawn from a seed before the window starts; row i is call i.

    A call is due at `due_ns` (from the window's start), and not before the call `after` has ended and `pause_ns` more
    have passed (a tool at work). `input_tokens` are all tokens in, of which the first `prefix_tokens` are those of
    `prefix_group` (a shared system prompt) or, in a `session`, the history that its earlier calls made. Calls are in
    the order of `due_ns`. At most `in_flight_max` are in progress at once (None: as many as there are).

    In an open loop a call's planned start is when it was due, however busy the server is; in a closed loop it is when
    the place that it takes came free. After `issue_until_ns` nothing is sent any more; what is in progress goes on to
    its end, at most until `give_up_ns`. Both count from the window's start; None: no such limit.

    In a closed loop `query_size` calls in a row are one query (multi-stream): rows k * query_size and on are sent
    together, as soon as so many places are free. The query took from their planned start, which is one, to the latest
    of their ends: its latency is that of its slowest call.
    """

    due_ns: Integers
    after: Integers
    pause_ns: Integers
    input_tokens: Integers
    output_tokens: Integers
    session: Integers
    prefix_group: Integers
    prefix_tokens: Integers
    open_loop: bool
    in_flight_max: int | None
    issue_until_ns: int | None
    give_up_ns: int | None
    query_size: int = 1

    def __post_init__(self) -> None:
        n = len(self.due_ns)
        require(all(len(column) == n for column in self.columns.values()), "the columns of a schedule differ in length")
        require(bool(numpy.all(numpy.diff(self.due_ns) >= 0)), "the calls of a schedule are not in the order of due_ns")
        require(bool(numpy.all(self.after < numpy.arange(n))), "a call follows one that is not before it")
        require(bool(numpy.all(self.prefix_tokens <= self.input_tokens)), "a prefix is longer than its prompt")
        require(self.in_flight_max is None or self.in_flight_max >= 1, "in_flight_max must be at least 1")
        require(self.query_size >= 1 and n % self.query_size == 0, "the calls of a schedule are no whole queries")
        if self.query_size > 1:
            places = self.in_flight_max or 0
            require(not self.open_loop and places >= self.query_size, "a query needs a closed loop with its places")
            require(bool(numpy.all(self.after == NONE)), "the calls of queries follow no calls")

    def __len__(self) -> int:
        return len(self.due_ns)

    @property
    def columns(self) -> dict[str, Integers]:
        """Return the columns by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, numpy.ndarray)}

    @property
    def digest(self) -> str:
        """Return "sha256:..." of everything in it: two schedules of one digest ask for the same."""
        rest = (self.open_loop, self.in_flight_max, self.issue_until_ns, self.give_up_ns, self.query_size)
        digest = hashlib.sha256(repr(rest).encode())
        for name, column in self.columns.items():
            digest.update(name.encode() + column.astype("<i8").tobytes())
        return f"sha256:{digest.hexdigest()}"


class Columns(TypedDict):
    """The columns of a schedule by name."""

    due_ns: Integers
    after: Integers
    pause_ns: Integers
    input_tokens: Integers
    output_tokens: Integers
    session: Integers
    prefix_group: Integers
    prefix_tokens: Integers


def lone_calls(due_ns: Integers, input_tokens: Integers, output_tokens: Integers) -> Columns:
    """Return the columns of calls that follow no others and share no prefix."""
    none, zero = numpy.full_like(due_ns, NONE), numpy.zeros_like(due_ns)
    return {
        "due_ns": due_ns,
        "after": none,
        "pause_ns": zero,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "session": none,
        "prefix_group": none,
        "prefix_tokens": zero,
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """What came of the calls that were sent, by column; row i is the i-th call sent, `call` its row in the schedule.

    Times are ns of `time.perf_counter_ns`; `start_ns` is when its first byte went out. `token_ns` has one stamp for
    each piece of output that brought tokens, `token_counts` how many it brought (sum: `output_tokens`; all NONE where
    the server does not say and nothing counted). `error` is None on success, else what went wrong in words, and
    `error_kind` one of results.traffic.ERROR_KINDS. `first_answer_ns` is the first token that is no reasoning.
    `*_s` are what the server itself says of a call, in seconds, NaN where it does not. `fresh` calls opened a
    connection.
    """

    call: Integers
    planned_ns: Integers
    start_ns: Integers
    first_output_ns: Integers
    first_answer_ns: Integers
    end_ns: Integers
    token_ns: tuple[Integers, ...]
    token_counts: tuple[Integers, ...]
    input_tokens: Integers
    output_tokens: Integers
    cached_tokens: Integers
    own_output_tokens: Integers
    error: tuple[str | None, ...]
    error_kind: tuple[ErrorKind | None, ...]
    fresh: NDArray[numpy.bool_]
    server_queue_s: NDArray[numpy.float64]
    server_prompt_s: NDArray[numpy.float64]
    server_output_s: NDArray[numpy.float64]
    server_total_s: NDArray[numpy.float64]
    window_start_ns: int
    window_end_ns: int
    health: ClientHealth

    def __post_init__(self) -> None:
        values = [getattr(self, field.name) for field in fields(self)]
        lengths = {len(value) for value in values if isinstance(value, (tuple, numpy.ndarray))}
        require(len(lengths) <= 1, f"the columns of what was served differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.call)


@runtime_checkable
class CrewServer(Protocol):
    """A server of traffic whose calls several processes can send."""

    def use_workers(self, count: int) -> None:
        """Send the calls of later schedules from so many processes, fewer where they cannot be shared out so far."""
        ...


@runtime_checkable
class TrafficServer(Protocol):
    """A backend that itself keeps many requests in progress, each with its own times (an endpoint, most of all)."""

    def serve(self, schedule: Schedule) -> Served:
        """Send every call of a schedule when it is due, and return when the last has ended or was given up.

        A failure is a row, never retried, and ends nothing else. Raises DeviceError when nothing can be reached at all.
        """
        ...
