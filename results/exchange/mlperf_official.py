"""MLPerf's own power figures by MLPerf's own formulas, for every scenario that they give a figure for.

Source: mlcommons/inference, tools/submission/submission_checker/checks/power_check.py and performance_check.py, and
RESULT_FIELD_NEW of constants.py (read for rounds v5.0 to v6.0): average power is the unweighted mean of the positive
samples strictly within power_begin and power_end. Nothing is interpolated, integrated or checked for gaps there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from wattbench.results.exchange.meter import MeterRecording
from wattbench.results.exchange.mlperf_log import DetailLog
from wattbench.results.imported import OfficialFigure

__all__ = ["SAMPLE_PERIOD_S", "OfficialPower", "official_figures", "official_power", "throughputs"]

SAMPLE_PERIOD_S = 1.0
"""The director starts the meter at 1000 ms (power-dev, ptd_client_server/lib/server.py)."""

MULTISTREAM_SAMPLES = 8
NS_PER_S = 1e9

LATENCIES = {
    "SingleStream": ("early_stopping_latency_ss", "result_90.00_percentile_latency_ns"),
    "MultiStream": ("early_stopping_latency_ms", "result_99.00_percentile_per_query_latency_ns"),
}
"""The published latency of a scenario, and what rounds before early stopping published."""

RATES = {
    "Offline": (("result_samples_per_second",), ("result_tokens_per_second",)),
    "Server": (
        ("result_completed_samples_per_sec", "result_scheduled_samples_per_sec"),
        ("result_completed_tokens_per_second",),
    ),
}
"""Samples and tokens per second of a scenario, the newest rounds' key first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPower:
    """The official average in W (None without a sample), how many samples it has, were bad, and should have been."""

    mean_w: float | None
    samples: int
    bad: int
    expected: int


def official_power(recording: MeterRecording, begin_ns: int, end_ns: int) -> OfficialPower:
    """Return the official average power of a window: bad samples are left out, as the official formula does."""
    inside = [
        value
        for time_ns, value in zip(recording.times_ns, recording.values, strict=True)
        if begin_ns < time_ns < end_ns
    ]
    good = [value for value in inside if value is not None]
    return OfficialPower(
        mean_w=sum(good) / len(good) if good else None,
        samples=len(good),
        bad=len(inside) - len(good),
        expected=round((end_ns - begin_ns) / NS_PER_S / SAMPLE_PERIOD_S),
    )


def throughputs(log: DetailLog) -> dict[str, float]:
    """Return the stated throughputs by unit: `{request}/s` (samples) and, of language models, `{token}/s`."""
    scenario = log.text("effective_scenario") or ""
    found: dict[str, float | None] = {}
    if scenario in RATES:
        samples, tokens = RATES[scenario]
        found = {"{request}/s": _first(log, samples), "{token}/s": _first(log, tokens)}
    elif scenario == "SingleStream":
        found = {"{request}/s": log.number("result_qps_without_loadgen_overhead")}
    elif scenario == "MultiStream":
        found = {"{request}/s": _multistream_rate(log)}
    return {unit: rate for unit, rate in found.items() if rate}


def official_figures(log: DetailLog, power: OfficialPower | None) -> tuple[OfficialFigure, ...]:
    """Return the official figures of the scenario that ran, then of those that MLPerf infers from it."""
    return tuple(_figures(log, log.text("effective_scenario") or "unknown", power))


def _figures(log: DetailLog, scenario: str, power: OfficialPower | None) -> Iterator[OfficialFigure]:
    rates = throughputs(log)
    if scenario in LATENCIES:
        latency_ns = _first(log, LATENCIES[scenario])
        yield _by_query(log, scenario, latency_ns, power, inferred=False)
        if scenario == "SingleStream":
            stopped_ns = _first(log, LATENCIES["MultiStream"])
            scaled = None if stopped_ns is None else MULTISTREAM_SAMPLES * stopped_ns
            yield from (_by_rate("Offline", rate, unit, power, inferred=True) for unit, rate in rates.items())
            yield _by_query(log, "MultiStream", scaled, power, inferred=True)
        else:
            yield from (_by_rate("Offline", rate, unit, power, inferred=True) for unit, rate in rates.items())
        return
    if not rates:
        yield _by_rate(scenario, None, "{request}/s", power, inferred=False)
    yield from (_by_rate(scenario, rate, unit, power, inferred=False) for unit, rate in rates.items())


def _by_rate(
    scenario: str, rate: float | None, unit: str, power: OfficialPower | None, *, inferred: bool
) -> OfficialFigure:
    mean_w = power.mean_w if power else None
    return OfficialFigure(
        scenario=scenario,
        inferred=inferred,
        performance=rate,
        performance_unit=unit,
        power_w=mean_w,
        energy_per_query_j=None,
        efficiency=rate / mean_w if rate is not None and mean_w else None,
        efficiency_unit=unit.replace("/s", "/J"),
        samples=power.samples if power else 0,
        samples_expected=power.expected if power else None,
        method="performance / mean of the samples (power_check.py)",
    )


def _by_query(
    log: DetailLog, scenario: str, latency_ns: float | None, power: OfficialPower | None, *, inferred: bool
) -> OfficialFigure:
    """Return a latency scenario's figures: mean power x (power_end - power_begin) / queries, x 8 where inferred."""
    per_query = MULTISTREAM_SAMPLES if scenario == "MultiStream" else 1
    queries, duration_s, mean_w = log.number("result_query_count"), log.duration_s(), power.mean_w if power else None
    energy_j = None
    if mean_w is not None and duration_s is not None and queries:
        energy_j = mean_w * duration_s * (per_query if inferred else 1) / queries
    return OfficialFigure(
        scenario=scenario,
        inferred=inferred,
        performance=None if latency_ns is None else latency_ns / NS_PER_S,
        performance_unit="s",
        power_w=mean_w,
        energy_per_query_j=energy_j,
        efficiency=per_query / energy_j if energy_j else None,
        efficiency_unit="{request}/J",
        samples=power.samples if power else 0,
        samples_expected=power.expected if power else None,
        method="mean of the samples x window / queries (power_check.py)",
    )


def _multistream_rate(log: DetailLog) -> float | None:
    """Return samples per query over the mean latency of a query, as MLPerf infers Offline from MultiStream."""
    mean_ns = log.number("result_mean_query_latency_ns")
    samples = log.number("effective_samples_per_query")
    return samples * NS_PER_S / mean_ns if samples and mean_ns else None


def _first(log: DetailLog, keys: tuple[str, ...]) -> float | None:
    """Return the value of the first key that the log has; LoadGen writes 0 for an estimate that it could not make."""
    key = next((key for key in keys if key in log.values), None)
    return (log.number(key) or None) if key is not None else None
