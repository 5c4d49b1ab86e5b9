"""Graphs on disk: built once in another process, kept by digest, quantised, rebuilt when damaged."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy
import pytest

pytest.importorskip("onnxruntime", reason="graphs are run by it")
pytest.importorskip("onnxscript", reason="torch exports through it")
pytest.importorskip("torch", reason="it exports the graphs")

import onnx
import onnxruntime
from onnxruntime.quantization import quantize_dynamic

from wattbench.backends.kept import Job, kept_folder
from wattbench.backends.onnxruntime import graphs as graphs_module
from wattbench.backends.onnxruntime.decoder import DecoderEngine
from wattbench.backends.onnxruntime.encoder import EncoderEngine
from wattbench.backends.onnxruntime.graph_int8 import to_int8
from wattbench.backends.onnxruntime.graphs import Graph, GraphRequest, graph_for, reduces_range
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.models.work import weight_bytes
from wattbench.results.errors import DeviceError, StorageError, UsageError
from wattbench.testing import make_batch

DECODER, ENCODER = find_load("tiny-decoder/tiny"), find_load("tiny-encoder/tiny-encode")


PROGRAM = """
import sys
from pathlib import Path
from wattbench.backends.onnxruntime.graphs import graph_for
from wattbench.models.find import find_load
load = find_load("tiny-decoder/tiny")
graph = graph_for(load, weights="synthetic", seed=3, precision="int8", cache=Path(sys.argv[1]))
print(graph.cached, "torch" in sys.modules, "onnx" in sys.modules)
"""
"""Asks for a graph that is not there yet, and with it for the one that it is made from."""


class Asked(NamedTuple):
    """A folder of graphs, and what the process that asked for the first two of them said."""

    folder: Path
    said: str


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Have the decoder's graphs in float32 and int8 made for a process that says what it has imported afterwards."""
    folder = tmp_path_factory.mktemp("cache")
    call = [sys.executable, "-P", "-c", PROGRAM, str(folder)]
    return Asked(folder, subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip())


@pytest.fixture(scope="module")
def cache(asked: Asked) -> Path:
    """Return a folder whose graphs the tests of this file share."""
    return asked.folder


def made(load: Load, precision: str, cache: Path, seed: int = 3) -> Graph:
    """Return the graph of a load with synthetic weights."""
    return graph_for(load, weights="synthetic", seed=seed, precision=precision, cache=cache)


def error_of(load: Load, graph: Graph) -> float:
    """Return how far a graph's outputs are from the float32 reference, relative to it."""
    batch, steps = make_batch(load, 1), load.shape.output_tokens
    reference = reference_outputs(load.model, batch.arrays, steps, weights="synthetic", seed=3)
    session = onnxruntime.InferenceSession(graph.path, providers=["CPUExecutionProvider"])
    if graph.cache is None:
        values = EncoderEngine(session, graph, device="cpu", device_id=0).outputs(batch, None).values
    else:
        engine = DecoderEngine(session, graph, requests=1, context=load.context_tokens, device="cpu", device_id=0)
        values = engine.outputs(batch, reference.forced_tokens).values
    return float(numpy.linalg.norm(values - reference.values) / numpy.linalg.norm(reference.values))


def values_of(graph: Graph) -> numpy.ndarray:
    """Return a decoder's logits at the end of a prompt."""
    session = onnxruntime.InferenceSession(graph.path, providers=["CPUExecutionProvider"])
    engine = DecoderEngine(session, graph, requests=1, context=DECODER.context_tokens, device="cpu", device_id=0)
    return engine.outputs(make_batch(DECODER, 1), None).values


