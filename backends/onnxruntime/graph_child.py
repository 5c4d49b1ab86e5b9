"""Builds one graph: exported by torch, or made from an exported one.

`python -m wattbench.backends.onnxruntime.graph_child FOLDER` reads the request in FOLDER and writes the graph and its
record there, or what went wrong. It is a process of its own: torch leaves threads and memory behind.
"""

import json
import logging
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from wattbench.backends.kept import REQUEST, tell_failure
from wattbench.backends.onnxruntime.graph_facts import node_count, weight_bytes
from wattbench.backends.onnxruntime.graphs import PACKAGES, RECORD, Graph, GraphRequest
from wattbench.backends.serving import die_with_parent
from wattbench.models.onnx_model import CacheShape
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import WattbenchError

__all__ = ["main"]

FILE = "model.onnx"

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def main(folder: Path) -> int:
    """Build what a folder's request asks for and return the exit code; a failure is written beside it."""
    die_with_parent()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    request = decode(json.loads((folder / REQUEST).read_bytes()), GraphRequest)
    try:
        graph = _exported(request, folder) if request.base is None else _quantised(request, Path(request.base), folder)
    except WattbenchError as exc:
        tell_failure(folder, exc)
        return 1
    (folder / RECORD).write_text(json.dumps(to_builtins(graph)))
    return 0


def _exported(request: GraphRequest, folder: Path) -> Graph:
    import torch

    from wattbench.models.onnx_export import OPSET, export
    from wattbench.models.torch_memory import memory_errors

    start = perf_counter()
    model, precision = request.model, request.precision
    with memory_errors(f"exporting {model.name}", 8 * model.parameter_count, torch.device("cpu")):
        made = export(model, weights=request.weights, seed=request.seed, precision=precision, folder=folder)
    steps = [f"exported from torch in {precision} (opset {OPSET}), linear layers as products with constants"]
    if made.cache is not None:
        steps.append("attention with its cache as one node a layer (GroupQueryAttention), the next token in the graph")
    return Graph(
        path=FILE,
        family=made.family,
        precision=precision,
        compute_precision=precision,
        weights=made.weights,
        inputs=made.inputs,
        outputs=made.outputs,
        cache=made.cache,
        weight_bytes=weight_bytes(made.path),
        kv_bytes_per_token=None if made.cache is None else _kv_bytes(made.cache),
        nodes=made.nodes,
        steps=tuple(steps),
        versions=_versions(),
        build_s=perf_counter() - start,
    )


def _quantised(request: GraphRequest, base: Path, folder: Path) -> Graph:
    from wattbench.backends.onnxruntime.graph_quantise import INT4_WORDS, int8_words, quantise

    start = perf_counter()
    source = decode(json.loads((base.parent / RECORD).read_bytes()), Graph)
    target = folder / FILE
    ranges = {"reduced_range": request.reduced_range, "by_row": request.model.family != "decoder"}
    quantise(base, target, request.precision, **ranges)
    words = int8_words(**ranges) if request.precision == "int8" else INT4_WORDS
    return replace(
        source,
        precision=request.precision,
        compute_precision="int8",
        weight_bytes=weight_bytes(target),
        nodes=node_count(target),
        steps=(*source.steps, words),
        versions=_versions(),
        build_s=perf_counter() - start,
    )


def _kv_bytes(cache: CacheShape) -> int:
    """Return the bytes of one position of one request: a key and a value a layer."""
    return 2 * cache.layers * cache.kv_heads * cache.head_dim * BYTES[cache.precision]


def _versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
