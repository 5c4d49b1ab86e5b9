"""The quality gate of agents: two turns are compared, and a cache that goes on at a wrong place is caught."""

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the reference is torch's")

import torch
from torch import Tensor

from wattbench.backends.torch.decoder import DecoderEngine
from wattbench.backends.torch.engine import Setup
from wattbench.backends.torch.forward import Forward, ModuleForward
from wattbench.harness.engine import GATE_TURN_TOKENS, make_batch, shortened
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_build import build
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.subject import QualityRecord

TINY = find_load("tiny-decoder/tiny")
AGENT = Load(model=TINY.model, shape=replace(TINY.shape, turns=2, turn_input_tokens=5, output_tokens=4))
STEPS = AGENT.shape.output_tokens


class Misplaced(ModuleForward):
    """A forward that puts a later turn's new tokens one position too far back."""

    def logits(self, ids: Tensor, position: int) -> Tensor:
        """Return the logits of the last new position."""
        later = position > 0 and ids.shape[1] > 1
        return super().logits(ids, position - 1 if later else position)


def setup() -> Setup:
    """Return the tiny decoder in float32 on the CPU, for two requests at once."""
    device = torch.device("cpu")
    return Setup(
        module=build(AGENT.model, weights="synthetic", seed=3, dtype=torch.float32, device=device).module,
        device=device,
        dtype=torch.float32,
        requests=2,
        context=AGENT.context_tokens,
        memory=0,
        outputs=AGENT.shape.turns * STEPS,
        synchronise=lambda: None,
    )


def judged(forward: Forward, made: Setup) -> QualityRecord:
    """Return the gate's verdict on an engine with this forward."""
    batch = make_batch(AGENT, 2, 0)
    reference = reference_outputs(AGENT.model, batch.arrays, STEPS, weights="synthetic", seed=3)
    with torch.inference_mode():
        found = DecoderEngine(made, forward).outputs(batch, reference.forced_tokens).values
    return compare(found, reference.values, AGENT.model.tolerance("float32"), "float32")


def test_both_turns_are_compared() -> None:
    """A right engine has the reference's logits after the prompt and after every token of both turns."""
    made = setup()
    verdict = judged(ModuleForward(made), made)

    assert (True, 2 * STEPS + 1) == (verdict.passed, verdict.positions)


def test_a_later_turn_at_a_wrong_position_is_caught() -> None:
    """The first turn is right, the second one is not: the gate fails."""
    made = setup()

    assert not judged(Misplaced(made), made).passed


def test_without_forced_tokens_the_first_turn_is_enough() -> None:
    """The completion check reads outputs to wait for the device: one prefill does."""
    made = setup()
    with torch.inference_mode():
        found = DecoderEngine(made, ModuleForward(made)).outputs(make_batch(AGENT, 2, 0), None).values

    assert 1 == len(found)


def test_the_gate_s_turns_are_short() -> None:
    """An agent of eight turns is compared over two, with few new tokens; other loads have one turn as before."""
    agent, other = (shortened(find_load(f"qwen3-0.6b/{name}"), 64).shape for name in ("agent", "chat"))

    assert (64, 2, GATE_TURN_TOKENS) == (agent.input_tokens, agent.turns, agent.turn_input_tokens)
    assert (64, 1, 0) == (other.input_tokens, other.turns, other.turn_input_tokens)
