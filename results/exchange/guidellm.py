"""Benchmarks of a GuideLLM report (`benchmarks.json`): one run each, its distributions over the successful requests.

Field names and their meaning: vllm-project/guidellm, src/guidellm/benchmark/schemas (read in the release that
docs/interchange.md names). Latencies of tokens are in ms there, those of requests in s.
"""

from collections.abc import Iterator

from wattbench.results.doubts import Doubt
from wattbench.results.exchange.foreign import Tree
from wattbench.results.exchange.stated import (
    BURST,
    CLOSED,
    OPEN,
    StatedRun,
    as_stated,
    instant_of,
    latency_of,
    ordered,
    rate_figures,
    run_doubts,
    unstated_system,
)
from wattbench.results.imported import StatedSystem, StatedWork
from wattbench.results.metrics import Metric, QuantileMetric

__all__ = ["TOOL", "is_guidellm", "read_guidellm", "runs_of"]

TOOL = "GuideLLM"
FORMAT = "GuideLLM report (JSON)"
MS_PER_S = 1000.0

SCENARIOS = {
    "synchronous": CLOSED,
    "concurrent": CLOSED,
    "throughput": BURST,
    "constant": OPEN,
    "poisson": OPEN,
    "async": OPEN,
    "trace": OPEN,
}
"""Its strategies in our words."""

QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
NO_POWER = "GuideLLM measures no power"
FROM_SEND = "GuideLLM counts latencies from the sending"


def is_guidellm(tree: Tree) -> bool:
    """Return whether an object is a report: it has benchmarks, and the first has metrics by status of requests."""
    benchmarks = tree.members.get("benchmarks")
    if not isinstance(benchmarks, list):
        return False
    if not benchmarks:
        return "metadata" in tree.members
    first = benchmarks[0]
    return isinstance(first, dict) and {"config", "metrics"} <= first.keys()


def runs_of(tree: Tree) -> tuple[Tree, ...]:
    """Return the benchmarks of a report, each with the report's own versions beside its members."""
    metadata = tree.members.get("metadata")
    return tuple(
        Tree(tool=each.tool, path=each.path, members={**each.members, "report_metadata": metadata})
        for each in tree.trees("benchmarks")
    )


def read_guidellm(tree: Tree, entry: str) -> StatedRun:
    """Return one benchmark. Raises DocumentError for a value that cannot be."""
    metadata, config, metrics = tree.tree("report_metadata"), tree.tree("config"), tree.tree("metrics")
    scheduled = metrics.tree("request_scheduled_latency").tree("successful").positive("mean") is not None
    work = _work(config, metrics)
    planned = FROM_SEND + ("; those of whole requests count from the schedule" if scheduled else "")
    return StatedRun(
        entry=f"{entry}-{kind}" if entry and (kind := config.tree("strategy").text("type_")) in SCENARIOS else entry,
        tool=TOOL,
        format=FORMAT,
        version=metadata.text("guidellm_version"),
        session=config.text("run_id"),
        status="complete",
        started_at=instant_of(tree.positive("start_time")),
        duration_s=tree.positive("duration"),
        system=_system(config),
        work=work,
        official=(),
        metrics=_rates(metrics),
        latencies=_latencies(metrics, "request_scheduled_latency" if scheduled else "request_latency"),
        power_reason=NO_POWER,
        doubts=ordered((*run_doubts(TOOL, work, powered=False, reason=NO_POWER, planned=planned), *_warnings(tree))),
    )


def _warnings(tree: Tree) -> Iterator[Doubt]:
    """Yield its own warnings about the run, such as a schedule that was missed."""
    for warning in tree.trees("warnings"):
        facts = f"GuideLLM warns ({warning.text('code') or 'no code'}): {warning.text('message') or 'no message'}"
        yield Doubt(code="imported_invalid", severity="doubt", facts=facts, advice="Read its report.")


def _system(config: Tree) -> StatedSystem:
    backend = config.tree("backend")
    kind = backend.text("kind") or backend.text("type_")
    return unstated_system(None if kind is None else f"a server behind {kind}")


def _work(config: Tree, metrics: Tree) -> StatedWork:
    strategy, totals = config.tree("strategy"), metrics.tree("request_totals")
    kind = strategy.text("type_") or ""
    concurrency = 1 if kind == "synchronous" else strategy.count("streams") or strategy.count("max_concurrency")
    return StatedWork(
        model=config.tree("backend").text("model"),
        precision=None,
        scenario=SCENARIOS.get(kind, kind or "not stated"),
        scenario_published=None,
        requests=totals.count("successful"),
        queries=None,
        samples_per_query=None,
        tool_verdict=None,
        failed_requests=totals.count("errored"),
        input_tokens=_total(metrics, "prompt_token_count"),
        output_tokens=_total(metrics, "output_token_count"),
        concurrency=concurrency,
        rate_per_s=strategy.positive("rate"),
        settings=strategy.settings("type_", "max_concurrency", "streams", "worker_count", "rate")
        | {f"requests.{key}": value for key, value in totals.settings("incomplete").items()},
    )


def _total(metrics: Tree, name: str) -> int | None:
    """Return a sum over the successful requests; None for 0, which it writes for what it did not count."""
    total = metrics.tree(name).tree("successful").positive("total_sum")
    return None if total is None else round(total)


def _rates(metrics: Tree) -> tuple[Metric, ...]:
    fields = {
        "requests": "requests_per_second",
        "input_tokens": "prompt_tokens_per_second",
        "output_tokens": "output_tokens_per_second",
        "total_tokens": "tokens_per_second",
    }
    return rate_figures(
        TOOL,
        {
            kind: (metrics.tree(field).tree("successful").positive("mean"), as_stated(TOOL, f"{field}.successful.mean"))
            for kind, field in fields.items()
        },
    )


def _latencies(metrics: Tree, whole: str) -> tuple[QuantileMetric, ...]:
    return (
        _latency(metrics, "latency.request", whole, 1.0, counted=True),
        _latency(metrics, "latency.ttft", "time_to_first_token_ms", MS_PER_S, counted=True),
        _latency(metrics, "latency.tpot", "inter_token_latency_ms", MS_PER_S, counted=False),
        latency_of(
            "latency.itl",
            mean_s=None,
            quantiles_s={},
            count=None,
            method="not stated",
            reason=f"{TOOL} keeps the mean gap of each request, not the gaps",
        ),
    )


def _latency(metrics: Tree, name: str, field: str, per_s: float, *, counted: bool) -> QuantileMetric:
    summary = metrics.tree(field).tree("successful")
    percentiles = summary.tree("percentiles")
    weighed = "" if counted else "; each request weighs as much as it has gaps"
    return latency_of(
        name,
        mean_s=_over(summary.positive("mean"), per_s),
        quantiles_s={q: _over(percentiles.positive(key), per_s) for key, q in QUANTILES.items()},
        count=summary.count("count") if counted else None,
        method=as_stated(TOOL, f"{field}.successful", "/ 1000" if per_s != 1 else "") + weighed,
        reason=f"{TOOL} states no {field}, or 0, which it writes where it has none",
    )


def _over(value: float | None, per_s: float) -> float | None:
    return None if value is None else value / per_s
