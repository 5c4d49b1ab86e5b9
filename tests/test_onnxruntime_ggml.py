"""The ggml provider: a real plug-in on any CPU, which is listed even where it computes nothing."""

from pathlib import Path

import numpy
import pytest

pytest.importorskip("onnx", reason="graphs are made with it")
pytest.importorskip("onnxruntime_ggml", reason="pip install --no-deps onnxruntime-ggml==0.2.0")

import onnx
from onnx import TensorProto, helper

from wattbench.backends.contract import Preparation
from wattbench.backends.onnxruntime.backend import OnnxRuntimeBackend
from wattbench.backends.onnxruntime.session import find_offer, open_session, release
from wattbench.models.find import find_load
from wattbench.results.errors import DeviceError


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Save a graph of products and a softmax, which ggml knows."""
    weights = numpy.random.default_rng(0).standard_normal((64, 64), dtype=numpy.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Softmax", ["m"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_a_plugin_can_have_every_node(product: Path) -> None:
    """A graph that the plug-in claims is on it alone, and gives the CPU's numbers in float32."""
    x = numpy.random.default_rng(1).standard_normal((2, 64), dtype=numpy.float32)
    cpu = open_session(product, find_offer("cpu"), threads=1, precision="float32", allow_fallback=False)
    ggml = open_session(product, find_offer("ggml:cpu"), threads=1, precision="float32", allow_fallback=False)

    assert (1.0, "ggml") == (ggml.share, ggml.library)
    numpy.testing.assert_allclose(ggml.session.run(None, {"x": x})[0], cpu.session.run(None, {"x": x})[0], rtol=1e-5)


@pytest.mark.parametrize("allow_fallback", [False, True])
def test_a_plugin_that_claims_nothing_is_refused_by_name(
    graph_cache: Path, monkeypatch: pytest.MonkeyPatch, allow_fallback: bool
) -> None:
    """ONNX Runtime lists ggml for the session and gives the CPU all nodes: nothing is measured."""
    monkeypatch.setenv("WATTBENCH_CACHE", str(graph_cache))
    preparation = Preparation(
        load=find_load("tiny-encoder/tiny-encode"),
        weights="synthetic",
        seed=0,
        precision="float32",
        device="ggml:cpu",
        batch=1,
        threads=1,
        affinity=None,
        tuning="graph",
        allow_fallback=allow_fallback,
    )
    backend = OnnxRuntimeBackend()
    with pytest.raises(DeviceError, match="ggml computes nothing of this graph"):
        backend.prepare(preparation)
    backend.close()


def test_a_plugin_is_released_once(product: Path) -> None:
    """A library is let go when its session is gone; doing it again does no harm."""
    library = open_session(
        product, find_offer("ggml:cpu"), threads=1, precision="float32", allow_fallback=False
    ).library
    release(library)
    release(library)

    assert "ggml" == library
    assert "ggml:cpu" == find_offer("ggml:cpu").info.name
