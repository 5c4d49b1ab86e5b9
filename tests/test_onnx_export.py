"""Exported graphs compute what the torch modules compute: each architecture in a small size."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

pytest.importorskip("onnxruntime", reason="graphs are run by it")
pytest.importorskip("onnxscript", reason="torch exports through it")
pytest.importorskip("transformers", reason="the real architectures are transformers' modules")

import onnx_ir
import onnxruntime
import torch

from wattbench.backends.contract import Outputs
from wattbench.backends.onnxruntime.decoder import DecoderEngine
from wattbench.backends.onnxruntime.encoder import EncoderEngine
from wattbench.backends.onnxruntime.graphs import Graph
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.onnx_export import export
from wattbench.models.onnx_model import ExportedModel, past_names, refuse_unexportable
from wattbench.models.torch_build import build
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import UsageError
from wattbench.testing import make_batch

STEPS = 32
SMALL = {"vocab_size": 120, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.2}
LLAMA = SMALL | {
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
LLAMA3_ROTARY = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
ENCODER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
CHANGES: dict[str, dict[str, object]] = {
    "bert-base/classify-128": ENCODER | {"vocab_size": 100},
    "gpt2/chat": SMALL | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "llama-3.1-8b/chat": LLAMA | {"rope_parameters": LLAMA3_ROTARY, "tie_word_embeddings": False},
    "qwen3-0.6b/chat": LLAMA | {"head_dim": 16},
    "smollm2-135m/chat": LLAMA,
    "tiny-decoder/tiny": {},
    "tiny-encoder/tiny-encode": {},
    "vit-b16/image-224": ENCODER | {"image_size": 32, "num_labels": 10},
}
"""The catalogue's models with a few of their fields made small."""

DECODERS = [name for name in CHANGES if find_load(name).model.family == "decoder"]
ENCODERS = [name for name in CHANGES if name not in DECODERS]


def small(name: str) -> Load:
    """Return a load of the catalogue with a small model, and few tokens where it has any."""
    load = find_load(name)
    model = replace(load.model, config=load.model.config | CHANGES[name], parameters=1)
    writes = model.family == "decoder"
    tokens = 20 if load.shape.modality == "tokens" else 5
    return Load(model=model, shape=replace(load.shape, input_tokens=tokens, output_tokens=8 if writes else 0))


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportedModel]:
    """Export every small model once, in float32."""
    found = {}
    for name in CHANGES:
        folder = tmp_path_factory.mktemp("graph")
        found[name] = export(small(name).model, weights="synthetic", seed=3, precision="float32", folder=folder)
    return found


def session_of(path: Path) -> Any:  # any: onnxruntime is untyped
    """Open a graph on the CPU with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def outputs_of(load: Load, exported: ExportedModel, requests: int, forced: numpy.ndarray | None) -> Outputs:
    """Return what the engine computes for a batch from an exported graph."""
    graph = Graph(
        path=str(exported.path),
        family=exported.family,
        precision=exported.precision,
        compute_precision=exported.precision,
        weights=exported.weights,
        inputs=exported.inputs,
        outputs=exported.outputs,
        cache=exported.cache,
        weight_bytes=0,
        kv_bytes_per_token=None,
        nodes=exported.nodes,
        steps=(),
        versions={},
        build_s=0.0,
    )
    session, batch = session_of(exported.path), make_batch(load, requests)
    if exported.cache is None:
        return EncoderEngine(session, graph, device="cpu", device_id=0).outputs(batch, None)
    context = load.shape.input_tokens + STEPS
    engine = DecoderEngine(session, graph, requests=requests, context=context, device="cpu", device_id=0)
    return engine.outputs(batch, forced)


def worst_error(values: numpy.ndarray, reference: numpy.ndarray) -> float:
    """Return the largest ||value - reference|| / ||reference|| of a position."""
    return float(numpy.max(numpy.linalg.norm(values - reference, axis=1) / numpy.linalg.norm(reference, axis=1)))


@pytest.mark.parametrize("name", DECODERS)
def test_prefill_and_32_steps_are_those_of_torch(name: str, exports: dict[str, ExportedModel]) -> None:
    """A decoder's logits over its cache are those of torch's full forwards within float32's accuracy."""
    load = small(name)
    arrays = make_batch(load, 2).arrays
    reference = reference_outputs(load.model, arrays, STEPS, weights="synthetic", seed=3)

    found = outputs_of(load, exports[name], 2, reference.forced_tokens)

    assert (STEPS + 1, reference.values.shape[1]) == found.values.shape
    assert worst_error(found.values, reference.values) < 2e-5


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("requests", [1, 3])
def test_vectors_are_those_of_torch(name: str, requests: int, exports: dict[str, ExportedModel]) -> None:
    """An encoder's hidden states and vectors, or class logits, are torch's whatever the batch's size."""
    load = small(name)
    reference = reference_outputs(load.model, make_batch(load, requests).arrays, 0, weights="synthetic", seed=3)

    found = outputs_of(load, exports[name], requests, None)

    assert reference.values.shape == found.values.shape
    assert worst_error(found.values, reference.values) < 2e-5


