"""Export the catalogue's models to ONNX at full size and compare each graph with torch: prefill and 32 decode steps.

Run: python benchmarks/onnx_exports.py [--precision float32] [--models bert-base gpt2 ...] [--cache FOLDER]
Goal: no position's outputs are further from torch's float32 ones than the load's tolerance allows.
"""

import argparse
import gc
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
import onnxruntime

from wattbench.backends.contract import Batch
from wattbench.backends.onnxruntime.decoder import DecoderEngine
from wattbench.backends.onnxruntime.encoder import EncoderEngine
from wattbench.backends.onnxruntime.graphs import Graph, graph_for
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.testing import make_batch

LOADS = (
    "tiny-encoder/tiny-encode",
    "tiny-decoder/tiny",
    "minilm-l6/classify-128",
    "bert-base/classify-128",
    "bert-large/classify-128",
    "vit-b16/image-224",
    "gpt2/chat",
    "smollm2-135m/chat",
    "qwen3-0.6b/chat",
)
PROMPT, STEPS, SEED = 64, 32, 0
REQUESTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model: its graph, and the largest relative error of a position in the prefill and in the steps after it."""

    name: str
    graph: Graph
    prefill: float
    steps: float | None
    tolerance: float


def main() -> None:
    """Print one row a model as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--models", nargs="*", help="the first part of loads' names; all when left out")
    parser.add_argument("--cache", type=Path, help="where graphs are kept; a temporary folder when left out")
    options = parser.parse_args()
    print(f"ONNX Runtime {onnxruntime.__version__}, {options.precision}, {REQUESTS} requests, {STEPS} steps")
    print(f"{'model':<14}{'nodes':>7}{'export s':>10}{'prefill':>10}{f'{STEPS} steps':>10}{'tolerance':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for name in LOADS:
            if not options.models or name.split("/")[0] in options.models:
                print(line(compared(name, options.precision, options.cache or Path(folder))), flush=True)
                gc.collect()


def compared(name: str, precision: str, cache: Path) -> Row:
    """Export a load's model unless it is kept, and compare the graph's outputs with torch's."""
    load = sized(find_load(name))
    graph = graph_for(load, weights="synthetic", seed=SEED, precision=precision, cache=cache)
    batch = make_batch(load, REQUESTS, SEED)
    steps = STEPS if graph.cache else 0
    reference = reference_outputs(load.model, batch.arrays, steps, weights="synthetic", seed=SEED)
    if reference.weights_digest != graph.weights.digest:
        raise SystemExit(f"{name}: the graph's weights are not torch's")
    found = outputs(load, graph, batch, reference.forced_tokens)
    errors = numpy.linalg.norm(found - reference.values, axis=1) / numpy.linalg.norm(reference.values, axis=1)
    bound = load.model.tolerance(precision)
    return Row(
        name=load.model.name,
        graph=graph,
        prefill=float(errors[0] if steps else errors.max()),
        steps=float(errors[1:].max()) if steps else None,
        tolerance=bound.relative_error if bound else 0.0,
    )


def sized(load: Load) -> Load:
    """Return the load with a prompt that leaves room for the steps; encoders keep their own input."""
    if load.model.family != "decoder":
        return load
    tiny = load.shape.input_tokens < PROMPT
    prompt = load.shape.input_tokens if tiny else PROMPT
    return replace(load, shape=replace(load.shape, input_tokens=prompt, output_tokens=STEPS))


def outputs(load: Load, graph: Graph, batch: Batch, forced: numpy.ndarray | None) -> numpy.ndarray:
    """Return what the graph computes for request 0 on the CPU provider."""
    session = onnxruntime.InferenceSession(graph.path, providers=["CPUExecutionProvider"])
    if graph.cache is None:
        return EncoderEngine(session, graph, device="cpu", device_id=0).outputs(batch, None).values
    context = load.context_tokens
    engine = DecoderEngine(session, graph, requests=REQUESTS, context=context, device="cpu", device_id=0)
    return engine.outputs(batch, forced).values


def line(row: Row) -> str:
    """Return a row of the table."""
    steps = "-" if row.steps is None else f"{row.steps:.1e}"
    verdict = "" if max(row.prefill, row.steps or 0.0) <= row.tolerance else "  BEYOND"
    cells = f"{row.name:<14}{row.graph.nodes:>7}{row.graph.build_s:>10.1f}{row.prefill:>10.1e}{steps:>10}"
    return f"{cells}{row.tolerance:>11.0e}{verdict}"


if __name__ == "__main__":
    main()
