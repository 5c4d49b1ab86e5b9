"""The summary of a result computed again from its raw repeats: what the file says otherwise."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from wattbench.results.document import Result
from wattbench.results.kept_limits import goodput_metrics
from wattbench.results.latency import latency_metrics
from wattbench.results.metrics import Metric, QuantileMetric, Summary
from wattbench.results.rates import Work, throughput_metrics, work_of
from wattbench.results.stats import median, median_interval, spread_iqr
from wattbench.results.traffic_figures import traffic_latencies, traffic_metrics
from wattbench.results.utilisation import CLAIM, PARTS, Part, reached, utilisation_metrics

__all__ = ["summary_differences"]

TOLERANCE_REL = 1e-9
"""Far above what another order of additions costs in doubles, far below any edit that would matter."""

Figures = dict[str, float | None]


def summary_differences(result: Result) -> tuple[str, ...]:
    """Return a line for each figure of the summary that its own repeats do not give; empty when all agree.

    Computed again are the counts, throughput.*, latency.* and utilisation.* from the completions, the ceilings and the
    backend's record, what energy.total implies (ratios, mean power) from its samples and the completions, and every
    value, interval and spread from its samples. The samples of energy.total itself are taken as they are: how channels
    add up to a scope is no part of a result. Neither is a vendor's claim: utilisation.*_claim must follow from the
    rates with one claim for all repeats, whichever the table had when the file was written.
    """
    if result.summary is None:
        return ()
    stored, expected = _stored(result.summary), _expected(result, result.summary)
    names = dict.fromkeys((*expected, *stored))
    return tuple(
        f"summary.{name} is {stored.get(name)}, its repeats give {expected.get(name)}"
        for name in names
        if not _same(stored.get(name), expected.get(name))
    )


def _same(stored: float | None, expected: float | None) -> bool:
    if stored is None or expected is None:
        return stored is expected
    return math.isclose(stored, expected, rel_tol=TOLERANCE_REL)


def _stored(summary: Summary) -> Figures:
    figures = _counts(summary.requests, summary.failed_requests, summary.repeats, summary.measured_s)
    for name, metric in _named(summary.metrics):
        figures |= _metric_figures(name, metric)
    for latency in summary.latencies:
        figures |= _latency_figures(latency)
    return figures


def _expected(result: Result, summary: Summary) -> Figures:
    works = [work_of(repeat) for repeat in result.repeats]
    failed = sum(work.failed for work in works)
    requests = failed + sum(work.requests for work in works)
    figures = _counts(requests, failed, len(works), sum(work.duration_s for work in works))
    for metric in throughput_metrics(result.load, result.repeats):
        figures |= _metric_figures(metric.name, metric)
    for metric in _utilisations(result, summary):
        figures |= _metric_figures(metric.name, metric)
    for metric in (*traffic_metrics(result.repeats), *goodput_metrics(result.repeats, result.plan.traffic)):
        figures |= _metric_figures(metric.name, metric)
    for latency in (*latency_metrics(result.load, result.repeats), *traffic_latencies(result.repeats)):
        figures |= _latency_figures(latency)
    return figures | _implied_figures(result, summary, works)


def _utilisations(result: Result, summary: Summary) -> list[Metric]:
    """Return utilisation.* as the file's repeats, backend and ceilings give them, against the claims that it used."""
    expected = utilisation_metrics(result.load, result.repeats, result.backend, result.ceilings)
    ceilings = [metric for metric in expected if not metric.name.endswith(CLAIM)]
    claims = [_claimed(part, result, summary.metric(f"utilisation.{part}{CLAIM}")) for part in PARTS]
    return ceilings + [metric for metric in claims if metric is not None]


