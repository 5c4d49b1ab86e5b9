"""Aggregate results of InferenceX (`agg_*.json`): throughput per GPU, latencies in s, and measured GPU power.

Field names and their meaning: SemiAnalysisAI/InferenceX, the builder of fixed-sequence results and the power metrics
(utils/aggregate_power.py and its successors, read 2026-11). Only `power_metric_schema_version` 2 says that joules
are those of the whole deployment; before, they could be one role's, and the values do not tell which.
"""

from dataclasses import dataclass

from wattbench.results.doubts import Doubt
from wattbench.results.exchange.foreign import Tree
from wattbench.results.exchange.stated import (
    CLOSED,
    StatedPower,
    StatedRun,
    as_stated,
    instant_of,
    latency_of,
    no_stated_power,
    ordered,
    power_figures,
    rate_figures,
    run_doubts,
)
from wattbench.results.imported import StatedSystem, StatedWork
from wattbench.results.metrics import Metric, QuantileMetric

__all__ = ["TOOL", "is_inferencex", "read_inferencex"]

TOOL = "InferenceX"
FORMAT = "InferenceX aggregate JSON"
MARKS = frozenset({"hw", "conc", "tput_per_gpu", "output_tput_per_gpu"})
POWER_SCHEMA = 2

QUANTILES = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
LATENCIES = {"latency.request": "e2el", "latency.ttft": "ttft", "latency.tpot": "tpot", "latency.itl": "itl"}
ENERGIES = (
    *("avg_power_w", "avg_total_gpu_power_w", "total_gpu_energy_j", "joules_per_successful_query"),
    *("joules_per_input_token", "joules_per_output_token", "joules_per_total_token"),
)
SETTINGS = (
    *(
        "isl",
        "osl",
        "framework",
        "image",
        "spec_decoding",
        "mtp",
        "disagg",
        "is_multinode",
        "tp",
        "ep",
        "pp",
        "pcp_size",
    ),
    *("dcp_size", "dp_attention", "prefill_tp", "prefill_ep", "prefill_num_workers", "decode_tp", "decode_ep"),
    *("decode_num_workers", "prefill_hw", "decode_hw", "infmax_model_prefix", "recipe_fingerprint", "kv_p2p_transfer"),
    *("power_valid", "power_metric_schema_version"),
)
METHOD = "per-device trapezoids over the benchmark's window, as InferenceX states them"
FROM_SEND = "InferenceX counts latencies from the sending"


def is_inferencex(tree: Tree) -> bool:
    """Return whether an object has the fields of an aggregate."""
    return tree.members.keys() >= MARKS


