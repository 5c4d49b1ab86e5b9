"""Latency distributions from raw completions: per request, from its planned start."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from wattbench.results.measurement import Completions, Repeat, ToolTimes
from wattbench.results.metrics import Quantile, QuantileMetric
from wattbench.results.rates import NO_REPEAT, NONE_SUCCEEDED, phase_reason, succeeded
from wattbench.results.stats import early_stopping_bound, quantile
from wattbench.results.subject import LoadRecord

__all__ = ["QUANTILES", "latency_metrics", "weighted_latencies"]

QUANTILES = (0.5, 0.9, 0.99)

SHARED = "each request of a batch has its batch's times, failed requests are left out; nearest-rank quantiles"
BOUND = "bound: MLPerf early stopping over executions, since the requests of a batch are not independent"
NOT_STREAMED = "the answers came whole, without stamps of their tokens"
OVERLAP = "no bound, since requests that overlap in time are not independent"
TOLD = "mean of the times that {tool} states of its own executions; it keeps no single ones, so there are no quantiles"
NO_BOUND = "no bound, since the gaps of one execution are not independent"

Values = Callable[[Completions, int], list[float]]
"""The latencies in seconds that each request of one execution (a row) had."""


def latency_metrics(load: LoadRecord, repeats: Sequence[Repeat]) -> tuple[QuantileMetric, ...]:
    """Return latency.request, .ttft, .tpot and .itl in seconds over all repeats; null with a reason where none exist.

    tpot is (latency - ttft) / (tokens - 1) per request, as MLPerf Inference defines it; itl are the single gaps.
    """
    decode = phase_reason(load, decode=True)
    first = phase_reason(load, decode=False) if load.output_tokens == 0 else None
    told = [repeat.tool for repeat in repeats if repeat.tool is not None]
    return (
        _told(told, repeats) if told else _distribution("request", "end - planned start", repeats, _request_s, None),
        _distribution("ttft", "first token - planned start", repeats, _first_token_s, first),
        _distribution("tpot", "(end - first token) / (tokens - 1)", repeats, _per_token_s, decode),
        _distribution("itl", "time between two tokens", repeats, _gaps_s, decode),
    )


def weighted_latencies(name: str, repeats: Sequence[Repeat]) -> tuple[tuple[float, int], ...]:
    """Return the values behind one of the distributions, in seconds, each with how many requests had it."""
    return tuple(_pairs(repeats, VALUES[name]))


def _told(times: Sequence[ToolTimes], repeats: Sequence[Repeat]) -> QuantileMetric:
    """Return latency.request of what tools did by themselves: the mean over their executions."""
    executions = sum(each.executions for each in times)
    return QuantileMetric(
        name="latency.request",
        unit="s",
        count=sum(sum(repeat.completions.requests) for repeat in repeats if repeat.tool is not None),
        mean=math.fsum(each.mean_s * each.executions for each in times) / executions,
        quantiles=(),
        method=f"{TOLD.format(tool=times[0].tool)}; each request of a batch has its batch's times",
    )


def _pairs(repeats: Sequence[Repeat], values: Values) -> list[tuple[float, int]]:
    whole = [repeat.completions for repeat in repeats if repeat.tool is None]
    rows = [(done, i) for done in whole for i in succeeded(done)]
    return [(value, done.requests[i]) for done, i in rows for value in values(done, i)]


def _distribution(
    name: str, formula: str, repeats: Sequence[Repeat], values: Values, reason: str | None
) -> QuantileMetric:
    pairs = _pairs(repeats, values) if reason is None else []
    apart = not any(repeat.completions.overlap for repeat in repeats)
    bounded = name != "itl" and apart
    samples, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
    count = sum(weights)
    return QuantileMetric(
        name=f"latency.{name}",
        unit="s",
        count=count,
        mean=math.fsum(value * weight for value, weight in pairs) / count if count else None,
        quantiles=tuple(_quantile(samples, weights, q, bounded=bounded) for q in QUANTILES) if count else (),
        method=f"{formula}; {SHARED}; {BOUND if bounded else NO_BOUND if apart else OVERLAP}",
        reason=None if count else reason or _missing(repeats),
    )


def _missing(repeats: Sequence[Repeat]) -> str:
    """Return why there is no value of a distribution that the load has."""
    if any(succeeded(repeat.completions) for repeat in repeats if repeat.traffic is not None):
        return NOT_STREAMED
    return NONE_SUCCEEDED if repeats else NO_REPEAT


def _quantile(samples: Sequence[float], weights: Sequence[int], q: float, *, bounded: bool) -> Quantile:
    bound = early_stopping_bound(samples, q) if bounded else None
    return Quantile(q=q, value=quantile(samples, q, weights), bound=bound)


def _request_s(done: Completions, i: int) -> list[float]:
    return [(done.end_ns[i] - done.planned_start_ns[i]) / 1e9]


def _first_token_s(done: Completions, i: int) -> list[float]:
    first_ns = done.first_output_ns[i]
    return [] if first_ns is None else [(first_ns - done.planned_start_ns[i]) / 1e9]


def _per_token_s(done: Completions, i: int) -> list[float]:
    first_ns, later = done.first_output_ns[i], done.output_tokens[i] - done.requests[i]
    return [(done.end_ns[i] - first_ns) / 1e9 * done.requests[i] / later] if first_ns is not None and later > 0 else []


def _gaps_s(done: Completions, i: int) -> list[float]:
    first_ns = done.first_output_ns[i]
    return [] if first_ns is None else [(b - a) / 1e9 for a, b in pairwise((first_ns, *done.step_end_ns[i]))]


VALUES: Mapping[str, Values] = MappingProxyType(
    {
        "latency.request": _request_s,
        "latency.ttft": _first_token_s,
        "latency.tpot": _per_token_s,
        "latency.itl": _gaps_s,
    }
)
"""How the values of each distribution come from one execution."""
