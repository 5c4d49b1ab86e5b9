"""Compiled code of fixed shapes, as vendors' compilers make it; a compiler of torch's own stands in for them."""

from functools import partial
from pathlib import Path

import numpy
import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import torch
from preparations import small_preparation

from wattbench.backends.torch import graphs, levels
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.compile import compiled_static, compiling, kept_in, sealed
from wattbench.backends.torch.decoder import DecoderEngine
from wattbench.backends.torch.engine import Setup
from wattbench.backends.torch.forward import LeanForward
from wattbench.backends.torch.graphs import GraphForward, called_once
from wattbench.backends.torch.lean_build import lean_decoder
from wattbench.backends.torch.levels import level_list
from wattbench.backends.torch.matrices import Plain
from wattbench.backends.torch.vendors import VENDORS
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.torch_build import build
from wattbench.models.torch_reference import reference_outputs
from wattbench.testing import make_batch

COMPILER = "aot_eager"
"""Traces and lowers as every compiler does, and then executes call by call: no C++ is built."""

TINY = find_load("tiny-decoder/tiny")


def setup() -> Setup:
    """Return what an engine of the tiny decoder needs, for two requests."""
    device = torch.device("cpu")
    built = build(TINY.model, weights="synthetic", seed=3, dtype=torch.float32, device=device)
    with torch.no_grad():
        lean = lean_decoder(built.module, TINY.context_tokens, lambda weight, head: Plain(weight))
    return Setup(
        module=lean,
        device=device,
        dtype=torch.float32,
        requests=2,
        context=TINY.context_tokens,
        memory=0,
        outputs=TINY.shape.output_tokens,
        synchronise=lambda: None,
    )


def test_a_step_is_compiled_once_for_each_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three spans are three compilations, all in the first execution; the numbers are those of the plain steps."""
    monkeypatch.setattr(graphs, "SPAN_STEP", 8)
    prepared = setup()
    spans = graphs.span_ends(prepared.context)
    static = GraphForward(prepared, called_once, partial(compiled_static, compiler=COMPILER), symbolic=False)
    plain, compiled = (DecoderEngine(prepared, forward) for forward in (LeanForward(prepared), static))
    batch, forced = make_batch(TINY, 2), numpy.arange(8, dtype=numpy.int64)
    torch._dynamo.utils.counters.clear()
    with torch.inference_mode():
        expected = plain.outputs(batch, forced).values
        with compiling(freezes=False):
            compiled.outputs(batch, forced)
        seen = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        with sealed():
            found = compiled.outputs(batch, forced).values

    assert (3, 3) == (len(spans), seen)
    assert numpy.allclose(expected, found, atol=1e-5)


@pytest.mark.parametrize("name", ["tiny-decoder/tiny", "tiny-encoder/tiny-encode"])
def test_a_vendors_compiled_level_passes_the_gate(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Prepared, compiled and compared as on a vendor's device; the time of compiling is told apart."""
    monkeypatch.setattr(levels, "static_compiler", lambda device: COMPILER)
    load = find_load(name)
    backend = TorchBackend()
    made = backend.prepare(small_preparation(load, tuning="compiled", seed=3))
    batch = make_batch(load, 2)
    reference = reference_outputs(load.model, batch.arrays, load.shape.output_tokens, weights="synthetic", seed=3)
    found = backend.outputs(batch, reference.forced_tokens)
    verdict = compare(found.values, reference.values, load.model.tolerance("float32"), "float32")
    backend.close()

    assert verdict.passed, verdict.reason
    assert "compiled" == made.backend.engine
    assert made.compile_s is not None
    assert 0 < made.compile_s < made.first_execution_s


def test_levels_of_vendors_devices() -> None:
    """A device whose vendor has a compiler can be compiled for, the others go call by call."""
    decoder, encoder = TINY.model, find_load("tiny-encoder/tiny-encode").model
    found = {v.kind: [level.name for level in level_list(decoder, v.kind)] for v in VENDORS if v.compiler != "inductor"}

    assert {"tpu", "neuron", "hpu"} == {kind for kind, names in found.items() if names == ["eager", "compiled"]}
    assert {"npu", "mps", "mtia"} == {kind for kind, names in found.items() if names == ["eager"]}
    assert "torch.compile by tpu, fixed shapes" in level_list(encoder, "tpu")[1].description


def test_the_folder_of_compiled_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The vendor's variable names it, else its default; below the user's home it begins with "~"."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NEURON_COMPILE_CACHE_URL", raising=False)
    default = kept_in("neuron")
    monkeypatch.setenv("NEURON_COMPILE_CACHE_URL", f"{tmp_path}/neff")

    assert ("/var/tmp/neuron-compile-cache", "~/neff") == (default, kept_in("neuron"))
    assert (None, None) == (kept_in("cpu"), kept_in("npu"))
