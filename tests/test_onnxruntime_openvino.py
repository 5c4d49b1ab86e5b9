"""OpenVINO's plug-in provider on the CPU: a real second provider, in float32 and in what it would choose itself."""

from dataclasses import replace

import numpy
import pytest

pytest.importorskip("onnx", reason="graphs are made with it")
pytest.importorskip("torch", reason="graphs are exported from it")
pytest.importorskip("onnxruntime_ep_openvino", reason="pip install onnxruntime-ep-openvino")

from wattbench.backends.contract import Preparation, Prepared
from wattbench.backends.onnxruntime.backend import OnnxRuntimeBackend
from wattbench.backends.onnxruntime.listing import listing_from_child
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.testing import BackendCase, BackendContract, make_batch

DEVICE = "openvino:cpu"

FOUND = [info.name for info in OnnxRuntimeBackend().devices()]
pytestmark = [
    pytest.mark.usefixtures("kept_graphs"),
    pytest.mark.skipif(
        DEVICE not in FOUND,
        reason=f"openvino: {listing_from_child().refused.get('onnxruntime_ep_openvino', 'no CPU among its devices')}",
    ),
]


def small_bert() -> Load:
    """Return BERT of two narrow layers: layer norms and GELU, as in the catalogue's encoders."""
    load = find_load("bert-base/classify-128")
    config = load.model.config | {
        "vocab_size": 300,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    return Load(
        model=replace(load.model, name="small-bert", config=config, parameters=30_000),
        shape=replace(load.shape, name="short", input_tokens=12),
    )


class TestTinyEncoderContract(BackendContract):
    """The tiny encoder keeps the contract; its newer normalisation is written out."""

    case = BackendCase(
        make_backend=OnnxRuntimeBackend, tuning="graph", load=find_load("tiny-encoder/tiny-encode"), device=DEVICE
    )


class TestBertContract(BackendContract):
    """A small BERT keeps the contract."""

    case = BackendCase(make_backend=OnnxRuntimeBackend, tuning="graph", load=small_bert(), device=DEVICE)


def prepared(backend: OnnxRuntimeBackend, precision: str) -> Prepared:
    """Prepare the small BERT on OpenVINO."""
    return backend.prepare(
        Preparation(
            load=small_bert(),
            weights="synthetic",
            seed=0,
            precision=precision,
            device=DEVICE,
            batch=2,
            threads=1,
            affinity=None,
            tuning="graph",
        )
    )


def error_in(precision: str) -> float:
    """Return the relative error of the small BERT's outputs in a precision."""
    load, backend = small_bert(), OnnxRuntimeBackend()
    try:
        prepared(backend, precision)
        found = backend.outputs(make_batch(load), None).values
    finally:
        backend.close()
    wanted = reference_outputs(load.model, make_batch(load).arrays, 0, weights="synthetic", seed=0).values
    return float(numpy.linalg.norm(found - wanted) / numpy.linalg.norm(wanted))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_every_node_is_on_openvino(precision: str) -> None:
    """The record proves a share of 1 without fallback, and names the package."""
    backend = OnnxRuntimeBackend()
    record = prepared(backend, precision).backend
    backend.close()

    assert (1.0, None, precision) == (record.placement_share, record.fallback, record.precision_effective)
    assert "onnxruntime-ep-openvino" in record.versions
    assert "INFERENCE_PRECISION_HINT" in record.tuning


def test_float32_is_really_float32() -> None:
    """OpenVINO's own choice on processors with bfloat16 would be a thousand times less exact."""
    assert error_in("float32") < 1e-5


def test_bfloat16_is_really_bfloat16() -> None:
    """Asked for bfloat16, the numbers are those of 8 significant bits."""
    if "bfloat16" not in next(info for info in OnnxRuntimeBackend().devices() if info.name == DEVICE).precisions:
        pytest.skip("this processor has no bfloat16")

    assert 1e-4 < error_in("bfloat16") < 0.05
