"""Runs of AIPerf (`profile_export_aiperf.json`): metrics by name, each with its unit; power of watched boards.

Names, units and formulas: ai-dynamo/aiperf, export models, metrics and energy analyser (read in the release that
docs/interchange.md names). Every value is converted by the unit that stands beside it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from wattbench.results.doubts import Doubt
from wattbench.results.exchange.foreign import Tree
from wattbench.results.exchange.stated import (
    BURST,
    CLOSED,
    OPEN,
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

__all__ = ["TOOL", "is_aiperf", "read_aiperf"]

TOOL = "AIPerf"
FORMAT = "profile_export_aiperf.json"

QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SI: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "s": {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0},
        "W": {"W": 1.0, "mW": 1e-3},
        "J": {"J": 1.0, "mJ": 1e-3, "MJ": 1e6},
        "J/{token}": {"mJ/token": 1e-3, "J/token": 1.0},
        "J/{request}": {"J/request": 1.0, "joules/request": 1.0, "mJ/request": 1e-3},
        "{request}/s": {"requests/sec": 1.0, "req/s": 1.0, "requests/s": 1.0},
        "{token}/s": {"tokens/sec": 1.0, "tokens/s": 1.0},
        "{count}": {"requests": 1.0, "tokens": 1.0, "count": 1.0},
    }
)
"""What one of AIPerf's units is in ours; a unit that is not here is not guessed."""

VENDORS = ("nvidia", "amd")
METHOD = "energy of the boards that AIPerf watched (counters, or mean power x duration), as it states it"
EDGE_S = 0.666
"""How much longer than the run AIPerf's window of energy may be by its own account (its energy analyser)."""

DIFFERENCE = 0.05
"""Beyond this share, and what the edge explains, energy / duration and the mean of the samples contradict each other.

AIPerf takes the last sample before the start as the counter's first, however old it is: in a run of 3 s on a busy
machine that was one of 41 s before, and the energy came out 14 times too high.
"""

FROM_SEND = "AIPerf counts latencies from the sending"


def is_aiperf(tree: Tree) -> bool:
    """Return whether an object is AIPerf's summary of one run."""
    keys = tree.members.keys()
    return (
        "request_throughput" in keys
        and isinstance(tree.members["request_throughput"], dict)
        and ("input_config" in keys or "aiperf_version" in keys)
    )


def read_aiperf(tree: Tree, entry: str) -> StatedRun:
    """Return one run. Raises DocumentError for a value that cannot be."""
    work, rates = _work(tree), _rates(tree)
    power, refused = _power(tree)
    known = {metric.name: metric.value for metric in rates}
    powered = power.mean_w is not None or power.energy_j is not None
    planned = FROM_SEND + (
        "; those of whole requests count from the plan" if "effective_latency" in tree.members else ""
    )
    doubts = run_doubts(TOOL, work, powered=powered, reason=power.reason, planned=planned)
    return StatedRun(
        entry=entry,
        tool=TOOL,
        format=FORMAT,
        version=tree.text("aiperf_version"),
        session=tree.text("benchmark_id"),
        status="partial" if tree.flag("was_cancelled") or tree.flag("is_complete") is False else "complete",
        started_at=instant_of(tree.text("start_time")),
        duration_s=_average(tree, "benchmark_duration", "s"),
        system=_system(tree),
        work=work,
        official=(),
        metrics=(*rates, *power_figures(power, known["throughput.requests"], known["throughput.output_tokens"])),
        latencies=_latencies(tree),
        power_reason=f"{TOOL} states totals of power, no samples" if powered else power.reason,
        doubts=ordered((*doubts, *refused)),
    )


def _average(tree: Tree, name: str, unit: str) -> float | None:
    """Return the value (or mean) of a metric in our unit; None for 0, and for a unit that is not known here."""
    return _converted(tree.tree(name), "avg", unit)


def _converted(metric: Tree, key: str, unit: str) -> float | None:
    factor = SI[unit].get(metric.text("unit") or "")
    value = metric.positive(key)
    return None if value is None or factor is None else value * factor


def _count(tree: Tree, name: str) -> int | None:
    value = _average(tree, name, "{count}")
    return None if value is None else round(value)


def _system(tree: Tree) -> StatedSystem:
    """Return the GPUs that its telemetry saw: their names and how many."""
    endpoints = tree.tree("telemetry_data").tree("endpoints").below()
    boards = [gpu for endpoint in endpoints for gpu in endpoint.tree("gpus").below()]
    names = dict.fromkeys(name for gpu in boards if (name := gpu.text("gpu_name")))
    hosts = {gpu.text("hostname") for gpu in boards}
    return StatedSystem(
        name=None,
        submitter=None,
        division=None,
        accelerator=", ".join(names) or None,
        accelerators=len(boards) or None,
        processor=None,
        processors=None,
        nodes=len(hosts) if boards and None not in hosts else None,
        meter=None,
        basis="the GPUs that its telemetry saw" if boards else "nothing states it",
    )


