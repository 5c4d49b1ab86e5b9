"""The onnxruntime backend on the CPU with tiny models."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

pytest.importorskip("onnxruntime", reason="this is the onnxruntime backend")
pytest.importorskip("onnx", reason="graphs are made with it")
pytest.importorskip("torch", reason="graphs are exported from it")

import onnx
from onnx import helper
from preparations import small_preparation

from wattbench.backends.contract import (
    Backend,
    CeilingProber,
    DeviceLister,
    Inspectable,
    MemoryReporter,
    Preparation,
    Tunable,
)
from wattbench.backends.onnxruntime import backend as backend_module
from wattbench.backends.onnxruntime import installed as installed_module
from wattbench.backends.onnxruntime import run as run_module
from wattbench.backends.onnxruntime.backend import OnnxRuntimeBackend
from wattbench.backends.onnxruntime.graphs import Graph, graph_for
from wattbench.backends.onnxruntime.listing import Listing
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError
from wattbench.testing import BackendCase, BackendContract, make_batch

pytestmark = pytest.mark.usefixtures("kept_graphs")

ENCODER, DECODER = "tiny-encoder/tiny-encode", "tiny-decoder/tiny"


class TestEncoderContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(make_backend=OnnxRuntimeBackend, tuning="graph", load=find_load(ENCODER))


class TestDecoderContract(BackendContract):
    """The tiny decoder keeps the contract."""

    case = BackendCase(make_backend=OnnxRuntimeBackend, tuning="graph", load=find_load(DECODER))


class TestInt8EncoderContract(BackendContract):
    """The tiny encoder in int8 keeps the contract."""

    case = BackendCase(make_backend=OnnxRuntimeBackend, tuning="graph", load=find_load(ENCODER), precision="int8")


class TestInt4DecoderContract(BackendContract):
    """The tiny decoder in int4 keeps the contract."""

    case = BackendCase(make_backend=OnnxRuntimeBackend, tuning="graph", load=find_load(DECODER), precision="int4")


def preparation(load: str | Load = ENCODER, **knobs: object) -> Preparation:
    """Return a preparation of a tiny load for two requests at once on one thread."""
    return small_preparation(find_load(load) if isinstance(load, str) else load, **{"tuning": "graph"} | knobs)


@pytest.fixture
def backend() -> Iterator[OnnxRuntimeBackend]:
    """Give a backend that is closed afterwards."""
    made = OnnxRuntimeBackend()
    yield made
    made.close()


def save_encoder(path: Path, nodes: list[onnx.NodeProto]) -> None:
    """Save a graph with an encoder's inputs and outputs."""
    ids = helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "positions"])
    outputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in ("last_hidden_state", "pooler_output")
    ]
    graph = helper.make_graph(nodes, "made by hand", [ids], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11), path)


def replaced(monkeypatch: pytest.MonkeyPatch, path: Path, nodes: list[onnx.NodeProto]) -> None:
    """Let the backend run a graph made by hand in place of the exported one."""
    save_encoder(path, nodes)

    def graph(*arguments: object, **knobs: object) -> Graph:
        return replace(graph_for(*arguments, **knobs), path=str(path))  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(run_module, "graph_for", graph)


def constant(name: str, numbers: numpy.ndarray) -> onnx.NodeProto:
    """Return a node that gives a constant."""
    return helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(numbers))


def test_the_backend_has_every_optional_ability() -> None:
    """Devices, levels, ceilings, peak memory and outputs can all be asked for."""
    made: Backend = OnnxRuntimeBackend()
    abilities = (CeilingProber, DeviceLister, Inspectable, MemoryReporter, Tunable)

    assert [True] * len(abilities) == [isinstance(made, ability) for ability in abilities]


