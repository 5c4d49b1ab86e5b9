"""Warming up and measuring with a tool that executes by itself: its spans take the place of single executions."""

import time
from collections.abc import Callable

from wattbench.backends.contract import Batch, Spanned, SpanRunner
from wattbench.harness.messages import Measure, Measured, WarmUp
from wattbench.results.measurement import Completions, WarmupRecord, Window
from wattbench.results.stats import STEADY_TEST, is_steady

__all__ = ["measure_span", "warm_up_by_spans"]

SLICES = 8
"""Spans that fit into the least warm-up: the steadiness test asks for six."""

SLICE_FLOOR_S = 0.5

Placed = Callable[[int, int], Window]
"""Makes a window of the run's clock from two instants of `time.perf_counter_ns`."""


def warm_up_by_spans(tool: SpanRunner, batch: Batch, command: WarmUp, placed: Placed) -> WarmupRecord:
    """Let the tool execute in short spans until its rate is steady or the cap is reached."""
    start_ns = time.perf_counter_ns()
    end_s = command.max_s if command.slice_s is None else min(command.slice_s, command.max_s)
    rates: list[float] = []
    execution_s: float | None = None
    while True:
        done = tool.span(batch, max(SLICE_FLOOR_S, command.min_s / SLICES), 0.0)
        rates.append(done.times.executions / ((done.end_ns - done.start_ns) / 1e9))
        if execution_s is None and not command.more:
            execution_s = done.times.mean_s
        now_ns = time.perf_counter_ns()
        spent_s = (now_ns - start_ns) / 1e9
        steady = spent_s >= command.min_s and is_steady(rates)
        if spent_s >= end_s or (steady and command.slice_s is None):
            return WarmupRecord(
                window=placed(start_ns, now_ns),
                rates_per_s=tuple(rates),
                test=STEADY_TEST,
                steady=steady,
                execution_s=execution_s,
            )


def measure_span(tool: SpanRunner, batch: Batch, command: Measure, placed: Placed) -> Measured:
    """Measure one window that the tool fills by itself; it ends with the tool, so nothing follows it."""
    time.sleep(command.jitter_s)
    cpu_ns = time.process_time_ns()
    done = tool.span(batch, command.window_s, command.lead_in_s)
    time.sleep(command.lead_out_s)  # the sensors' memory of the window, over a phone that is idle again
    window = placed(done.start_ns, done.end_ns)
    told_s = done.times.executions * done.times.mean_s
    return Measured(
        window=window,
        completions=_row(done, window),
        worker_cpu_s=(time.process_time_ns() - cpu_ns) / 1e9,
        outside_share=max(0.0, 1.0 - told_s / window.duration_s),
        memory_peak_bytes=None,
        tool=done.times,
    )


def _row(done: Spanned, window: Window) -> Completions:
    return Completions(
        planned_start_ns=(window.start_ns,),
        start_ns=(window.start_ns,),
        first_output_ns=(None,),
        step_end_ns=((),),
        end_ns=(window.end_ns,),
        requests=(done.requests,),
        input_tokens=(done.input_tokens,),
        output_tokens=(0,),
        error=(None,),
    )
