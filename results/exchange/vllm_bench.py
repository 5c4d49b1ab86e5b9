"""Results of `vllm bench serve --save-result`: one JSON object a run, or one a line.

Field names and their meaning: vllm-project/vllm, vllm/benchmarks/serve.py (read at commit 009e6d4, 2026-10, and in
the releases named in docs/interchange.md). Latencies are in ms there.
"""

from wattbench.results.doubts import Doubt
from wattbench.results.exchange.foreign import Tree
from wattbench.results.exchange.stated import (
    BURST,
    CLOSED,
    OPEN,
    StatedRun,
    as_stated,
    latency_of,
    ordered,
    rate_figures,
    run_doubts,
    unstated_system,
)
from wattbench.results.imported import StatedSystem, StatedWork
from wattbench.results.metrics import Metric, QuantileMetric

__all__ = ["TOOL", "is_vllm_bench", "read_vllm_bench"]

TOOL = "vLLM bench"
FORMAT = "vllm bench serve --save-result"
MARKS = frozenset({"request_throughput", "total_token_throughput", "completed", "duration", "model_id"})

MS_PER_S = 1000.0
QUANTILES = {"median": 0.5, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
SETTINGS = (
    *("date", "label", "backend", "endpoint_type", "tokenizer_id", "request_rate", "burstiness"),
    *("ramp_up_strategy", "ramp_up_start_rps", "ramp_up_end_rps", "tensor_parallel_size"),
)

NO_POWER = "vLLM bench measures no power"
FROM_SEND = "vLLM bench counts latencies from the sending"


def is_vllm_bench(tree: Tree) -> bool:
    """Return whether an object has the fields of a saved result."""
    return tree.members.keys() >= MARKS


def read_vllm_bench(tree: Tree, entry: str) -> StatedRun:
    """Return one saved result. Raises DocumentError for a value that cannot be."""
    duration_s = tree.positive("duration")
    work = _work(tree)
    latencies, planned = _latencies(tree, work)
    doubts = (*run_doubts(TOOL, work, powered=False, reason=NO_POWER, planned=planned), *_token_doubts(tree))
    return StatedRun(
        entry=entry,
        tool=TOOL,
        format=FORMAT,
        version=tree.text("vllm_version"),
        session=None,
        status="complete",
        started_at=None,  # `date` is the local time of the writing, without a zone
        duration_s=duration_s,
        system=_system(tree),
        work=work,
        official=(),
        metrics=_rates(tree, work, duration_s),
        latencies=latencies,
        power_reason=NO_POWER,
        doubts=ordered(doubts),
    )


def _system(tree: Tree) -> StatedSystem:
    return unstated_system(f"a server that speaks {backend}" if (backend := tree.text("backend")) else None)


def _work(tree: Tree) -> StatedWork:
    completed, prompts = tree.count("completed"), tree.count("num_prompts")
    failed = tree.count("failed")
    if failed is None and completed is not None and prompts is not None:  # older releases state no failures
        failed = max(0, prompts - completed)
    rate = None if tree.members.get("request_rate") == "inf" else tree.positive("request_rate")
    concurrency = tree.count("max_concurrency")
    return StatedWork(
        model=tree.text("model_id"),
        precision=None,
        scenario=OPEN if rate is not None else CLOSED if concurrency else BURST,
        scenario_published=None,
        requests=completed,
        queries=None,
        samples_per_query=None,
        tool_verdict=None,
        failed_requests=failed,
        input_tokens=tree.count("total_input_tokens"),
        output_tokens=tree.count("total_output_tokens") if "total_output_tokens" in tree.members else None,
        concurrency=concurrency,
        rate_per_s=rate,
        settings=tree.settings(*SETTINGS),
    )


def _rates(tree: Tree, work: StatedWork, duration_s: float | None) -> tuple[Metric, ...]:
    input_rate = work.input_tokens / duration_s if work.input_tokens and duration_s else None
    return rate_figures(
        TOOL,
        {
            "requests": (tree.positive("request_throughput"), as_stated(TOOL, "request_throughput")),
            "input_tokens": (input_rate, "`total_input_tokens` / `duration`"),
            "output_tokens": (tree.positive("output_throughput"), as_stated(TOOL, "output_throughput")),
            "total_tokens": (tree.positive("total_token_throughput"), as_stated(TOOL, "total_token_throughput")),
        },
    )


def _latencies(tree: Tree, work: StatedWork) -> tuple[tuple[QuantileMetric, ...], str | None]:
    """Return the latencies, and how they count where that is not from the planned start."""
    queued = "mean_e2el_including_client_queue_ms" in tree.members
    whole = "e2el_including_client_queue" if queued else "e2el"
    found = (
        _latency(tree, "latency.request", whole, work.requests),
        _latency(tree, "latency.ttft", "ttft", work.requests),
        _latency(tree, "latency.tpot", "tpot", None),  # requests with one token out have none
        _latency(tree, "latency.itl", "itl", None),
    )
    rest = "; those of whole requests include the wait in its client" if queued else ""
    return found, FROM_SEND + rest


def _latency(tree: Tree, name: str, word: str, count: int | None) -> QuantileMetric:
    return latency_of(
        name,
        mean_s=_seconds(tree.positive(f"mean_{word}_ms")),
        quantiles_s={q: _seconds(tree.positive(f"{stem}_{word}_ms")) for stem, q in QUANTILES.items()},
        count=count,
        method=as_stated(TOOL, f"*_{word}_ms", "/ 1000"),
        reason=f"{TOOL} states no {word}, or 0, which it writes where it has none",
    )


def _seconds(value_ms: float | None) -> float | None:
    return None if value_ms is None else value_ms / MS_PER_S


def _token_doubts(tree: Tree) -> tuple[Doubt, ...]:
    if tree.members.get("tokenizer_id", "") is not None:
        return ()
    facts = "without a tokenizer it takes one token out for each request whose server states none"
    return (Doubt(code="imported_invalid", severity="doubt", facts=facts, advice="Run it with its tokenizer."),)
