"""From what loops saw to what was served: clocks aligned, columns filled, the client's own health stated."""

from collections.abc import Callable, Iterable, Sequence

import numpy
from numpy.typing import NDArray

from wattbench.backends.client_health import lateness_of, quantile_of
from wattbench.backends.endpoint.answer import Answer
from wattbench.backends.endpoint.loop_records import Call, Log
from wattbench.backends.traffic import NONE, Served
from wattbench.results.traffic import ClientHealth

__all__ = ["collect"]

Integers = NDArray[numpy.int64]


def collect(
    logs: Sequence[Log],
    *,
    scrub: Callable[[str], str],
    count: Callable[[str], int] | None = None,
) -> Served:
    """Return what one or several processes served, in the order of the starts; `count` counts a text's tokens."""
    clocks = [_kernel_offset(log) for log in logs]
    both = [(call, offset) for log, offset in zip(logs, clocks, strict=True) for call in log.calls]
    both.sort(key=lambda pair: pair[0].start_ns)
    calls = [call for call, _ in both]
    stamps = [_token_ns(call, offset) for call, offset in both]
    ends = [_end_ns(call, offset, times) for (call, offset), times in zip(both, stamps, strict=True)]
    answers = [call.answer or Answer() for call in calls]
    counts = _Counts()
    return Served(
        call=_ints(call.index for call in calls),
        planned_ns=_ints(min(call.planned_ns, call.start_ns) for call in calls),
        start_ns=_ints(call.start_ns for call in calls),
        first_output_ns=_ints(int(times[0]) if len(times) else NONE for times in stamps),
        first_answer_ns=_ints(
            int(times[call.answer_at]) if 0 <= call.answer_at < len(times) else NONE
            for call, times in zip(calls, stamps, strict=True)
        ),
        end_ns=_ints(ends),
        token_ns=tuple(stamps),
        token_counts=tuple(counts.of(answer, len(times)) for answer, times in zip(answers, stamps, strict=True)),
        input_tokens=_known(answer.input_tokens for answer in answers),
        output_tokens=_known(answer.output_tokens for answer in answers),
        cached_tokens=_known(answer.cached_tokens for answer in answers),
        own_output_tokens=_ints(NONE if count is None else count("".join(answer.text)) for answer in answers),
        error=tuple(None if answer.error is None else scrub(answer.error) for answer in answers),
        error_kind=tuple(answer.error_kind for answer in answers),
        fresh=numpy.array([call.fresh for call in calls], dtype=numpy.bool_),
        server_queue_s=_floats(answer.queue_s for answer in answers),
        server_prompt_s=_floats(answer.prompt_s for answer in answers),
        server_output_s=_floats(answer.output_s for answer in answers),
        server_total_s=_floats(answer.total_s for answer in answers),
        window_start_ns=min(log.start_ns for log in logs),
        window_end_ns=max([log.start_ns + 1 for log in logs] + ends),
        health=_health(logs, clocks, calls),
    )


def _kernel_offset(log: Log) -> int | None:
    """Return what turns the kernel's stamps of a log to the monotonic clock; None where they cannot be used."""
    if not log.lags or not log.before.agrees(log.after):
        return None
    better = min(log.before, log.after, key=lambda alignment: alignment.bound_ns)
    return better.offset_ns


def _token_ns(call: Call, offset: int | None) -> Integers:
    """Return a call's token stamps; the kernel's, but never before the call went out or after it was read."""
    user = numpy.frombuffer(call.user_ns, dtype=numpy.int64) if call.user_ns else numpy.zeros(0, dtype=numpy.int64)
    if offset is None or not len(user) or min(call.kernel_ns) == 0:
        return user
    return numpy.maximum(
        numpy.minimum(numpy.frombuffer(call.kernel_ns, dtype=numpy.int64) + offset, user), call.start_ns
    )


def _end_ns(call: Call, offset: int | None, times: Integers) -> int:
    last = int(times[-1]) if len(times) else call.start_ns
    if offset is None or not call.end_kernel_ns:
        return max(call.end_ns, last)
    return max(min(call.end_kernel_ns + offset, call.end_ns), last)


class _Counts:
    """The tokens of each piece of answers; answers that are alike, which most are, share one array."""

    def __init__(self) -> None:
        self._shared: dict[tuple[int, ...], Integers] = {}

    def of(self, answer: Answer, pieces: int) -> Integers:
        """Return how many tokens each piece brought, in an array that is not to be written to; NONE where not known."""
        known = answer.counts is not None and len(answer.counts) == pieces
        counts = answer.counts if known and answer.counts is not None else (NONE,) * pieces
        shared = self._shared.get(counts)
        if shared is None:
            shared = self._shared[counts] = _ints(counts)
            shared.flags.writeable = False
        return shared


def _health(logs: Sequence[Log], clocks: Sequence[int | None], calls: Sequence[Call]) -> ClientHealth:
    late = lateness_of(numpy.array([call.start_ns - call.free_ns for call in calls], dtype=numpy.float64) / 1e9)
    lags = _lags_s(logs, clocks)
    observed = max(log.end_ns for log in logs) - min(log.start_ns for log in logs)
    costs = [log.cost for log in logs]
    waits = [cost.run_queue_wait_s for cost in costs]
    switches = [cost.involuntary_switches for cost in costs]
    return ClientHealth(
        stamps="user" if None in clocks else "kernel",
        workers=len(logs),
        observed_s=max(0, observed) / 1e9,
        cpu_s=sum(cost.cpu_s for cost in costs),
        send_late_p50_s=late.p50_s,
        send_late_p99_s=late.p99_s,
        send_late_max_s=late.max_s,
        drift_s=late.drift_s,
        run_queue_wait_s=None if None in waits else sum(wait for wait in waits if wait is not None),
        involuntary_switches=None if None in switches else sum(s for s in switches if s is not None),
        kernel_lag_p50_s=quantile_of(lags, 0.5),
        kernel_lag_p99_s=quantile_of(lags, 0.99),
        connections_opened=sum(log.opened for log in logs),
        in_flight_peak=sum(log.peak for log in logs),
    )


def _lags_s(logs: Sequence[Log], clocks: Sequence[int | None]) -> NDArray[numpy.float64]:
    """Return how long each read's last byte had lain in the kernel, of the logs whose clocks could be aligned."""
    found = [numpy.zeros(0)]
    for log, offset in zip(logs, clocks, strict=True):
        if offset is not None:
            found.append((numpy.frombuffer(log.lags, dtype=numpy.int64) - offset) / 1e9)
    return numpy.concatenate(found)


def _ints(values: Iterable[int]) -> Integers:
    return numpy.array(list(values), dtype=numpy.int64)


def _known(values: Iterable[int | None]) -> Integers:
    return _ints(NONE if value is None else value for value in values)


def _floats(values: Iterable[float | None]) -> NDArray[numpy.float64]:
    return numpy.array([numpy.nan if v is None else v for v in values], dtype=numpy.float64)
