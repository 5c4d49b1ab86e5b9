"""The lean decoder: which models it takes, that it frees what it takes apart, and that wrong kernels are caught."""

from dataclasses import replace

import numpy
import pytest

pytest.importorskip("torch", reason="the decoder is a torch module")

import torch
from torch import Tensor

from wattbench.backends.contract import Batch
from wattbench.backends.torch.compile import CompileError
from wattbench.backends.torch.decoder import DecoderEngine
from wattbench.backends.torch.engine import Setup
from wattbench.backends.torch.forward import Forward, LeanForward, ModuleForward
from wattbench.backends.torch.graphs import GraphForward, span_ends
from wattbench.backends.torch.lean import LeanDecoder
from wattbench.backends.torch.lean_build import MakeMatrix, fits_lean, lean_decoder
from wattbench.backends.torch.matrices import Matrix, Plain
from wattbench.backends.torch.quantised import Int8, int8_rows
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_build import build
from wattbench.models.torch_reference import reference_outputs
from wattbench.testing import make_batch

TINY = find_load("tiny-decoder/tiny")


def plain(weight: Tensor, head: bool) -> Matrix:
    """Keep a weight as it is."""
    return Plain(weight)


def exact_int8(weight: Tensor, head: bool) -> Matrix:
    """Round a weight to int8."""
    return Int8(weight, Plain)


