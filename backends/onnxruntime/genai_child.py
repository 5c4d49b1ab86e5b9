"""Builds a folder for ONNX Runtime GenAI: weights by torch, the graph by its model builder, a trial of the result.

`python -m wattbench.backends.onnxruntime.genai_child FOLDER` reads the request in FOLDER and writes there what the
generator reads and a record, or what went wrong. It is a process of its own: torch leaves threads and memory behind.
"""

import copy
import gc
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy
import onnx_ir
import onnxruntime_genai
import psutil
import torch

from wattbench.backends.kept import REQUEST, tell_failure
from wattbench.backends.onnxruntime.genai_build import (
    RECORD,
    BuildRequest,
    GenaiGraph,
    installed_versions,
    refuse_if_too_big,
)
from wattbench.backends.onnxruntime.graph_facts import weight_bytes
from wattbench.backends.serving import die_with_parent
from wattbench.models.torch_build import build, quiet_transformers
from wattbench.models.torch_memory import memory_errors
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import DeviceError, WattbenchError
from wattbench.results.subject import WeightsRecord

__all__ = ["main"]

CPU = torch.device("cpu")
GRAPH, SETTINGS = "model.onnx", "genai_config.json"

NO_TOKEN = -1
"""No token has this number: GenAI takes a prompt's padding tokens out of attention, and ours has none."""

KERNEL = "_kernel_time"
"""How ONNX Runtime's profile ends the name of a node that ran."""

TRIAL_TOKENS = (1, 2, 3)
TRIAL_STEPS = 2


def main(folder: Path) -> int:
    """Build what a folder's request asks for and return the exit code; a failure is written beside it."""
    die_with_parent()
    request = decode(json.loads((folder / REQUEST).read_bytes()), BuildRequest)
    try:
        graph = _build(request, folder, Path(mkdtemp()))
    except WattbenchError as exc:
        tell_failure(folder, exc)
        return 1
    (folder / RECORD).write_text(json.dumps(to_builtins(graph)))
    return 0


def _build(request: BuildRequest, folder: Path, scratch: Path) -> GenaiGraph:
    refuse_if_too_big(request, psutil.virtual_memory().available)
    weights = _save_checkpoint(request, scratch / "checkpoint")
    gc.collect()
    _run_builder(request, scratch / "checkpoint", folder, scratch / "parts")
    gc.collect()
    _fix_lengths(folder / SETTINGS)
    return GenaiGraph(
        path="",
        weights=weights,
        weight_bytes=weight_bytes(folder / GRAPH),
        kv_bytes_per_token=_kv_bytes_per_token(folder),
        nodes=_trial(folder, scratch / "trial"),
        versions=installed_versions(),
    )


def _save_checkpoint(request: BuildRequest, folder: Path) -> WeightsRecord:
    """Write the weights as the builder reads them: a folder of transformers, with a tokenizer that nobody will use.

    The tensors go through a fresh module: one that was loaded from a quantised file refuses to be saved.
    """
    model = request.model
    with memory_errors(f"building the graph of {model.name}", 8 * model.parameter_count, CPU):
        built = build(model, weights=request.weights, seed=request.seed, dtype=torch.float32, device=CPU)
    loaded: Any = built.module  # any: a PreTrainedModel, untyped here
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with quiet_transformers():
        with torch.device("meta"):
            fresh = type(loaded)(config)
        fresh.load_state_dict(loaded.state_dict(), assign=True)
        fresh.tie_weights()
        fresh.save_pretrained(folder)
    words = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": words}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return built.weights


def _run_builder(request: BuildRequest, checkpoint: Path, folder: Path, parts: Path) -> None:
    """Run GenAI's model builder by the two calls that its own command line makes."""
    import onnxruntime_genai.models  # noqa: F401 # makes the builder's parts importable
    from onnxruntime_genai.models import builder

    place = (None, str(checkpoint), str(folder), request.precision, request.provider, str(parts))
    try:
        options = builder.parse_extra_options(*place, ["hf_token=false", *request.options])
        builder.create_model(*place, **options)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as exc:
        said = " ".join(str(exc).split()) or type(exc).__name__
        what = f"ONNX Runtime GenAI's model builder refuses {request.model.name}"
        raise DeviceError(what, said, "Choose another --tuning or --precision.") from exc


def _fix_lengths(path: Path) -> None:
    """Let no token of a prompt stand for nothing, and make the one that ends a text the last of the vocabulary.

    The generator insists on a token that ends a text; with `min_length` as long as the text it is never taken.
    """
    settings = json.loads(path.read_text())
    settings["model"] |= {"eos_token_id": settings["model"]["vocab_size"] - 1, "pad_token_id": NO_TOKEN}
    path.write_text(json.dumps(settings, indent=1))


def _kv_bytes_per_token(folder: Path) -> int:
    """Return the bytes of one position in the cache: a key and a value a layer, in the type of the graph's inputs."""
    decoder = json.loads((folder / SETTINGS).read_text())["model"]["decoder"]
    inputs = onnx_ir.load(folder / GRAPH).graph.inputs
    sizes = [v.dtype.itemsize for v in inputs if v.dtype is not None and str(v.name).startswith("past_key_values.")]
    numbers: int = decoder["num_key_value_heads"] * decoder["head_size"]
    return round(sum(sizes) * numbers)


def _trial(folder: Path, prefix: Path) -> dict[str, dict[str, int]]:
    """Run a few steps of the finished folder; return the nodes that each provider ran, by ONNX Runtime's profile."""
    genai: Any = onnxruntime_genai  # any: a compiled module without stubs
    settings = genai.Config(str(folder))
    settings.overlay(json.dumps({"model": {"decoder": {"session_options": {"enable_profiling": str(prefix)}}}}))
    model = genai.Model(settings)
    params = genai.GeneratorParams(model)
    length = len(TRIAL_TOKENS) + TRIAL_STEPS
    params.set_search_options(max_length=length, min_length=length, batch_size=1, do_sample=False)
    generator = genai.Generator(model, params)
    generator.append_tokens(numpy.array(TRIAL_TOKENS, dtype=numpy.int32))
    for _ in range(TRIAL_STEPS):
        generator.generate_next_token()
    del generator, params, model, settings  # the profile is written when the session ends
    gc.collect()
    return _nodes_run(prefix)


def _nodes_run(prefix: Path) -> dict[str, dict[str, int]]:
    """Return how many nodes of each operator each provider ran, from the profiles whose names begin with `prefix`."""
    seen: set[tuple[str, str, str]] = set()
    for profile in prefix.parent.glob(f"{prefix.name}*.json"):
        for event in json.loads(profile.read_text()):
            if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
                seen.add((event["args"]["provider"], event["args"]["op_name"], event["name"]))
    if not seen:
        raise DeviceError("ONNX Runtime GenAI's trial left no profile", f"looked for {prefix}*.json")
    nodes: dict[str, Counter[str]] = {}
    for provider, operator, _ in seen:
        nodes.setdefault(provider, Counter())[operator] += 1
    return {provider: dict(operators) for provider, operators in nodes.items()}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