def test_asking_imports_no_onnxruntime() -> None:
    """Probe, devices and levels cost the measuring process no import of the SDK: a child process looks."""
    code = (
        "import sys; from wattbench.backends.onnxruntime.backend import OnnxRuntimeBackend as B; "
        "from wattbench.models.find import find_load; b = B(); "
        "assert b.probe().usable; assert b.devices(); assert b.levels(find_load('tiny-encoder'), 'cpu', 'float32'); "
        "assert not {'onnxruntime', 'onnx', 'torch'} & set(sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_a_missing_onnxruntime_is_absent_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ONNX Runtime the probe names the pip command."""
    monkeypatch.setattr(backend_module, "find_spec", lambda _: None)
    found = OnnxRuntimeBackend().probe()

    assert ("absent", "pip install 'wattbench[onnx]'") == (found.state, found.remedy)


def test_two_onnxruntimes_in_one_place_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions of one module have overwritten each other: the probe names both."""
    for name in ("onnxruntime", "onnxruntime-gpu"):
        info = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "RECORD").write_text("onnxruntime/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = OnnxRuntimeBackend().probe()

    assert "broken" == found.state
    assert "onnxruntime" in found.reason
    assert "onnxruntime-gpu" in found.reason
    assert "pip uninstall -y" in found.remedy


def test_plugins_are_no_second_onnxruntime() -> None:
    """Packages whose names begin alike but which bring no `onnxruntime` do not count."""
    assert ["onnxruntime"] == list(installed_module.runtime_distributions())


def test_an_old_onnxruntime_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot tell where nodes are is refused by the probe."""
    old = Listing(version="1.20.0", proves=False, built_in=(), devices=(), refused={})
    monkeypatch.setattr(backend_module, "listing_from_child", lambda: old)
    found = OnnxRuntimeBackend().probe()

    assert "broken" == found.state
    assert "1.20.0 cannot tell" in found.reason


def test_an_onnxruntime_that_cannot_be_loaded_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the child process died of is the reason."""

    def fails() -> Listing:
        raise DeviceError("ONNX Runtime cannot be loaded", "its process ended with -11")

    monkeypatch.setattr(backend_module, "listing_from_child", fails)
    found = OnnxRuntimeBackend().probe()

    assert ("broken", True) == (found.state, "ended with -11" in found.reason)


def test_without_what_makes_graphs_nothing_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime alone has no graph to run; the probe names what is missing."""
    found_spec = backend_module.find_spec
    monkeypatch.setattr(backend_module, "find_spec", lambda name: None if name == "onnxscript" else found_spec(name))
    found = OnnxRuntimeBackend().probe()

    assert "broken" == found.state
    assert "without onnxscript" in found.reason


@pytest.mark.parametrize(
    ("load", "device", "precision", "levels"),
    [
        (ENCODER, "cpu", "float32", ["graph"]),
        (ENCODER, "cpu", "int8", ["graph"]),
        (DECODER, "cpu", "int4", ["graph"]),
        (ENCODER, "cpu", "bfloat16", []),
        (ENCODER, "openvino:cpu", "bfloat16", ["graph"]),
        (DECODER, "openvino:cpu", "float32", []),
        (DECODER, "cuda:0", "float16", ["graph"]),
        (ENCODER, "newcomer:0", "float32", ["graph"]),
        (ENCODER, "newcomer:0", "int8", []),
        ("whisper-large-v3", "cpu", "float32", []),
    ],
)
def test_levels_are_what_has_a_graph(load: str, device: str, precision: str, levels: list[str]) -> None:
    """A load without export, and a precision that the provider does not compute in, have no level."""
    assert levels == [level.name for level in OnnxRuntimeBackend().levels(find_load(load), device, precision)]


def test_the_record_says_where_and_in_what_it_ran(backend: OnnxRuntimeBackend) -> None:
    """Engine, share of nodes, threads, precision and versions are those of the session."""
    record = backend.prepare(preparation()).backend

    assert ("graph", 1.0, None, 1) == (record.engine, record.placement_share, record.fallback, record.threads)
    assert ("float32", "float32", None) == (
        record.precision_requested,
        record.precision_effective,
        record.compute_precision,
    )
    assert {"onnxruntime", "onnx", "torch"} <= set(record.versions)
    assert record.weight_bytes


def test_quantised_weights_say_what_they_are_multiplied_in(backend: OnnxRuntimeBackend) -> None:
    """Four-bit weights are multiplied in int8 on the CPU, which is told apart from their own precision."""
    record = backend.prepare(preparation(DECODER, precision="int4")).backend

    assert ("int4", "int8") == (record.precision_effective, record.compute_precision)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
def test_a_precision_without_cpu_kernels_is_refused(backend: OnnxRuntimeBackend, precision: str) -> None:
    """The CPU provider would compute float16 in float32: that is refused, never done silently."""
    with pytest.raises(UsageError, match=f"no precision {precision!r}"):
        backend.prepare(preparation(precision=precision))


@pytest.mark.parametrize("tuning", ["eager", "genai"])
def test_a_level_that_it_does_not_have_is_refused(backend: OnnxRuntimeBackend, tuning: str) -> None:
    """A level of others, or one that cannot run this load, is the user's error."""
    with pytest.raises(UsageError, match=f"no tuning {tuning!r}"):
        backend.prepare(preparation(tuning=tuning))


def test_more_requests_than_prepared_are_refused(backend: OnnxRuntimeBackend) -> None:
    """The cache has room for the requests that were named."""
    backend.prepare(preparation(DECODER))

    with pytest.raises(UsageError, match="batch is too big"):
        backend.run(make_batch(find_load(DECODER), 3))


def test_wrong_numbers_fail_the_gate(
    backend: OnnxRuntimeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that computes NaN gives outputs that no tolerance accepts."""
    nan = [
        helper.make_node("Cast", ["input_ids"], ["x"], to=onnx.TensorProto.FLOAT),
        constant("nan", numpy.array(numpy.nan, numpy.float32)),
        constant("last", numpy.array([2])),
        helper.make_node("Mul", ["x", "nan"], ["pooler_output"]),
        helper.make_node("Unsqueeze", ["pooler_output", "last"], ["last_hidden_state"]),
    ]
    load = find_load(ENCODER)
    short = replace(load, shape=replace(load.shape, input_tokens=1))
    replaced(monkeypatch, tmp_path / "nan.onnx", nan)
    backend.prepare(preparation(load=short, threads=1))
    found = backend.outputs(make_batch(short), None).values
    verdict = compare(found, numpy.ones_like(found), load.model.tolerance("float32"), "float32")

    assert numpy.isnan(found).all()
    assert not verdict.passed


def test_a_graph_that_dies_is_an_error(
    backend: OnnxRuntimeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails is reported with ONNX Runtime's words and not tried elsewhere."""
    dies = [
        helper.make_node("Cast", ["input_ids"], ["x"], to=onnx.TensorProto.FLOAT),
        constant("shape", numpy.array([7, 1001])),
        helper.make_node("Reshape", ["x", "shape"], ["pooler_output"]),
        helper.make_node("Identity", ["x"], ["last_hidden_state"]),
    ]
    replaced(monkeypatch, tmp_path / "dies.onnx", dies)
    with pytest.raises(DeviceError, match="failed to run tiny-encoder") as caught:
        backend.prepare(preparation())

    assert "Reshape" in caught.value.why
    assert "Nothing was tried on another device" in caught.value.remedy


def test_running_out_of_memory_has_both_figures(
    backend: OnnxRuntimeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ONNX Runtime cannot allocate is an error with what the load needs and what is free."""
    big = [
        helper.make_node("Cast", ["input_ids"], ["x"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["x"], ["one"], keepdims=0),
        constant("shape", numpy.array([1 << 24, 1 << 24])),
        helper.make_node("Expand", ["one", "shape"], ["pooler_output"]),
        helper.make_node("Identity", ["x"], ["last_hidden_state"]),
    ]
    replaced(monkeypatch, tmp_path / "big.onnx", big)
    with pytest.raises(OutOfMemoryError, match="does not fit") as caught:
        backend.prepare(preparation())

    assert "GB of the host's are free" in caught.value.why


def test_a_closed_backend_can_be_prepared_again(backend: OnnxRuntimeBackend) -> None:
    """Sessions of one process follow one another."""
    first = backend.prepare(preparation())
    second = backend.prepare(preparation())

    assert first.weights.digest == second.weights.digest


def test_affinity_gives_the_number_of_threads(backend: OnnxRuntimeBackend) -> None:
    """Processors that are named are used by a thread each, and recorded."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind processes to CPUs")
    cpus = os.sched_getaffinity(0)
    try:
        record = backend.prepare(preparation(threads=None, affinity=(min(cpus),))).backend

        assert ((min(cpus),), 1, {min(cpus)}) == (record.affinity, record.threads, os.sched_getaffinity(0))
    finally:
        backend_cpus(cpus)


def backend_cpus(cpus: set[int]) -> None:
    """Give every thread of this process its processors back."""
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), cpus)