def save_product(path: Path, weight: numpy.ndarray) -> None:
    """Save a graph of one product with a constant."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = helper.make_tensor_value_info("x", kind, [1, 5, 64]), helper.make_tensor_value_info("y", kind, None)
    weights = [onnx.numpy_helper.from_array(weight, "w")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11), path)


def test_a_graph_is_built_once(cache: Path) -> None:
    """The second call finds the graph of the first under the same digest; another seed is another graph."""
    first, second = made(ENCODER, "float32", cache), made(ENCODER, "float32", cache)
    asked = [GraphRequest(model=ENCODER.model, weights="synthetic", seed=n, precision="float32") for n in (3, 4)]
    keys = [graphs_module._key(request) for request in asked]

    assert not first.cached
    assert replace(first, cached=True) == second
    assert cache / "onnx" / second.digest / "model.onnx" == Path(second.path)
    assert second.digest == keys[0] != keys[1]


@pytest.mark.parametrize("load", [DECODER, ENCODER], ids=["decoder", "encoder"])
@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-5), ("int8", 0.02), ("int4", 0.12)])
def test_each_precision_is_as_near_as_its_bits_allow(load: Load, precision: str, bound: float, cache: Path) -> None:
    """Outputs of float32 graphs are exact, those of quantised graphs off by more, within a bound."""
    error = error_of(load, made(load, precision, cache))

    assert error < bound
    assert precision == "float32" or error > 1e-3


def test_a_record_tells_weights_and_bytes(cache: Path) -> None:
    """A float32 graph reads the bytes that the load's own count names, a quantised one fewer, of the same weights."""
    float32, int8, int4 = (made(DECODER, precision, cache) for precision in ("float32", "int8", "int4"))
    reference = reference_outputs(DECODER.model, make_batch(DECODER, 1).arrays, 1, weights="synthetic", seed=3)

    assert float32.weights == int8.weights == int4.weights
    assert reference.weights_digest == float32.weights.digest
    assert weight_bytes(DECODER.model, "float32") == pytest.approx(float32.weight_bytes, rel=0.01)
    assert 0.26 == pytest.approx(int8.weight_bytes / float32.weight_bytes, abs=0.02)
    assert 0.16 == pytest.approx(int4.weight_bytes / float32.weight_bytes, abs=0.02)
    assert {2 * 2 * 2 * 16 * 4} == {float32.kv_bytes_per_token, int8.kv_bytes_per_token, int4.kv_bytes_per_token}


def test_a_record_tells_how_the_graph_came_to_be(cache: Path) -> None:
    """The steps are in the order in which they were made, with what products are computed in."""
    float32, int8, int4 = (made(DECODER, precision, cache) for precision in ("float32", "int8", "int4"))

    assert float32.steps == int8.steps[:-1] == int4.steps[:-1]
    assert ("float32", "int8", "int8") == (float32.compute_precision, int8.compute_precision, int4.compute_precision)
    assert "blocks of 32" in int4.steps[-1]
    assert version("onnxruntime") == int8.versions["onnxruntime"]


def test_int8_is_what_onnxruntime_quantises_to(cache: Path, tmp_path: Path) -> None:
    """Our int8 graph computes what `onnxruntime.quantization` makes of the same one; products of one input share it."""
    base, kept = made(DECODER, "float32", cache), made(DECODER, "int8", cache)
    ours, theirs = tmp_path / "ours.onnx", tmp_path / "theirs.onnx"
    to_int8(Path(base.path), ours, reduced_range=False, by_row=False)
    quantize_dynamic(onnx.load(base.path), theirs, op_types_to_quantize=["MatMul"], per_channel=True)
    kinds = [node.op_type for node in onnx.load(kept.path).graph.node]
    outputs = [values_of(replace(kept, path=str(path))) for path in (ours, theirs)]

    assert numpy.allclose(outputs[0], outputs[1], rtol=0, atol=1e-5)
    assert {"MatMulInteger": 15, "DynamicQuantizeLinear": 9} == {
        kind: kinds.count(kind) for kind in ("MatMulInteger", "DynamicQuantizeLinear")
    }


def test_seven_bits_halve_the_steps(cache: Path, tmp_path: Path) -> None:
    """A graph for processors without VNNI has weights of at most 63 steps; its outputs stay near."""
    base, kept = made(DECODER, "float32", cache), made(DECODER, "int8", cache)
    largest = {}
    for reduced in (True, False):
        target = tmp_path / f"{reduced}.onnx"
        to_int8(Path(base.path), target, reduced_range=reduced, by_row=False)
        weights = [onnx.numpy_helper.to_array(t, str(tmp_path)) for t in onnx.load(target).graph.initializer]
        largest[reduced] = max(int(numpy.abs(w).max()) for w in weights if w.dtype == numpy.int8)

    assert {True: 63, False: 127} == largest
    assert error_of(DECODER, replace(kept, path=str(tmp_path / "True.onnx"))) < 0.04


def test_a_row_with_a_scale_of_its_own_is_not_coarser_for_a_wide_neighbour(tmp_path: Path) -> None:
    """One row in five is a thousand times as wide: with one scale for all, nothing is left of the others."""
    random = numpy.random.default_rng(0)
    x, weight = (random.standard_normal(size).astype(numpy.float32) for size in ((1, 5, 64), (64, 32)))
    x[0, 0] *= 1000
    save_product(tmp_path / "float.onnx", weight)
    errors = []
    for by_row in (True, False):
        target = tmp_path / f"{by_row}.onnx"
        to_int8(tmp_path / "float.onnx", target, reduced_range=reduces_range(), by_row=by_row)
        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
        found, wanted = session.run(None, {"x": x})[0][0, 1:], (x @ weight)[0, 1:]
        errors.append(float(numpy.linalg.norm(found - wanted) / numpy.linalg.norm(wanted)))

    assert errors[0] < 0.03
    assert errors[1] > 0.5


