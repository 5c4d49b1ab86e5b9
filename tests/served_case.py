"""What was served, made from a few columns."""

from collections.abc import Sequence

import numpy

from wattbench.backends.traffic import NONE, Served
from wattbench.results.traffic import ClientHealth


def make_served(
    *,
    planned_ns: Sequence[int],
    start_ns: Sequence[int],
    tokens_ns: Sequence[Sequence[int]],
    end_ns: Sequence[int],
    errors: Sequence[str | None],
) -> Served:
    """Return what was served by these times; each stamp brought one token."""
    count = len(planned_ns)
    none = numpy.full(count, NONE, dtype=numpy.int64)
    unknown = numpy.full(count, numpy.nan)
    stamps = tuple(numpy.array(stamps, dtype=numpy.int64) for stamps in tokens_ns)
    return Served(
        call=numpy.arange(count),
        planned_ns=numpy.array(planned_ns),
        start_ns=numpy.array(start_ns),
        first_output_ns=numpy.array([stamps[0] if stamps else NONE for stamps in tokens_ns]),
        first_answer_ns=none,
        end_ns=numpy.array(end_ns),
        token_ns=stamps,
        token_counts=tuple(numpy.ones(len(row), dtype=numpy.int64) for row in stamps),
        input_tokens=none,
        output_tokens=numpy.array([len(row) for row in stamps]),
        cached_tokens=none,
        own_output_tokens=none,
        error=tuple(None if kind is None else "it failed" for kind in errors),
        error_kind=tuple("engine" if kind is not None else None for kind in errors),
        fresh=numpy.zeros(count, dtype=numpy.bool_),
        server_queue_s=unknown,
        server_prompt_s=unknown,
        server_output_s=unknown,
        server_total_s=unknown,
        window_start_ns=0,
        window_end_ns=max(end_ns),
        health=ClientHealth(
            stamps="user",
            workers=1,
            observed_s=1.0,
            cpu_s=0.0,
            send_late_p50_s=None,
            send_late_p99_s=None,
            send_late_max_s=None,
            drift_s=None,
            run_queue_wait_s=None,
            involuntary_switches=None,
            kernel_lag_p50_s=None,
            kernel_lag_p99_s=None,
            connections_opened=0,
            in_flight_peak=1,
        ),
    )
