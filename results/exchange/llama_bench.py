"""Results of `llama-bench -o json` (or jsonl): one object a test, with the time of every repetition.

Field names and their meaning: ggml-org/llama.cpp, tools/llama-bench/llama-bench.cpp (read at commit 0104b15). A test
processes `n_prompt` tokens in one batch, or generates `n_gen` one by one, or one after the other.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath

from wattbench.results.doubts import Doubt
from wattbench.results.exchange.foreign import Tree
from wattbench.results.exchange.stated import StatedRun, figure_of, instant_of, latency_of, ordered
from wattbench.results.figures import figure
from wattbench.results.imported import OfficialFigure, StatedSystem, StatedWork
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.stats import median

__all__ = ["TOOL", "is_llama_bench", "read_llama_bench"]

TOOL = "llama-bench"
FORMAT = "llama-bench -o json"
MARKS = frozenset({"build_commit", "model_type", "n_prompt", "n_gen", "samples_ns"})

NS_PER_S = 1e9
REPEATS_PROTOCOL = 5
FILE_TYPE = re.compile(r"(?:all F32|B?F16|MXFP4.*|NVFP4.*|T?I?Q\d.*)$")
"""How the names of weight formats begin that end a `model_type` such as "llama 1B Q4_K - Medium"."""

SETTINGS = (
    *("backends", "devices", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "n_gpu_layers", "n_cpu_moe"),
    *("split_mode", "main_gpu", "flash_attn", "no_kv_offload", "tensor_split", "load_mode", "embeddings"),
    *("n_prompt", "n_gen", "n_depth", "model_size", "model_n_params", "build_number"),
)
NO_POWER = "llama-bench measures no power"


def is_llama_bench(tree: Tree) -> bool:
    """Return whether an object has the fields of a test."""
    return tree.members.keys() >= MARKS


def read_llama_bench(tree: Tree, entry: str) -> StatedRun:
    """Return one test. Raises DocumentError for a value that cannot be, and for a test without a repetition."""
    spans_s = [ns / NS_PER_S for ns in tree.numbers("samples_ns")]
    if not spans_s or min(spans_s) <= 0:
        raise tree.wrong("samples_ns", "it has no repetition, or one that took no time")
    prompt, generated = tree.count("n_prompt") or 0, tree.count("n_gen") or 0
    if prompt + generated == 0:
        raise tree.wrong("n_prompt", "a test without a token measures nothing")
    test = _name(prompt, generated, tree.count("n_depth") or 0)
    return StatedRun(
        entry=f"{entry}-{test}" if entry else test,
        tool=TOOL,
        format=FORMAT,
        version=tree.text("build_commit"),
        session=None,
        status="complete",
        started_at=instant_of(tree.text("test_time")),
        duration_s=sum(spans_s),
        system=_system(tree),
        work=_work(tree, test, len(spans_s), prompt, generated),
        official=(_official(tree, test),),
        metrics=_metrics(spans_s, prompt, generated),
        latencies=(_latency(spans_s, prompt, generated),),
        power_reason=NO_POWER,
        doubts=ordered(_doubts(len(spans_s))),
    )


def _name(prompt: int, generated: int, depth: int) -> str:
    """Return a test's name as llama-bench prints it."""
    phases = [f"{phase}{tokens}" for phase, tokens in (("pp", prompt), ("tg", generated)) if tokens]
    return "+".join(phases) + (f"@d{depth}" if depth else "")


def _system(tree: Tree) -> StatedSystem:
    accelerator = tree.text("gpu_info")
    return StatedSystem(
        name=None,
        submitter=None,
        division=None,
        accelerator=accelerator,
        accelerators=0 if accelerator is None and tree.text("backends") == "CPU" else None,
        processor=tree.text("cpu_info"),
        processors=None,
        nodes=1,
        meter=None,
        basis="gpu_info and cpu_info of the file",
        software=f"llama.cpp {tree.text('build_commit') or 'of an unknown build'}",
    )


def _work(tree: Tree, test: str, repetitions: int, prompt: int, generated: int) -> StatedWork:
    kind = tree.text("model_type")
    found = FILE_TYPE.search(kind) if kind else None
    return StatedWork(
        model=_file_name(tree.text("model_filename")) or kind,
        precision=found[0] if found else None,
        scenario=test,
        scenario_published=None,
        requests=repetitions if prompt and generated else None,
        queries=None,
        samples_per_query=None,
        tool_verdict=None,
        input_tokens=repetitions * prompt,
        output_tokens=repetitions * generated,
        concurrency=1,
        settings=({"model_type": kind} if kind else {}) | tree.settings(*SETTINGS),
    )


def _file_name(path: str | None) -> str | None:
    """Return the file's own name: the folders are its owner's."""
    return PurePosixPath(PureWindowsPath(path).as_posix()).name or None if path else None


def _official(tree: Tree, test: str) -> OfficialFigure:
    return OfficialFigure(
        scenario=test,
        inferred=False,
        performance=tree.number("avg_ts"),
        performance_unit="{token}/s",
        power_w=None,
        energy_per_query_j=None,
        efficiency=None,
        efficiency_unit="{token}/J",
        samples=0,
        samples_expected=None,
        method="`avg_ts`: mean of the repetitions' rates (llama-bench.cpp)",
    )


def _metrics(spans_s: list[float], prompt: int, generated: int) -> tuple[Metric, ...]:
    """Return our rates: each repetition a sample, the median their value."""
    whole = prompt > 0 and generated > 0
    one = "a test of one phase is no whole request"
    rows = (
        ("throughput.requests", "{request}/s", 1 if whole else 0, one),
        ("throughput.input_tokens", "{token}/s", prompt, "the test has no prompt"),
        ("throughput.output_tokens", "{token}/s", generated, "the test generates nothing"),
        ("throughput.total_tokens", "{token}/s", prompt + generated, ""),
        ("throughput.prefill_tokens", "{token}/s", 0 if whole else prompt, "no phase was timed alone"),
        ("throughput.decode_tokens", "{token}/s", 0 if whole else generated, "no phase was timed alone"),
    )
    found = []
    for name, unit, amount, reason in rows:
        method = f"{amount} / `samples_ns` of each repetition, one sequence at a time"
        if amount:
            found.append(figure(name, unit, [amount / span_s for span_s in spans_s], method, reason=reason))
        else:
            found.append(figure_of(name, unit, None, "not measured", reason))
    return tuple(found)


def _latency(spans_s: list[float], prompt: int, generated: int) -> QuantileMetric:
    whole = prompt > 0 and generated > 0
    return latency_of(
        "latency.request",
        mean_s=sum(spans_s) / len(spans_s) if whole else None,
        quantiles_s={0.5: median(spans_s)},
        count=len(spans_s),
        method="`samples_ns` / 1e9, one repetition being one request",
        reason="a test of one phase is no whole request",
    )


def _doubts(repetitions: int) -> Iterator[Doubt]:
    if repetitions < REPEATS_PROTOCOL:
        facts = f"{repetitions} repetitions"
        yield Doubt(code="few_repeats", severity="doubt", facts=facts, advice="Ask llama-bench for five (-r 5).")
    advice = "A meter's recording cannot be attached to an import."
    yield Doubt(code="unmeasured_scope", severity="note", facts=NO_POWER, advice=advice)