def doubled_scales(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round rightly and give scales that are twice what they should be: a broken kernel."""
    rounded, scale = int8_rows(weight)
    return rounded, 2 * scale


def broken_int8(weight: Tensor, head: bool) -> Matrix:
    """Round a weight to int8 with wrong scales in every matrix but the head."""
    return Int8(weight, Plain, None if head else doubled_scales)


def setup_of(load: Load, make: MakeMatrix, *, requests: int = 1, weights: str = "synthetic") -> Setup:
    """Return the setup of a lean decoder in float32 on the CPU."""
    device = torch.device("cpu")
    built = build(load.model, weights=weights, seed=3, dtype=torch.float32, device=device)
    return Setup(
        module=lean_decoder(built.module, load.context_tokens, make),
        device=device,
        dtype=torch.float32,
        requests=requests,
        context=load.context_tokens,
        memory=0,
        outputs=load.shape.turns * load.shape.output_tokens,
        synchronise=lambda: None,
    )


def outputs_of(setup: Setup, forward: Forward, batch: Batch, forced: numpy.ndarray | None) -> numpy.ndarray:
    """Return what an engine with this forward computes."""
    with torch.inference_mode():
        return DecoderEngine(setup, forward).outputs(batch, forced).values


@pytest.mark.parametrize(("make", "passes"), [(exact_int8, True), (broken_int8, False)])
def test_a_broken_kernel_is_caught_by_the_gate(make: MakeMatrix, passes: bool) -> None:
    """Scales that are wrong by a factor of two fail the gate that right ones pass."""
    batch = make_batch(TINY, 1)
    reference = reference_outputs(TINY.model, batch.arrays, 8, weights="synthetic", seed=3)
    setup = setup_of(TINY, make)
    found = outputs_of(setup, LeanForward(setup), batch, reference.forced_tokens)
    verdict = compare(found, reference.values, TINY.model.tolerance("int8"), "int8")

    assert passes == verdict.passed


def replay_directly(call: object) -> object:
    """Stand in for a device that records: the replay is the call itself."""
    return call


@pytest.mark.parametrize("requests", [1, 3])
def test_recorded_steps_with_a_mask_give_the_plain_steps(requests: int) -> None:
    """Fixed spans with masked positions, written by position, give the logits of exact views."""
    batch = make_batch(TINY, requests)
    forced = numpy.arange(8, dtype=numpy.int64)
    setup = setup_of(TINY, plain, requests=requests)
    graphs = GraphForward(setup, replay_directly, None)  # type: ignore[arg-type] # the fake takes anything
    expected = outputs_of(setup, LeanForward(setup), batch, forced)

    assert numpy.allclose(expected, outputs_of(setup, graphs, batch, forced), atol=1e-5)


def test_recorded_steps_take_a_smaller_batch_call_by_call() -> None:
    """One request of a decoder that was recorded for three gives its own logits."""
    batch = make_batch(TINY, 1)
    forced = numpy.arange(4, dtype=numpy.int64)
    setup = setup_of(TINY, plain, requests=3)
    graphs = GraphForward(setup, replay_directly, None)  # type: ignore[arg-type] # the fake takes anything
    expected = outputs_of(setup, LeanForward(setup), batch, forced)

    assert numpy.array_equal(expected, outputs_of(setup, graphs, batch, forced))


AGENT = replace(TINY, shape=replace(TINY.shape, input_tokens=6, output_tokens=4, turns=3, turn_input_tokens=5))


def greedy_tokens(load: Load, batch: Batch) -> list[list[int]]:
    """Return every request's tokens by full forwards of the module over the whole conversation, without a cache."""
    module = build(load.model, weights="synthetic", seed=3, dtype=torch.float32, device=torch.device("cpu")).module
    later = batch.arrays.get("turn_input_ids")
    found = []
    for request in range(batch.requests):
        seen, written = batch.arrays["input_ids"][request].tolist(), []
        for turn in range(load.shape.turns):
            if turn and later is not None:
                seen += later[request, turn - 1].tolist()
            for _ in range(load.shape.output_tokens):
                with torch.inference_mode():
                    written.append(int(module(input_ids=torch.tensor([seen])).logits[0, -1].argmax()))
                seen.append(written[-1])
        found.append(written)
    return found


def module_forward(setup: Setup, load: Load) -> tuple[Setup, Forward]:
    """Return a setup with the module as it is, and its forward."""
    built = build(load.model, weights="synthetic", seed=3, dtype=torch.float32, device=setup.device)
    whole = replace(setup, module=built.module)
    return whole, ModuleForward(whole)


@pytest.mark.parametrize("kind", ["module", "lean", "recorded"])
@pytest.mark.parametrize("requests", [1, 2, 3])
def test_every_turn_of_an_agent_is_decoded_rightly(kind: str, requests: int) -> None:
    """Later turns see all before them: the tokens are those of full forwards, also in a smaller batch and again."""
    setup = setup_of(AGENT, plain, requests=3)
    forward: Forward = LeanForward(setup)
    if kind == "module":
        setup, forward = module_forward(setup, AGENT)
    if kind == "recorded":
        forward = GraphForward(setup, replay_directly, None)  # type: ignore[arg-type] # the fake takes anything
    engine = DecoderEngine(setup, forward)
    batch = make_batch(AGENT, requests)
    with torch.inference_mode():
        engine.run(make_batch(AGENT, 3, 9))
        engine.run(batch)

    assert greedy_tokens(AGENT, batch) == engine._tokens[:requests].tolist()


def test_a_device_that_refuses_to_record_is_a_level_that_cannot_be_had() -> None:
    """What a driver says to a recording becomes the reason for a lower level, in one line."""

    def refuse(_: object) -> object:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with DSA")

    setup = setup_of(TINY, plain)
    graphs = GraphForward(setup, refuse, None)  # type: ignore[arg-type] # the fake takes anything

    with pytest.raises(CompileError, match=r"24 positions could not be recorded: CUDA error: .* capturing$"):
        graphs.reset()


@pytest.mark.parametrize(
    ("context", "spans"), [(40, (40,)), (256, (256,)), (640, (256, 512, 640)), (8192, tuple(range(512, 8193, 512)))]
)
def test_graphs_are_few_and_reach_the_end(context: int, spans: tuple[int, ...]) -> None:
    """A graph for every 256 positions, but at most 16 of them, and one for the whole context."""
    assert spans == span_ends(context)


def test_only_models_that_it_computes_fit() -> None:
    """Llama's and Qwen3's kind and the tiny decoder fit; other blocks, biases, windows and rotations do not."""
    llama = find_load("smollm2-135m").model
    changes: list[dict[str, object]] = [
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"use_sliding_window": True},
        {"rope_parameters": {"rope_type": "dynamic"}},
        {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
        {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    ]
    changed = [replace(llama, config=llama.config | change) for change in changes]

    assert all(
        fits_lean(find_load(name).model) for name in ("smollm2-135m", "qwen3-0.6b", "llama-3.1-8b", "tiny-decoder")
    )
    assert not any(map(fits_lean, changed))
    assert not any(fits_lean(find_load(name).model) for name in ("gpt2", "mixtral-8x7b", "gpt-oss-20b", "bert-base"))


def test_the_module_s_layers_are_gone() -> None:
    """What was taken apart holds no matrix any more, so weights are not in memory twice."""
    built = build(TINY.model, weights="synthetic", seed=3, dtype=torch.float32, device=torch.device("cpu"))
    lean_decoder(built.module, TINY.context_tokens, plain)

    assert not [name for name, _ in built.module.named_parameters() if "layers" in name]


def test_a_step_reads_the_weights_less_the_tables() -> None:
    """The bytes of a step are those of all parameters, less the position table of which one row is read."""
    lean: LeanDecoder = setup_of(TINY, plain).module

    assert 4 * (TINY.model.parameters - 64 * 64) == lean.step_bytes(1)
