"""Throughput from raw completions: one rate per repeat, over its window or over the time of one phase."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.results.figures import figure
from wattbench.results.measurement import Completions, Repeat
from wattbench.results.metrics import Metric
from wattbench.results.sessions import sessions_worth
from wattbench.results.subject import LoadRecord

__all__ = [
    "NONE_SUCCEEDED",
    "NO_REPEAT",
    "Work",
    "overlap_reason",
    "phase_reason",
    "succeeded",
    "throughput_metrics",
    "work_of",
]

NO_REPEAT = "no repeat was measured"
NONE_SUCCEEDED = "no request succeeded"
NO_OUTPUT = "the load has no tokens out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the successful executions of one repeat did, how many requests failed, and the window's length.

    `sessions` is how many whole chains of calls the successful calls are worth.
    """

    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    duration_s: float
    sessions: float = 0.0


def work_of(repeat: Repeat) -> Work:
    """Return the work of a repeat; failed requests count as failed and nowhere else."""
    done = repeat.completions
    rows = succeeded(done)
    return Work(
        requests=sum(done.requests[i] for i in rows),
        failed=sum(count for count, error in zip(done.requests, done.error, strict=True) if error is not None),
        input_tokens=sum(done.input_tokens[i] for i in rows),
        output_tokens=sum(done.output_tokens[i] for i in rows),
        duration_s=repeat.window.duration_s,
        sessions=sessions_worth(repeat),
    )


def succeeded(done: Completions) -> tuple[int, ...]:
    """Return the rows of the executions that succeeded."""
    return tuple(i for i, error in enumerate(done.error) if error is None)


def phase_reason(load: LoadRecord, *, decode: bool) -> str | None:
    """Return why the prefill (or decode) phase of a load cannot be told from its completions, or None if it can."""
    if load.output_tokens == 0:
        return NO_OUTPUT
    if load.turns > 1:
        return "all turns of a request run in one execution, so its phases cannot be told apart"
    if decode and load.output_tokens == 1:
        return "each request has one token out, so there is no decode phase"
    return None


def overlap_reason(repeats: Sequence[Repeat]) -> str | None:
    """Return why requests that overlapped have no phases, or None if none did."""
    if any(repeat.completions.overlap for repeat in repeats):
        return "requests overlapped in time, so one's prefill ran beside another's decode"
    return None


def throughput_metrics(load: LoadRecord, repeats: Sequence[Repeat]) -> tuple[Metric, ...]:
    """Return throughput.*: per window for requests and tokens, per phase time for prefill and decode tokens."""
    works = [work_of(repeat) for repeat in repeats]
    output = works if load.output_tokens else []
    return (
        _window_rate("requests", works, [w.requests for w in works]),
        _window_rate("input_tokens", works, [w.input_tokens for w in works]),
        _window_rate("output_tokens", output, [w.output_tokens for w in output], NO_OUTPUT if works else NO_REPEAT),
        _window_rate("total_tokens", works, [w.input_tokens + w.output_tokens for w in works]),
        _phase_rate(load, repeats, decode=False),
        _phase_rate(load, repeats, decode=True),
    )


def _window_rate(name: str, works: Sequence[Work], counts: Sequence[int], reason: str = NO_REPEAT) -> Metric:
    unit = "{request}/s" if name == "requests" else "{token}/s"
    rates = [count / work.duration_s for count, work in zip(counts, works, strict=True)]
    method = f"{name.replace('_', ' ')} of successful requests / window duration"
    return figure(f"throughput.{name}", unit, rates, method, reason=reason)


def _phase_rate(load: LoadRecord, repeats: Sequence[Repeat], *, decode: bool) -> Metric:
    name = "throughput.decode_tokens" if decode else "throughput.prefill_tokens"
    method = (
        "tokens after each request's first / time from first token to end, ratio of sums over the executions"
        if decode
        else "input tokens / time from start to first token, ratio of sums over the executions"
    )
    reason = phase_reason(load, decode=decode) or overlap_reason(repeats)
    rates = [_phase_tokens_per_s(repeat.completions, decode=decode) for repeat in repeats] if reason is None else []
    return figure(name, "{token}/s", rates, method, reason=reason or (NONE_SUCCEEDED if repeats else NO_REPEAT))


def _phase_tokens_per_s(done: Completions, *, decode: bool) -> float | None:
    tokens = duration_ns = 0
    for i in succeeded(done):
        first_ns = done.first_output_ns[i]
        if first_ns is None:
            continue
        tokens += done.output_tokens[i] - done.requests[i] if decode else done.input_tokens[i]
        duration_ns += done.end_ns[i] - first_ns if decode else first_ns - done.start_ns[i]
    return tokens / (duration_ns / 1e9) if duration_ns > 0 else None