def test_encoders_quantise_their_rows_and_decoders_all_at_once(cache: Path) -> None:
    """A decode step has one row a request: a scale of its own would cost time and gain nothing."""
    kinds = {}
    for name, load in (("encoder", ENCODER), ("decoder", DECODER)):
        graph = made(load, "int8", cache)
        kinds[name] = {node.op_type for node in onnx.load(graph.path).graph.node}

        assert ("one scale a row" in graph.steps[-1]) == (name == "encoder")
    assert "DynamicQuantizeLinear" not in kinds["encoder"]
    assert "DynamicQuantizeLinear" in kinds["decoder"]


def test_a_damaged_graph_is_rebuilt(cache: Path) -> None:
    """A file that is cut, and a file that is missing, are noticed and built anew."""
    first = made(DECODER, "int4", cache)
    data = Path(first.path).with_name("model.onnx.data")
    whole = data.read_bytes()
    data.write_bytes(whole[:-4])
    again = made(DECODER, "int4", cache)
    Path(first.path).unlink()
    once_more = made(DECODER, "int4", cache)

    assert [False, False, True] == [graph.cached for graph in (again, once_more, made(DECODER, "int4", cache))]
    assert whole == data.read_bytes()
    assert not any(path.name.startswith(".") for path in (cache / "onnx").iterdir())


def test_building_leaves_no_torch_in_the_process(asked: Asked) -> None:
    """The process that asks for a graph never imports torch, whose threads would spin beside ONNX Runtime's."""
    assert "False False False" == asked.said


def test_precisions_without_a_graph_are_refused(tmp_path: Path) -> None:
    """A precision that is neither exported nor quantised to is refused with the known ones."""
    with pytest.raises(UsageError, match="float32, bfloat16, float16, int8, int4"):
        made(DECODER, "float8", tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages that make graphs the error names the one that is missing and the pip command."""

    def without_onnxscript(package: str) -> str:
        if package == "onnxscript":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(graphs_module, "version", without_onnxscript)

    with pytest.raises(UsageError, match="onnxscript is not installed") as caught:
        made(DECODER, "float32", tmp_path)

    assert "pip install 'wattbench[onnx]'" == caught.value.remedy


def test_wrong_weights_are_told_by_the_builder(tmp_path: Path) -> None:
    """What the builder's process raises rises here, with its three parts."""
    model = replace(ENCODER.model, config=ENCODER.model.config | {"surplus": 1})

    with pytest.raises(UsageError, match="is incomplete") as caught:
        made(Load(model=model, shape=ENCODER.shape), "float32", tmp_path)

    assert ("surplus" in caught.value.why, "Correct the model's file.") == (True, caught.value.remedy)


def test_a_builder_that_dies_is_an_error_with_its_words(tmp_path: Path) -> None:
    """A module that does not exist ends its process; nothing is left in the folder."""
    job = Job(what="nothing", module="wattbench.no_such_module", request=DECODER.model, needed_bytes=0)

    with pytest.raises(DeviceError, match="No module named"):
        kept_folder(tmp_path, "key", job)

    assert [] == list(tmp_path.iterdir())


def test_a_disk_that_is_too_small_is_told_before_the_build(tmp_path: Path) -> None:
    """The error names what is needed and what is free."""
    job = Job(what="the graph", module="wattbench.no_such_module", request=DECODER.model, needed_bytes=10**18)

    with pytest.raises(StorageError, match=r"up to 1000000000\.0 GB"):
        kept_folder(tmp_path, "key", job)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file that stands where the folder should be is an error with a remedy."""
    (tmp_path / "onnx").write_text("in the way")

    with pytest.raises(StorageError, match="WATTBENCH_CACHE"):
        made(DECODER, "float32", tmp_path)


def test_abandoned_builds_are_removed(tmp_path: Path) -> None:
    """A partial folder of a process that was killed goes after a day; a younger one may be somebody's work."""
    old, young = tmp_path / ".partial-old", tmp_path / ".partial-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    job = Job(what="nothing", module="wattbench.no_such_module", request=DECODER.model, needed_bytes=0)

    with pytest.raises(DeviceError):
        kept_folder(tmp_path, "key", job)

    assert [young] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags : avx2 avx512_vnni", False),
        ("x86_64", "flags : avx2 avx_vnni", False),
        ("x86_64", "flags : avx2 avx512f", True),
        ("AMD64", None, True),
        ("aarch64", "Features : asimd", False),
    ],
)
def test_weights_keep_to_seven_bits_without_vnni(
    machine: str, flags: str | None, expected: bool, tmp_path: Path
) -> None:
    """Only x86 processors that do not show VNNI need the narrower range."""
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(flags)

    assert expected == reduces_range(machine, cpuinfo)