def _work(tree: Tree) -> StatedWork:
    config = tree.tree("input_config")
    phase = next((each for each in config.trees("phases") if each.text("name") == "profiling"), None)
    phase = phase or Tree(tool=TOOL, path="$.input_config.phases", members={})
    rate, concurrency = phase.positive("rate"), phase.count("concurrency")
    errors, share = _count(tree, "error_request_count"), tree.tree("request_error_rate").number("avg")
    models = config.tree("models").trees("items")
    return StatedWork(
        model=", ".join(name for each in models if (name := each.text("name"))) or None,
        precision=None,
        scenario=OPEN if rate is not None else CLOSED if concurrency else BURST,
        scenario_published=None,
        requests=_count(tree, "request_count"),
        queries=None,
        samples_per_query=None,
        tool_verdict=None,
        failed_requests=0 if errors is None and share == 0 else errors,
        input_tokens=_count(tree, "total_isl"),
        output_tokens=_count(tree, "total_osl"),
        concurrency=concurrency,
        rate_per_s=rate,
        settings={f"phase.{key}": value for key, value in phase.settings("type", "requests", "duration").items()}
        | {f"endpoint.{key}": value for key, value in config.tree("endpoint").settings("type", "streaming").items()}
        | tree.settings("schema_version"),
    )


def _rates(tree: Tree) -> tuple[Metric, ...]:
    fields = {
        "requests": ("request_throughput", "{request}/s"),
        "input_tokens": ("input_token_throughput", "{token}/s"),
        "output_tokens": ("output_token_throughput", "{token}/s"),
        "total_tokens": ("total_token_throughput", "{token}/s"),
    }
    return rate_figures(
        TOOL, {kind: (_average(tree, field, unit), as_stated(TOOL, field)) for kind, (field, unit) in fields.items()}
    )


def _latencies(tree: Tree) -> tuple[QuantileMetric, ...]:
    whole = "effective_latency" if "effective_latency" in tree.members else "request_latency"
    return (
        _latency(tree, "latency.request", whole, ""),
        _latency(tree, "latency.ttft", "time_to_first_token", ""),
        _latency(tree, "latency.tpot", "inter_token_latency", ""),
        _latency(tree, "latency.itl", "inter_chunk_latency", "; gaps between chunks, which may hold several tokens"),
    )


def _latency(tree: Tree, name: str, field: str, note: str) -> QuantileMetric:
    metric = tree.tree(field)
    return latency_of(
        name,
        mean_s=_converted(metric, "avg", "s"),
        quantiles_s={q: _converted(metric, key, "s") for key, q in QUANTILES.items()},
        count=metric.count("count"),
        method=as_stated(TOOL, field, f"in {metric.text('unit') or 'no unit'}") + note,
        reason=f"{TOOL} states no {field}, or 0, or in a unit that is not known here",
    )


def _power(tree: Tree) -> tuple[StatedPower, tuple[Doubt, ...]]:
    """Return the power of the one vendor that was watched, all unknown where two were or its figures contradict."""
    found = [vendor for vendor in VENDORS if _average(tree, f"{vendor}_total_gpu_energy", "J") is not None]
    if len(found) != 1:
        reason = f"{TOOL} states energy of {' and '.join(found)} apart" if found else f"{TOOL} states no energy of GPUs"
        return no_stated_power(reason), ()
    power = StatedPower(
        mean_w=_average(tree, f"{found[0]}_average_gpu_power", "W"),
        energy_j=_average(tree, f"{found[0]}_total_gpu_energy", "J"),
        per_request_j=_average(tree, f"{found[0]}_energy_per_request", "J/{request}"),
        per_input_token_j=None,
        per_output_token_j=_average(tree, f"{found[0]}_energy_per_output_token", "J/{token}"),
        method=METHOD,
        reason=f"{TOOL} does not state it",
    )
    wrong = _contradiction(tree, power, _average(tree, f"{found[0]}_total_gpu_power", "W"))
    if wrong is None:
        return power, ()
    advice = "Do not quote its energy: its first sample of the counter may be older than the run."
    doubt = Doubt(code="counter_residual", severity="doubt", facts=f"its power is left out: {wrong}", advice=advice)
    return no_stated_power(wrong), (doubt,)


def _contradiction(tree: Tree, power: StatedPower, sampled_w: float | None) -> str | None:
    """Return how energy / duration and the mean of the sampled power differ where both cannot be true, else None."""
    duration_s = _average(tree, "benchmark_duration", "s")
    if power.mean_w is None or sampled_w is None or duration_s is None:
        return None
    share = power.mean_w / sampled_w
    if 1 - DIFFERENCE <= share <= 1 + DIFFERENCE + EDGE_S / duration_s:
        return None
    return f"its energy / duration is {power.mean_w:.4g} W, the mean of its samples {sampled_w:.4g} W"