@pytest.mark.parametrize("name", ["bert-base/classify-128", "tiny-encoder/tiny-encode"])
def test_an_encoder_takes_any_length(name: str, exports: dict[str, ExportedModel]) -> None:
    """The number of positions is free in the graph of a text encoder."""
    load = small(name)
    longer = replace(load, shape=replace(load.shape, input_tokens=33))
    reference = reference_outputs(load.model, make_batch(longer, 2).arrays, 0, weights="synthetic", seed=3)

    assert worst_error(outputs_of(longer, exports[name], 2, None).values, reference.values) < 2e-5


def test_the_weights_are_those_that_torch_runs(exports: dict[str, ExportedModel]) -> None:
    """A graph carries the record, and so the digest, of the weights that `build` makes from the same seed."""
    for name in ("tiny-decoder/tiny", "qwen3-0.6b/chat"):
        cpu = torch.device("cpu")
        built = build(small(name).model, weights="synthetic", seed=3, dtype=torch.float32, device=cpu)

        assert built.weights == exports[name].weights


def test_weights_lie_beside_the_graph(exports: dict[str, ExportedModel]) -> None:
    """The .onnx file holds no weights, so that there is no limit to their size."""
    exported = exports["qwen3-0.6b/chat"]
    parameters = sum(p.numel() for p in _module("qwen3-0.6b/chat").parameters())

    assert exported.path.stat().st_size < 50_000
    assert exported.path.with_name("model.onnx.data").stat().st_size >= 4 * parameters


def test_a_graph_names_no_path_of_this_machine(exports: dict[str, ExportedModel]) -> None:
    """The stack traces that torch's exporter leaves in its nodes are gone."""
    written = exports["bert-base/classify-128"].path.read_bytes()

    assert b"site-packages" not in written
    assert str(Path(torch.__file__).parent).encode() not in written


def test_products_are_with_constants(exports: dict[str, ExportedModel]) -> None:
    """Every product of a Llama decoder has a constant of its own, which is what quantisers look for."""
    graph = onnx_ir.load(exports["smollm2-135m/chat"].path).graph
    products = [node for node in graph if node.op_type in ("MatMul", "Gemm")]

    assert 2 * 4 + 1 == len(products)  # a layer: queries, keys, values; out; gate, up; down. And the head
    assert all(node.inputs[1].name in graph.initializers for node in products)


def test_a_decoder_names_its_cache(exports: dict[str, ExportedModel]) -> None:
    """Inputs are tokens, the context's length and the cache's tensors, named as ONNX Runtime GenAI does."""
    exported = exports["smollm2-135m/chat"]

    assert ("input_ids", "total_sequence_length", *past_names(2)) == exported.inputs
    assert ("past_key_values.0.key", "present.0.key") == exported.cache.names()[0]  # type: ignore[union-attr] # decoder
    assert [x.name for x in session_of(exported.path).get_inputs()] == list(exported.inputs)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_keeps_outputs_in_float32(precision: str, tmp_path: Path) -> None:
    """A graph in half precision has a cache of that type, half the bytes, and logits in float32."""
    load = small("smollm2-135m/chat")
    exported = export(load.model, weights="synthetic", seed=3, precision=precision, folder=tmp_path)
    graph = onnx_ir.load(exported.path).graph
    kinds = {value.name: str(value.dtype) for value in (*graph.inputs, *graph.outputs)}

    assert {"bfloat16": "BFLOAT16", "float16": "FLOAT16"}[precision] == kinds["past_key_values.1.value"]
    assert "FLOAT" == kinds["logits"]
    assert precision == exported.cache.precision  # type: ignore[union-attr] # decoder


@pytest.mark.parametrize(
    "name", ["t5-base/translate", "whisper-large-v3/transcribe", "mixtral-8x7b/chat", "gpt-oss-20b/chat"]
)
def test_architectures_without_an_export_are_refused(name: str) -> None:
    """A model that cannot be exported is refused before anything is built, with what can be."""
    with pytest.raises(UsageError, match="no ONNX export") as caught:
        refuse_unexportable(find_load(name).model)

    assert "LlamaConfig" in caught.value.why


def test_angles_that_depend_on_the_length_are_refused() -> None:
    """Rotary positions that change with the context cannot be a table of the graph."""
    model = small("smollm2-135m/chat").model
    dynamic = replace(model, config=model.config | {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}})

    with pytest.raises(UsageError, match="dynamic"):
        refuse_unexportable(dynamic)


def test_odd_widths_of_heads_are_refused() -> None:
    """ONNX Runtime's attention takes heads of 16, 32, 48 ... numbers where they are rotated."""
    model = small("qwen3-0.6b/chat").model
    odd = replace(model, config=model.config | {"head_dim": 24})

    with pytest.raises(UsageError, match="heads are 24 wide"):
        refuse_unexportable(odd)


def test_quantised_precisions_are_not_exported(tmp_path: Path) -> None:
    """Int8 is made from a float32 graph, not exported."""
    with pytest.raises(UsageError, match="Export in float32 and quantise"):
        export(small("tiny-decoder/tiny").model, weights="synthetic", seed=0, precision="int8", folder=tmp_path)


def _module(name: str) -> torch.nn.Module:
    cpu = torch.device("cpu")
    return build(small(name).model, weights="synthetic", seed=3, dtype=torch.float32, device=cpu).module
