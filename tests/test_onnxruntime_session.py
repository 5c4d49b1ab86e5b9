"""Opening sessions on graphs of a few nodes."""

from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest

pytest.importorskip("onnxruntime", reason="this is the onnxruntime backend")
pytest.importorskip("onnx", reason="graphs are made with it")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from wattbench.backends.onnxruntime.listing import EpDevice, Listing
from wattbench.backends.onnxruntime.offers import Offer, offers
from wattbench.backends.onnxruntime.portable import written_out
from wattbench.backends.onnxruntime.session import find_offer, open_session, runtime_errors
from wattbench.results.errors import DeviceError


def save(path: Path, nodes: Sequence[onnx.NodeProto], constants: dict[str, numpy.ndarray] | None = None) -> Path:
    """Save a graph of float32 x (batch, 4) to y (batch, 4)."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
        value_info=[
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in (constants or {}).items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    onnx.save(model, path)
    return path


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Save a graph of one product and its tanh."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Tanh", ["m"], ["y"])]
    return save(tmp_path / "product.onnx", nodes, {"w": numpy.ones((4, 4), numpy.float32)})


def missing_gpu() -> Offer:
    """Return a GPU that some ONNX Runtime was built for and this one was not."""
    listing = Listing(
        version="1",
        proves=True,
        built_in=(),
        devices=(EpDevice(provider="CUDAExecutionProvider", unit="gpu", vendor="", module=None, metadata={}),),
        refused={},
    )
    return offers(listing)[0]


def test_the_cpu_has_all_nodes(product: Path) -> None:
    """On the CPU the share is 1, and the settings are stated."""
    opened = open_session(product, find_offer("cpu"), threads=2, precision="float32", allow_fallback=False)

    assert (1.0, None, 2, "cpu") == (opened.share, opened.fallback, opened.threads, opened.device_type)
    assert "2 of 2 nodes on CPUExecutionProvider" in opened.placement
    assert "2 intra-op (spinning)" in opened.settings


def test_nothing_is_tried_again_elsewhere(product: Path) -> None:
    """ONNX Runtime's own second try on the CPU is off for every run."""
    opened = open_session(product, find_offer("cpu"), threads=1, precision="float32", allow_fallback=True)

    assert opened.session._enable_fallback is False


def test_free_dimensions_can_be_fixed(product: Path) -> None:
    """A fixed dimension is the graph's own from then on."""
    opened = open_session(
        product, find_offer("cpu"), threads=1, precision="float32", allow_fallback=False, dimensions={"batch": 3}
    )

    assert [3, 4] == opened.session.get_inputs()[0].shape


def test_a_device_that_went_away_is_an_error(product: Path) -> None:
    """A device that is no longer listed is not replaced by another one."""
    with pytest.raises(DeviceError, match="is gone"):
        open_session(product, missing_gpu(), threads=1, precision="float16", allow_fallback=True)


def test_a_provider_that_cannot_start_is_an_error(product: Path) -> None:
    """A built-in provider that this ONNX Runtime lacks gives a session without it, which is refused."""
    from dataclasses import replace

    offer = replace(missing_gpu(), listed=False)
    with pytest.warns(UserWarning, match="not in available provider names"), pytest.raises(DeviceError) as caught:
        open_session(product, offer, threads=1, precision="float16", allow_fallback=True)

    assert "CUDAExecutionProvider" in str(caught.value)


def test_a_file_that_is_no_graph_is_an_error(tmp_path: Path) -> None:
    """ONNX Runtime's own words are the reason."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no protobuf")
    with pytest.raises(DeviceError, match="cannot open the graph on cpu") as caught:
        open_session(path, find_offer("cpu"), threads=1, precision="float32", allow_fallback=False)

    assert "ONNXRuntimeError" in caught.value.why


def test_a_graph_that_fails_at_run_time_is_an_error(tmp_path: Path) -> None:
    """A run that dies is a DeviceError with ONNX Runtime's words, not a result from elsewhere."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    path = save(tmp_path / "fails.onnx", nodes, {"shape": numpy.array([3, 5])})
    session = open_session(path, find_offer("cpu"), threads=1, precision="float32", allow_fallback=False).session
    with pytest.raises(DeviceError, match="it failed") as caught, runtime_errors("it failed"):
        session.run(None, {"x": numpy.zeros((2, 4), numpy.float32)})

    assert "Reshape" in caught.value.why


def test_an_onnxruntime_without_the_proof_is_refused(product: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ONNX Runtime that cannot tell where nodes are is too old to be measured."""
    monkeypatch.delattr(onnxruntime.capi.onnxruntime_inference_collection.Session, "get_provider_graph_assignment_info")
    with pytest.raises(DeviceError, match="cannot be proven") as caught:
        open_session(product, find_offer("cpu"), threads=1, precision="float32", allow_fallback=False)

    assert "pip install --upgrade" in caught.value.remedy


def test_newer_operators_are_written_out_with_the_same_numbers(tmp_path: Path) -> None:
    """RMSNormalization becomes what ONNX says it is; a graph without newer operators is left alone."""
    x = numpy.arange(8, dtype=numpy.float32).reshape(2, 4)
    nodes = [helper.make_node("RMSNormalization", ["x", "scale"], ["y"], axis=-1)]
    path = save(tmp_path / "norm.onnx", nodes, {"scale": numpy.full(4, 2, numpy.float32)})
    older = written_out(path)
    assert older is not None
    (new,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    (old,) = onnxruntime.InferenceSession(older).run(None, {"x": x})

    numpy.testing.assert_allclose(new, old, rtol=1e-6)
    assert "RMSNormalization" not in {node.op_type for node in onnx.load_from_string(older).graph.node}


def test_a_graph_of_older_operators_is_left_alone(product: Path) -> None:
    """Nothing is made anew where there is nothing to write out."""
    assert written_out(product) is None
