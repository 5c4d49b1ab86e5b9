"""A run in the layout of MLPerf's mlperf_log_summary.txt; it is no MLPerf result, and says so.

Lines: mlcommons/inference, loadgen/results.cc (as the LoadGen of the extra `mlperf` writes them). Floors: MLPerf
Inference rules, scenarios: at least 600 s; Offline 24,576 samples, SingleStream 64 queries for a p90 by early stopping.
"""

from collections.abc import Iterator

from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.exchange.exported import Exported
from wattbench.results.exchange.figure_table import plain_text
from wattbench.results.metrics import Quantile, QuantileMetric, Summary

__all__ = ["SCENARIOS", "mlperf_summary_bytes"]

SCENARIOS = {"offline": "Offline", "single-stream": "SingleStream"}
"""MLPerf's names for our scenarios."""

RULER = "=" * 48
NS_PER_S = 1e9
DURATION_MIN_S = 600.0
SAMPLES_MIN = {"offline": 24_576, "single-stream": 64}
REPORTED = 0.9
"""The quantile that SingleStream is judged by."""


def mlperf_summary_bytes(result: Exported) -> bytes:
    """Return the summary's text. Raises DocumentError for what is not a run of ours with figures."""
    document = result.document
    if not isinstance(document, Result) or document.summary is None:
        why = f"it was imported from {result.subject.tool}, which has files of its own"
        raise DocumentError("MLPerf's summary is written of runs alone", why, "Export it to csv.")
    lines = [
        *_head("wattbench Results Summary (layout of MLPerf's; no MLPerf result, not verified by MLCommons)"),
        *_result_lines(document, document.summary, result),
        "",
        *_head("Additional Stats"),
        *_stats_lines(document.summary, document.plan.scenario),
        "",
        *_head("Test Parameters Used"),
        *_parameter_lines(document, result.subject.result_id),
        "",
        *_doubt_lines(document),
    ]
    return "".join(f"{plain_text(line).replace(chr(10), ' ')}\n" for line in lines).encode()


def _head(title: str) -> tuple[str, str, str]:
    return RULER, title, RULER


def _result_lines(result: Result, summary: Summary, exported: Exported) -> Iterator[str]:
    scenario = result.plan.scenario
    latency = _latency(summary)
    done = summary.requests - summary.failed_requests
    reported = _quantile(latency, REPORTED)
    yield f"SUT name : {exported.subject.engine} on {exported.subject.device}"
    yield f"Scenario : {SCENARIOS[scenario]}"
    yield "Mode     : PerformanceOnly"
    if scenario == "offline":
        yield from _rate_lines(summary)
    elif reported is not None:
        yield f"90.0th percentile latency (ns) : {_ns(reported.value)}"
    long, many = summary.measured_s >= DURATION_MIN_S, done >= SAMPLES_MIN[scenario]
    stopped = scenario == "offline" or (reported is not None and reported.bound is not None)
    sound = not exported.subject.marks and long and many and stopped
    yield f"Result is : {'VALID' if sound else 'INVALID'}"
    yield f"  Min duration satisfied : {_yes(long)}"
    yield f"  Min queries satisfied : {_yes(many)}"
    yield f"  Early stopping satisfied: {_yes(stopped)}"
    if exported.subject.marks:
        yield f"  {' '.join(exported.subject.marks)}: {'; '.join(exported.subject.reasons)}"
    if scenario == "single-stream" and latency is not None:
        yield "Early Stopping Result:"
        bounds = [point for point in latency.quantiles if point.bound is not None and point.q >= REPORTED]
        yield from (f" * Early stopping {100 * p.q:.1f}th percentile estimate: {_ns(p.bound or 0.0)}" for p in bounds)


def _rate_lines(summary: Summary) -> Iterator[str]:
    rates = (("throughput.requests", "Samples per second"), ("throughput.output_tokens", "Tokens per second"))
    for name, label in rates:
        metric = summary.metric(name)
        if metric is not None and metric.value is not None:
            yield f"{label}: {metric.value:.10g}"


def _stats_lines(summary: Summary, scenario: str) -> Iterator[str]:
    rate, latency = summary.metric("throughput.requests"), _latency(summary)
    if scenario == "single-stream" and rate is not None and rate.value is not None:
        yield f"QPS w/o loadgen overhead        : {rate.value:.10g}"
        yield ""
    if latency is None or latency.mean is None:
        return
    yield f"Mean latency (ns)               : {_ns(latency.mean)}"
    for point in latency.quantiles:
        yield f"{100 * point.q:05.2f} percentile latency (ns)   : {_ns(point.value)}"


def _parameter_lines(result: Result, result_id: str) -> Iterator[str]:
    plan, load = result.plan, result.load
    yield f"samples_per_query : {plan.batch}"
    yield f"min_duration (ms): {1000 * plan.window_s * plan.repeats_min:.0f}"
    yield f"sample_index_rng_seed : {plan.seed}"
    yield f"load : {load.name} version {load.version}, {load.input_tokens} in / {load.output_tokens} out"
    yield f"weights : {result.weights.origin if result.weights else 'not stated'}"
    yield f"windows : {len(result.repeats)}; rates are medians over them"
    yield f"wattbench_result : {result_id}"


def _doubt_lines(result: Result) -> Iterator[str]:
    doubts = [doubt for doubt in result.doubts if doubt.severity != "severe"]
    severe = [doubt for doubt in result.doubts if doubt.severity == "severe"]
    for word, found in (("warning", doubts), ("error", severe)):
        if not found:
            yield f"No {word}s encountered during test."
            continue
        yield f"{len(found)} {word}{'s' if len(found) > 1 else ''} encountered:"
        yield from (f" * {doubt.code}: {doubt.facts}" for doubt in found)


def _latency(summary: Summary) -> QuantileMetric | None:
    return next((each for each in summary.latencies if each.name == "latency.request"), None)


def _quantile(latency: QuantileMetric | None, q: float) -> Quantile | None:
    return next((point for point in latency.quantiles if point.q == q), None) if latency else None


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def _yes(satisfied: bool) -> str:
    return "Yes" if satisfied else "NO"
