"""From executions in this process to what was served: a row for each call, and the generator's own health."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy
from numpy.typing import NDArray

from wattbench.backends.client_health import OwnCost, lateness_of
from wattbench.backends.contract import Completion
from wattbench.backends.traffic import NONE, Served
from wattbench.results.traffic import ClientHealth, ErrorKind

__all__ = ["Sent", "collected"]

ENGINE: Final = "engine"
GAVE_UP: Final = "gave_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call that was executed or given up: its row, its times in ns of the clock, its tokens."""

    row: int
    planned_ns: int
    start_ns: int
    token_ns: tuple[int, ...]
    end_ns: int
    input_tokens: int
    output_tokens: int
    error: str | None = None
    error_kind: ErrorKind | None = None

    @classmethod
    def of_execution(cls, rows: Sequence[int], planned_ns: Sequence[int], done: Completion) -> "tuple[Sent, ...]":
        """Return the calls of one execution: each has the times of its own part, or all those of the batch."""
        parts = done.parts or (done,) * len(rows)
        return tuple(_of_part(*call) for call in zip(rows, planned_ns, parts, strict=True))

    @classmethod
    def given_up(cls, row: int, planned_ns: int, end_ns: int, why: str) -> "Sent":
        """Return a call that never came to be executed."""
        return cls(
            row=row,
            planned_ns=planned_ns,
            start_ns=end_ns,
            token_ns=(),
            end_ns=end_ns,
            input_tokens=NONE,
            output_tokens=NONE,
            error=why,
            error_kind=GAVE_UP,
        )


def _of_part(row: int, planned_ns: int, part: Completion) -> Sent:
    first = () if part.first_output_ns is None else (part.first_output_ns,)
    return Sent(
        row=row,
        planned_ns=min(planned_ns, part.start_ns),
        start_ns=part.start_ns,
        token_ns=(*first, *part.step_end_ns),
        end_ns=part.end_ns,
        input_tokens=part.input_tokens // part.requests,
        output_tokens=part.output_tokens // part.requests,
        error=part.error,
        error_kind=None if part.error is None else ENGINE,
    )


def collected(sent: Sequence[Sent], late_ns: Sequence[int], cost: OwnCost, start_ns: int, end_ns: int) -> Served:
    """Return what was served in the order of the starts; nothing is known of caches or of a server's own times."""
    calls = sorted(sent, key=lambda call: (call.start_ns, call.row))
    none = numpy.full(len(calls), NONE, dtype=numpy.int64)
    unknown = numpy.full(len(calls), numpy.nan)
    stamps = tuple(numpy.array(call.token_ns, dtype=numpy.int64) for call in calls)
    return Served(
        call=_ints([call.row for call in calls]),
        planned_ns=_ints([call.planned_ns for call in calls]),
        start_ns=_ints([call.start_ns for call in calls]),
        first_output_ns=_ints([call.token_ns[0] if call.token_ns else NONE for call in calls]),
        first_answer_ns=none,
        end_ns=_ints([call.end_ns for call in calls]),
        token_ns=stamps,
        token_counts=tuple(numpy.ones(len(row), dtype=numpy.int64) for row in stamps),
        input_tokens=_ints([call.input_tokens for call in calls]),
        output_tokens=_ints([call.output_tokens for call in calls]),
        cached_tokens=none,
        own_output_tokens=none,
        error=tuple(call.error for call in calls),
        error_kind=tuple(call.error_kind for call in calls),
        fresh=numpy.zeros(len(calls), dtype=numpy.bool_),
        server_queue_s=unknown,
        server_prompt_s=unknown,
        server_output_s=unknown,
        server_total_s=unknown,
        window_start_ns=start_ns,
        window_end_ns=max([start_ns + 1, end_ns] + [call.end_ns for call in calls]),
        health=_health(calls, numpy.array(late_ns, dtype=numpy.float64) / 1e9, cost, (end_ns - start_ns) / 1e9),
    )


def _health(calls: Sequence[Sent], late_s: NDArray[numpy.float64], cost: OwnCost, observed_s: float) -> ClientHealth:
    """Return how late calls went out although the backend was free; there are no connections, and no kernel between."""
    late = lateness_of(late_s)
    return ClientHealth(
        stamps="user",
        workers=1,
        observed_s=max(0.0, observed_s),
        cpu_s=cost.cpu_s,
        send_late_p50_s=late.p50_s,
        send_late_p99_s=late.p99_s,
        send_late_max_s=late.max_s,
        drift_s=late.drift_s,
        run_queue_wait_s=cost.run_queue_wait_s,
        involuntary_switches=cost.involuntary_switches,
        kernel_lag_p50_s=None,
        kernel_lag_p99_s=None,
        connections_opened=0,
        in_flight_peak=_peak(calls),
    )


def _peak(calls: Sequence[Sent]) -> int:
    """Return how many calls were in progress at once, at most; one that ends makes room for one that starts then."""
    done = [call for call in calls if call.error_kind != GAVE_UP]
    starts, ends = numpy.sort(_ints([c.start_ns for c in done])), numpy.sort(_ints([c.end_ns for c in done]))
    begun = numpy.searchsorted(starts, starts, side="right")
    return int(numpy.max(begun - numpy.searchsorted(ends, starts, side="right"), initial=0))


def _ints(values: Sequence[int]) -> NDArray[numpy.int64]:
    return numpy.array(values, dtype=numpy.int64)
