"""What a run of traffic adds to a summary: rates, failures, caches, counts, and the server's own times."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from wattbench.results.calls import TrafficRecord
from wattbench.results.censoring import kaplan_meier
from wattbench.results.figures import figure
from wattbench.results.latency import QUANTILES
from wattbench.results.measurement import Completions, Repeat
from wattbench.results.metrics import Metric, Quantile, QuantileMetric
from wattbench.results.rates import NO_REPEAT, NONE_SUCCEEDED, succeeded
from wattbench.results.sessions import cut_spans_s, session_spans_s
from wattbench.results.stats import quantile

__all__ = ["achieved_rate", "planned_rate", "traffic_latencies", "traffic_metrics"]

CLOSED = "in a closed loop requests go out when others end, so no rate was asked for"
UNSAID = "the server does not say"
UNCOUNTED = "nothing counted beside the server (--tokenizer)"
NO_SESSION = "no session was whole"
PER_CALL = (
    "failed requests are left out; nearest-rank quantiles; no bound, since requests that overlap in time are not "
    "independent"
)

Rows = Callable[[Completions, TrafficRecord], list[float | None]]
"""A value in seconds for each row of one window, None where there is none."""


def traffic_metrics(repeats: Sequence[Repeat]) -> tuple[Metric, ...]:
    """Return traffic.*, one sample a repeat; nothing for a run that served no traffic."""
    both = _both(repeats)
    if not both:
        return ()
    rate = "{request}/s"
    return (
        _metric(
            "planned_rate",
            rate,
            [planned_rate(done) if record.open_loop else None for done, record in both],
            "(calls - 1) / time from the first planned start to the last",
            CLOSED,
        ),
        _metric(
            "achieved_rate",
            rate,
            [achieved_rate(done) for done, _ in both],
            "(successful requests - 1) / time from the first end to the last",
            NONE_SUCCEEDED,
        ),
        _metric(
            "failed_share",
            "1",
            [1 - len(succeeded(done)) / len(done) if len(done) else None for done, _ in both],
            "failed requests / requests sent",
            NO_REPEAT,
        ),
        _metric(
            "cached_share",
            "1",
            [_cached_share(done, record) for done, record in both],
            "cached / all input tokens of the successful requests of which the server says it",
            UNSAID,
        ),
        _metric(
            "usage_ratio",
            "1",
            [_usage_ratio(done, record) for done, record in both],
            "output tokens as the server counts them / by our own tokenizer",
            UNCOUNTED,
        ),
        _metric(
            "send_late_p99",
            "s",
            [record.health.send_late_p99_s for _, record in both],
            "99th percentile of how long after its planned start a call went out although a place was free",
            "no call was sent",
        ),
    )


def traffic_latencies(repeats: Sequence[Repeat]) -> tuple[QuantileMetric, ...]:
    """Return the distributions that traffic adds to latency.*, in seconds; nothing for a run without traffic."""
    both = _both(repeats)
    if not both:
        return ()
    found = [_distribution(name, formula, both, rows, reason) for name, (formula, rows, reason) in ROWS.items()]
    if any(len(succeeded(done)) < len(done) for done, _ in both):
        found += [_with_failures(name, both, rows) for name, rows in (("request", _latency), ("ttft", _first))]
    if any(record.query_size > 1 for _, record in both):
        formula = "latest end of its calls - planned start, of queries whose calls all succeeded"
        queries = [span for done, record in both for span in _query_spans_s(done, record)]
        found.append(_quantile_metric("query", formula, queries, NONE_SUCCEEDED))
    if any(session is not None for _, record in both for session in record.calls.session):
        found.append(_session_metric(repeats))
    return tuple(found)


def planned_rate(done: Completions) -> float | None:
    """Return the rate at which calls were planned, in requests per second; None for fewer than two."""
    return _rate(done.planned_start_ns)


def achieved_rate(done: Completions) -> float | None:
    """Return the rate at which successful requests ended, in requests per second; None for fewer than two."""
    return _rate([done.end_ns[i] for i in succeeded(done)])


def _query_spans_s(done: Completions, record: TrafficRecord) -> list[float]:
    """Return how long each whole query of several calls took: as long as its slowest call."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, call in enumerate(record.calls.call):
        rows[call // record.query_size].append(row)
    whole = [found for found in rows.values() if all(done.error[row] is None for row in found)]
    return [
        (max(done.end_ns[row] for row in found) - min(done.planned_start_ns[row] for row in found)) / 1e9
        for found in whole
        if len(found) == record.query_size
    ]


def _rate(at_ns: Sequence[int]) -> float | None:
    span_ns = max(at_ns) - min(at_ns) if at_ns else 0
    return (len(at_ns) - 1) / (span_ns / 1e9) if span_ns > 0 else None


def _both(repeats: Sequence[Repeat]) -> list[tuple[Completions, TrafficRecord]]:
    return [(repeat.completions, repeat.traffic) for repeat in repeats if repeat.traffic is not None]


def _metric(name: str, unit: str, samples: Sequence[float | None], method: str, reason: str) -> Metric:
    return figure(f"traffic.{name}", unit, samples, method, reason=reason)


def _cached_share(done: Completions, record: TrafficRecord) -> float | None:
    rows = [i for i in succeeded(done) if record.calls.cached_tokens[i] is not None]
    tokens = sum(done.input_tokens[i] for i in rows)
    return sum(record.calls.cached_tokens[i] or 0 for i in rows) / tokens if tokens else None


def _usage_ratio(done: Completions, record: TrafficRecord) -> float | None:
    rows = [i for i in succeeded(done) if record.calls.own_output_tokens[i] is not None]
    own = sum(record.calls.own_output_tokens[i] or 0 for i in rows)
    return sum(done.output_tokens[i] for i in rows) / own if own else None


def _latency(done: Completions, _record: TrafficRecord) -> list[float | None]:
    return [(end - planned) / 1e9 for planned, end in zip(done.planned_start_ns, done.end_ns, strict=True)]


def _first(done: Completions, _record: TrafficRecord) -> list[float | None]:
    return _since(done.planned_start_ns, done.first_output_ns)


def _since(start_ns: Sequence[int], at_ns: Sequence[int | None]) -> list[float | None]:
    return [None if at is None else (at - start) / 1e9 for start, at in zip(start_ns, at_ns, strict=True)]


ROWS: Mapping[str, tuple[str, Rows, str]] = MappingProxyType(
    {
        "request_from_send": ("end - send", lambda done, _: _since(done.start_ns, done.end_ns), NONE_SUCCEEDED),
        "ttft_from_send": (
            "first token - send",
            lambda done, _: _since(done.start_ns, done.first_output_ns),
            "no answer was streamed",
        ),
        "ttft_answer": (
            "first token that is no reasoning - planned start",
            lambda done, record: _since(done.planned_start_ns, record.calls.first_answer_ns),
            "no answer was streamed",
        ),
        "server_queue": ("as the server says", lambda _, record: list(record.calls.server_queue_s), UNSAID),
        "server_prompt": ("as the server says", lambda _, record: list(record.calls.server_prompt_s), UNSAID),
        "server_output": ("as the server says", lambda _, record: list(record.calls.server_output_s), UNSAID),
        "server_total": ("as the server says", lambda _, record: list(record.calls.server_total_s), UNSAID),
    }
)
"""By name, the formula, the values, and why there may be none."""


def _distribution(
    name: str, formula: str, both: Sequence[tuple[Completions, TrafficRecord]], rows: Rows, reason: str
) -> QuantileMetric:
    columns = [(rows(done, record), succeeded(done)) for done, record in both]
    values = [value for column, good in columns for i in good for value in (column[i],) if value is not None]
    return _quantile_metric(name, f"{formula}; {PER_CALL}", values, reason)


def _quantile_metric(name: str, formula: str, values: Sequence[float], reason: str) -> QuantileMetric:
    return QuantileMetric(
        name=f"latency.{name}",
        unit="s",
        count=len(values),
        mean=math.fsum(values) / len(values) if values else None,
        quantiles=tuple(Quantile(q=q, value=quantile(values, q), bound=None) for q in QUANTILES) if values else (),
        method=formula,
        reason=None if values else reason,
    )


def _session_metric(repeats: Sequence[Repeat]) -> QuantileMetric:
    """Return how long sessions take; those that a window's end cut count as longer than what was seen of them."""
    whole = [span for repeat in repeats for span in session_spans_s(repeat)]
    cut = [span for repeat in repeats for span in cut_spans_s(repeat)]
    formula = "end of its last call - planned start of its first, of sessions whose calls all succeeded"
    if not cut or not whole:
        return _quantile_metric("session", formula, whole, NO_SESSION)
    found = kaplan_meier(whole, cut)
    known = [(q, found.quantile(q)) for q in QUANTILES]
    return QuantileMetric(
        name="latency.session",
        unit="s",
        count=len(whole),
        mean=found.mean(),
        quantiles=tuple(Quantile(q=q, value=value, bound=None) for q, value in known if value is not None),
        method=f"{formula}; {len(cut)} that the window's end cut count as longer than what was seen of them "
        "(Kaplan-Meier): a quantile beyond the longest whole session is not listed, and the mean counts each up to the "
        "longest time seen",
    )


def _with_failures(name: str, both: Sequence[tuple[Completions, TrafficRecord]], rows: Rows) -> QuantileMetric:
    """Return a distribution in which a request that failed took for ever; quantiles that fall on one are left out."""
    values = [
        math.inf if done.error[i] is not None or value is None else value
        for done, record in both
        for i, value in enumerate(rows(done, record))
    ]
    known = [(q, quantile(values, q)) for q in QUANTILES]
    finite = [value for value in values if math.isfinite(value)]
    return QuantileMetric(
        name=f"latency.{name}_with_failures",
        unit="s",
        count=len(values),
        mean=math.fsum(finite) / len(finite) if finite else None,
        quantiles=tuple(Quantile(q=q, value=value, bound=None) for q, value in known if math.isfinite(value)),
        method="as without the suffix, but failed requests took for ever: a quantile that falls on one is not listed, "
        "and the mean is that of the others; nearest-rank quantiles",
        reason=None if finite else NONE_SUCCEEDED,
    )