def test_processors_that_do_not_exist_are_refused(backend: OnnxRuntimeBackend) -> None:
    """A wrong --affinity is the user's error."""
    with pytest.raises(UsageError, match="Cannot run on the CPUs"):
        backend.prepare(preparation(threads=None, affinity=(100_000,)))


def test_genai_is_an_engine_of_this_backend(backend: OnnxRuntimeBackend) -> None:
    """A decoder of Llama's architecture runs through GenAI too, from the same weights as our own graph."""
    pytest.importorskip("onnxruntime_genai", reason="pip install onnxruntime-genai")
    pytest.importorskip("transformers", reason="the model builder reads its models")
    load = find_load("smollm2-135m/chat")
    narrow = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config = load.model.config | narrow | {"num_attention_heads": 4, "num_key_value_heads": 2}
    small = Load(
        model=replace(load.model, name="small-llama", config=config, parameters=150_000),
        shape=replace(load.shape, name="short", input_tokens=16, output_tokens=4),
    )
    found = {name: backend.prepare(preparation(small, tuning=name)) for name in ("graph", "genai")}
    done = backend.run(make_batch(small, 2))

    assert ["graph", "genai"] == [level.name for level in backend.levels(small, "cpu", "float32")]
    assert [("graph", 1.0), ("genai", 1.0)] == [(p.backend.engine, p.backend.placement_share) for p in found.values()]
    assert found["graph"].weights.digest == found["genai"].weights.digest
    assert (2, 8) == (done.requests, done.output_tokens)