def _claimed(part: Part, result: Result, stored: Metric | None) -> Metric | None:
    """Return a figure against a claim, the claim being what the file's samples imply; None when it has none."""
    if stored is None or stored.value is None:
        return None
    found = reached(part, result.load, result.repeats, result.backend, result.ceilings)
    rates = [rate for rate in found.rates if rate is not None]
    claims = [rate / sample for rate, sample in zip(rates, stored.samples, strict=False) if sample]
    return _of_samples(stored, [rate / median(claims) for rate in rates] if claims else ())


def _implied_figures(result: Result, summary: Summary, works: Sequence[Work]) -> Figures:
    """Return what the samples of every metric but throughput.* and utilisation.* make of it, rung by rung."""
    figures: Figures = {}
    named = _named(summary.metrics)
    energies = {name.removeprefix("energy.total"): m.samples for name, m in named if m.name == "energy.total"}
    for name, metric in named:
        if not metric.name.startswith(("throughput.", "utilisation.", "traffic.")):
            energies_j = energies.get(name.removeprefix(metric.name), ())
            implied = _implied_samples(metric.name, energies_j, works, result)
            figures |= _metric_figures(name, _of_samples(metric, metric.samples if implied is None else implied))
    return figures


def _named(metrics: Sequence[Metric]) -> list[tuple[str, Metric]]:
    """Return every metric with its name, the second of one name as "name#2": a summary has one set for each rung."""
    seen: Counter[str] = Counter()
    named = []
    for metric in metrics:
        seen[metric.name] += 1
        count = seen[metric.name]
        named.append((metric.name if count == 1 else f"{metric.name}#{count}", metric))
    return named


def _implied_samples(
    name: str, energies_j: Sequence[float], works: Sequence[Work], result: Result
) -> tuple[float, ...] | None:
    """Return what one energy a repeat makes of a ratio; None when it is no ratio or an energy or a count is missing."""
    tokens = "output_tokens" if result.load.output_tokens else "input_tokens"
    shares = {"power.mean": "duration_s", "energy.per_request": "requests", "energy.per_session": "sessions"} | {
        f"energy.per_{kind}_token": f"{kind}_tokens" for kind in ("input", "output")
    }
    yields = {"efficiency.tokens_per_j": tokens, "efficiency.requests_per_j": "requests"}
    counts = [getattr(work, shares.get(name) or yields.get(name) or "requests") for work in works]
    if len(energies_j) != len(works) or not all(counts) or not all(energies_j):
        return None
    pairs = zip(energies_j, counts, strict=True)
    if name in shares:
        return tuple(energy_j / count for energy_j, count in pairs)
    return tuple(count / energy_j for energy_j, count in pairs) if name in yields else None


def _counts(requests: int, failed: int, repeats: int, measured_s: float) -> Figures:
    return {"requests": requests, "failed_requests": failed, "repeats": repeats, "measured_s": measured_s}


def _metric_figures(name: str, metric: Metric) -> Figures:
    figures: Figures = {f"{name}.value": metric.value, f"{name}.spread": metric.spread}
    if metric.interval is not None:
        figures[f"{name}.interval.low"] = metric.interval.low
        figures[f"{name}.interval.high"] = metric.interval.high
        figures[f"{name}.interval.level"] = metric.interval.level
    return figures | {f"{name}.samples[{i}]": sample for i, sample in enumerate(metric.samples)}


def _latency_figures(latency: QuantileMetric) -> Figures:
    figures: Figures = {f"{latency.name}.count": latency.count, f"{latency.name}.mean": latency.mean}
    for quantile in latency.quantiles:
        figures[f"{latency.name}.{quantile.q:g}"] = quantile.value
        figures[f"{latency.name}.{quantile.q:g}.bound"] = quantile.bound
    return figures


def _of_samples(metric: Metric, samples: Sequence[float]) -> Metric:
    """Return the metric with the value, interval and spread that its samples give."""
    value = median(samples) if samples else None
    return replace(
        metric,
        value=value,
        reason=None if samples else metric.reason or "no sample",
        interval=median_interval(samples),
        spread=spread_iqr(samples),
        samples=tuple(samples),
    )
