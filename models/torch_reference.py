"""The float32 reference of the quality gate: plain forwards on the CPU, without a cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import psutil
import torch
from torch import Tensor

from wattbench.models.load import ModelSpec
from wattbench.models.torch_build import TINY, build
from wattbench.models.torch_memory import memory_errors
from wattbench.results.errors import OutOfMemoryError

__all__ = ["Reference", "reference_outputs"]

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Reference numbers of request 0: float32 (positions, width), and the tokens that lead through the decode steps.

    `forced_tokens` is int64 (steps,), None for models without tokens out. `weights_digest` is that of the weights.
    """

    values: numpy.ndarray
    forced_tokens: numpy.ndarray | None
    weights_digest: str


def reference_outputs(
    model: ModelSpec, arrays: Mapping[str, numpy.ndarray], steps: int, *, weights: str, seed: int
) -> Reference:
    """Return what the model computes for request 0 of `arrays` in float32 on the CPU.

    Decoders and encoder-decoders: the logits at the last input position and after each of `steps` greedy tokens a turn
    (the last of a turn: after the next turn's new tokens), by a full forward over the whole sequence each time, so that
    nothing is shared with the timed path's cache. Encoders:
    the hidden states of all positions, then the pooled vector. Image classifiers: the logits. Attention is the eager
    implementation. Raises OutOfMemoryError when the float32 weights do not fit in the free memory.
    """
    needed = 4 * model.parameter_count
    _refuse_if_too_big(model, needed)
    inputs = {name: torch.from_numpy(array[:1]) for name, array in arrays.items()}
    with memory_errors(f"the float32 reference of {model.name}", needed, CPU):
        built = build(model, weights=weights, seed=seed, dtype=torch.float32, device=CPU, attention="eager")
        with torch.inference_mode():
            rows, forced = _forwards(model, built.module, inputs, steps)
    assert built.weights.digest is not None
    return Reference(values=rows.numpy(), forced_tokens=forced, weights_digest=built.weights.digest)


def _forwards(
    model: ModelSpec, module: Any, inputs: Mapping[str, Tensor], steps: int
) -> tuple[Tensor, numpy.ndarray | None]:
    if model.family == "decoder":
        return _decoder(module, inputs, steps, tiny=model.architecture == TINY)
    if model.family == "encoder-decoder":
        return _encoder_decoder(module, inputs, steps)
    return _encoder(module, inputs), None


def _decoder(module: Any, inputs: Mapping[str, Tensor], steps: int, *, tiny: bool) -> tuple[Tensor, numpy.ndarray]:
    uncached = {} if tiny else {"use_cache": False}

    def logits(tokens: Tensor) -> Tensor:
        row: Tensor = module(input_ids=tokens, logits_to_keep=1, **uncached).logits[0, -1]
        return row

    later = inputs.get("turn_input_ids")  # (1, turns - 1, new)
    turns = [] if later is None or steps == 0 else [later[:, turn] for turn in range(later.shape[1])]
    return _greedy(logits, [inputs["input_ids"], *turns], steps)


def _encoder_decoder(module: Any, inputs: Mapping[str, Tensor], steps: int) -> tuple[Tensor, numpy.ndarray]:
    start = inputs["decoder_input_ids"]
    encoded = module.get_encoder()(next(v for k, v in inputs.items() if k != "decoder_input_ids"))

    def logits(tokens: Tensor) -> Tensor:
        row: Tensor = module(encoder_outputs=encoded, decoder_input_ids=tokens, use_cache=False).logits[0, -1]
        return row

    return _greedy(logits, [start], steps)


def _greedy(logits: Any, turns: list[Tensor], steps: int) -> tuple[Tensor, numpy.ndarray]:
    """Return the logits that follow each turn's tokens and `steps` greedy ones, and all greedy tokens.

    The logits are (turns x steps + 1, width): the last token of a turn is read together with the next turn's.
    """
    tokens, rows, forced = turns[0], [logits(turns[0])], []
    for after in [*turns[1:], None]:
        for step in range(steps):
            forced.append(rows[-1].argmax().view(1, 1))
            tokens = torch.cat([tokens, forced[-1]], dim=1)
            if step == steps - 1 and after is not None:
                tokens = torch.cat([tokens, after], dim=1)
            rows.append(logits(tokens))
    chosen = torch.cat(forced, dim=1)[0] if forced else turns[0].new_zeros(0)
    return torch.stack(rows), chosen.numpy().copy()


def _encoder(module: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    output = module(**inputs)
    if getattr(output, "logits", None) is not None:
        logits: Tensor = output.logits
        return logits
    return torch.cat([output.last_hidden_state[0], output.pooler_output])


def _refuse_if_too_big(model: ModelSpec, needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        raise OutOfMemoryError(
            f"The float32 reference of {model.name} does not fit in memory",
            f"its weights need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free",
            "Free memory, or accept a result without the quality gate.",
        )