def read_inferencex(tree: Tree, entry: str) -> StatedRun:
    """Return one aggregate. Raises DocumentError for a value that cannot be."""
    gpus, work = _Gpus.of(tree), _work(tree)
    power, refused = _power(tree)
    rates = _rates(tree, gpus, power)
    known = {metric.name: metric.value for metric in rates}
    reason = f"{TOOL} keeps no samples of power in this file" if power.mean_w is not None else power.reason
    doubts = run_doubts(TOOL, work, powered=power.mean_w is not None, reason=power.reason, planned=FROM_SEND)
    return StatedRun(
        entry=entry,
        tool=TOOL,
        format=FORMAT,
        version=None,
        session=tree.text("run_url"),
        status="complete",
        started_at=instant_of(tree.text("run_started_at")),
        duration_s=power.energy_j / power.mean_w if power.energy_j and power.mean_w else None,
        system=_system(tree, gpus),
        work=work,
        official=(),
        metrics=(*rates, *power_figures(power, known["throughput.requests"], known["throughput.output_tokens"])),
        latencies=tuple(_latency(tree, name, word) for name, word in LATENCIES.items()),
        power_reason=reason,
        doubts=ordered((*doubts, *refused)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gpus:
    """How many GPUs each rate is per: those of the deployment, those that prefill, those that decode."""

    total: int | None
    prefill: int | None
    decode: int | None

    @classmethod
    def of(cls, tree: Tree) -> "_Gpus":
        """Return the counts: of one node tp x pp x pcp, of several the sums that are stated."""
        prefill, decode = tree.count("num_prefill_gpu"), tree.count("num_decode_gpu")
        if prefill is not None and decode is not None:
            both = (prefill + decode) or None
            return cls(total=both, prefill=prefill or None, decode=decode or both)
        if tree.flag("is_multinode"):
            return cls(total=None, prefill=None, decode=None)
        tp = tree.count("tp")
        pp, pcp = tree.count("pp"), tree.count("pcp_size")
        total = tp * (1 if pp is None else pp) * (1 if pcp is None else pcp) if tp else None
        return cls(total=total or None, prefill=total or None, decode=total or None)


def _system(tree: Tree, gpus: _Gpus) -> StatedSystem:
    framework, image = tree.text("framework"), tree.text("image")
    return StatedSystem(
        name=tree.text("hw"),
        submitter=None,
        division=None,
        accelerator=tree.text("hw"),
        accelerators=gpus.total,
        processor=None,
        processors=None,
        nodes=1 if tree.flag("is_multinode") is False else None,
        meter=None,
        basis="hw of the file, a label of its runner; GPUs by the stated parallelism",
        software=" in ".join(filter(None, (framework, image))) or None,
    )


def _work(tree: Tree) -> StatedWork:
    return StatedWork(
        model=tree.text("model"),
        precision=tree.text("precision"),
        scenario=CLOSED,
        scenario_published=None,
        requests=None,
        queries=None,
        samples_per_query=None,
        tool_verdict=None,
        concurrency=tree.count("conc"),
        settings=tree.settings(*SETTINGS),
    )


def _rates(tree: Tree, gpus: _Gpus, power: StatedPower) -> tuple[Metric, ...]:
    """Return the rates of the whole deployment; that of requests follows from power and energy, where known."""
    per_query_j = power.per_request_j
    requests = power.mean_w / per_query_j if power.mean_w and per_query_j else None
    return rate_figures(
        TOOL,
        {
            "requests": (requests, "`avg_total_gpu_power_w` / `joules_per_successful_query`: both have one duration"),
            "input_tokens": (
                _times(tree.positive("input_tput_per_gpu"), gpus.prefill),
                _per("input_tput_per_gpu", gpus.prefill),
            ),
            "output_tokens": (
                _times(tree.positive("output_tput_per_gpu"), gpus.decode),
                _per("output_tput_per_gpu", gpus.decode),
            ),
            "total_tokens": (_times(tree.positive("tput_per_gpu"), gpus.total), _per("tput_per_gpu", gpus.total)),
        },
    )


def _times(rate: float | None, gpus: int | None) -> float | None:
    return None if rate is None or gpus is None else rate * gpus


def _per(field: str, gpus: int | None) -> str:
    return f"`{field}` x the {gpus or 'unknown number of'} GPUs that it is stated for"


def _latency(tree: Tree, name: str, word: str) -> QuantileMetric:
    return latency_of(
        name,
        mean_s=tree.positive(f"mean_{word}"),
        quantiles_s={q: tree.positive(f"{stem}_{word}") for stem, q in QUANTILES.items()},
        count=None,
        method=as_stated(TOOL, f"*_{word}"),
        reason=f"{TOOL} states no {word}",
    )


def _power(tree: Tree) -> tuple[StatedPower, tuple[Doubt, ...]]:
    """Return the stated power, all of it unknown unless the file vouches for it, and the doubt that this raises."""
    stated = any(tree.members.get(key) is not None for key in ENERGIES)
    version, valid = tree.members.get("power_metric_schema_version"), tree.members.get("power_valid")
    if not stated and version is None and valid is None:
        return no_stated_power(f"{TOOL} states no power in this file"), ()
    if isinstance(version, bool) or version != POWER_SCHEMA:
        reason = (
            f"power_metric_schema_version is {_short(version)}, not {POWER_SCHEMA}: the joules may be those of one role"
        )
        return no_stated_power(reason), _refused(reason)
    if isinstance(valid, bool) or valid != 1:
        reason = f"power_valid is {_short(valid)}, not 1: InferenceX does not vouch for its power"
        return no_stated_power(reason), _refused(reason)
    power = StatedPower(
        mean_w=tree.positive("avg_total_gpu_power_w"),
        energy_j=tree.positive("total_gpu_energy_j"),
        per_request_j=tree.positive("joules_per_successful_query"),
        per_input_token_j=tree.positive("joules_per_input_token"),
        per_output_token_j=tree.positive("joules_per_output_token"),
        method=METHOD,
        reason=f"{TOOL} does not state it",
    )
    return power, ()


def _refused(reason: str) -> tuple[Doubt, ...]:
    advice = "Take a newer artifact, or use its throughput alone."
    return (Doubt(code="imported_invalid", severity="doubt", facts=f"its power is left out: {reason}", advice=advice),)


def _short(value: object) -> str:
    return "missing" if value is None else f"{value!r:.40}"
