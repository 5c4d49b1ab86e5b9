"""From what was served to the times that limits are held against."""

from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import NONE, Served
from wattbench.results.goodput import RequestTimes, SloVerdict, judge_slo
from wattbench.results.slo import Slo

__all__ = ["judge_served", "query_latencies_s", "request_times"]


def judge_served(slo: Slo, served: Served) -> SloVerdict:
    """Return how what was served kept the limits, over the span from its start to its last end."""
    window_s = max(1, served.window_end_ns - served.window_start_ns) / 1e9
    return judge_slo(slo, request_times(served), window_s)


def request_times(served: Served) -> Sequence[RequestTimes]:
    """Return the times of every call that was sent, from its planned start."""
    return [_times(served, i) for i in range(len(served))]


def query_latencies_s(served: Served, query_size: int) -> NDArray[numpy.float64]:
    """Return the latency of each whole query of `query_size` calls, from its planned start to its slowest call's end.

    Infinite where a call of it failed; a query of which not all calls were sent is left out.
    """
    order = numpy.argsort(served.call, kind="stable")
    query = served.call[order] // query_size
    failed = numpy.array([error is not None for error in served.error], dtype=numpy.bool_)
    ends = numpy.where(failed, numpy.inf, served.end_ns.astype(numpy.float64))[order]
    planned = served.planned_ns[order].astype(numpy.float64)
    found = [
        (ends[rows].max() - planned[rows].min()) / 1e9
        for rows in numpy.split(numpy.arange(len(query)), numpy.flatnonzero(numpy.diff(query)) + 1)
        if len(rows) == query_size
    ]
    return numpy.array(found, dtype=numpy.float64)


def _times(served: Served, i: int) -> RequestTimes:
    """Return one call's times: tpot is (end - first token) / (tokens - 1), a gap lies between two stamps."""
    if served.error[i] is not None:
        return RequestTimes(failed=True, latency_s=None, ttft_s=None, tpot_s=None)
    planned, first, end = (int(x[i]) for x in (served.planned_ns, served.first_output_ns, served.end_ns))
    tokens = int(served.output_tokens[i])
    writes = first != NONE
    return RequestTimes(
        failed=False,
        latency_s=(end - planned) / 1e9,
        ttft_s=(first - planned) / 1e9 if writes else None,
        tpot_s=(end - first) / (tokens - 1) / 1e9 if writes and tokens > 1 else None,
        gaps_s=tuple((numpy.diff(served.token_ns[i]) / 1e9).tolist()),
    )
