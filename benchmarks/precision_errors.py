"""How far the rounding of each precision takes a model's outputs, and how far a broken kernel would.

Run: python benchmarks/precision_errors.py [--models MODEL ...] [--seed 0]

The basis of the tolerances in models/catalogue: matrices and the inputs of products are rounded as right engines of a
precision round them, everything else stays float32. Then faults are put in: one layer's scales twice or half as large,
a layer whose products give zero, misplaced blocks. What the gate compares is compared, on texts of its length.
The rounding is emulated, so speed and an engine's own kernels play no part; what engines really showed is in the files.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from wattbench.harness.quality import compare
from wattbench.harness.reference import GATE_STEPS, gate_prompt_tokens
from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load, Tolerance
from wattbench.models.torch_build import build
from wattbench.results.subject import QualityRecord

__all__ = ["FAULTS", "SCHEMES", "Scheme", "gate_outputs", "rounding", "seeded"]

MODELS = ("tiny-decoder", "tiny-encoder", "minilm-l6", "bert-base", "vit-b16", "gpt2", "smollm2-135m", "qwen3-0.6b")
BLOCK = 32
ANY = Tolerance(precision="any", relative_error=100.0, cosine=-1.0, reason="")


def main() -> None:
    """Print a line for every model, precision and fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'model':<16}{'precision and rounding':<44}{'fault':<26}{'error':>8}{'cosine':>9}{'top-1':>7}")
    for name in options.models:
        load = find_load(name)
        module = seeded(load, options.seed)
        reference = gate_outputs(load, module, options.seed)
        for precision, schemes in SCHEMES.items():
            for scheme in schemes:
                with rounding(module, scheme):
                    show(name, f"{precision}: {scheme.name}", "", reference, gate_outputs(load, module, options.seed))
            for fault, put_in in FAULTS.items():
                with rounding(module, schemes[0]):
                    put_in(module)
                    show(name, precision, fault, reference, gate_outputs(load, module, options.seed))


def show(name: str, precision: str, fault: str, reference: numpy.ndarray, values: numpy.ndarray) -> None:
    """Print how far values are from the reference."""
    found: QualityRecord = compare(values, reference, ANY, "any")
    figures = f"{found.relative_error:>8.4f}{found.cosine_min:>9.5f}{found.top1_agreement:>7.2f}"
    print(f"{name:<16}{precision:<44}{fault:<26}{figures}", flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way in which right engines round: what becomes of a matrix (out, in) and of a product's input."""

    name: str
    weights: Callable[[Tensor], Tensor]
    inputs: Callable[[Tensor], Tensor]


def same(x: Tensor) -> Tensor:
    """Return numbers as they are."""
    return x


def significant(bits: int) -> Callable[[Tensor], Tensor]:
    """Return a rounding to so many bits of the significand, to the nearest."""

    def rounded(x: Tensor) -> Tensor:
        fraction, exponent = torch.frexp(x)
        return torch.ldexp((fraction * 2**bits).round() / 2**bits, exponent)

    return rounded


def stepped(bits: int, dim: tuple[int, ...] | None) -> Callable[[Tensor], Tensor]:
    """Return a rounding to signed integers times a scale that fits the largest of each group (None: of all)."""
    top = 2 ** (bits - 1) - 1

    def rounded(x: Tensor) -> Tensor:
        largest = x.abs().amax(dim=dim, keepdim=True) if dim else x.abs().max()
        scale = largest.clamp_min(1e-12) / top
        return (x / scale).round() * scale

    return rounded


def blocked(size: int) -> Callable[[Tensor], Tensor]:
    """Return a rounding of matrices to four bits with a scale for so many neighbours of a row."""

    def rounded(w: Tensor) -> Tensor:
        return stepped(4, (2,))(w.unflatten(1, (-1, min(size, w.shape[1])))).flatten(1)

    return rounded


def float8(dim: tuple[int, ...] | None) -> Callable[[Tensor], Tensor]:
    """Return a rounding to float8 (e4m3) with a scale that makes the largest of each group 448, its largest number."""

    def rounded(x: Tensor) -> Tensor:
        largest = x.abs().amax(dim=dim, keepdim=True) if dim else x.abs().max()
        scale = largest.clamp_min(1e-12) / 448
        return (x / scale).to(torch.float8_e4m3fn).to(x.dtype) * scale

    return rounded


SCHEMES: dict[str, tuple[Scheme, ...]] = {
    "tf32": (Scheme(name="11 bits in the factors", weights=significant(11), inputs=significant(11)),),
    "bfloat16": (Scheme(name="8 bits in the factors", weights=significant(8), inputs=significant(8)),),
    "float8": (
        Scheme(name="a scale a row", weights=float8((1,)), inputs=float8((-1,))),
        Scheme(name="a scale a tensor", weights=float8(None), inputs=float8(None)),
    ),
    "int8": (
        Scheme(name="a scale a row, inputs bfloat16", weights=stepped(8, (1,)), inputs=significant(8)),
        Scheme(name="a scale a row, inputs int8 by token", weights=stepped(8, (1,)), inputs=stepped(8, (-1,))),
        Scheme(name="a scale a row, inputs int8 by tensor", weights=stepped(8, (1,)), inputs=stepped(8, None)),
        Scheme(name="a scale a tensor, inputs too", weights=stepped(8, None), inputs=stepped(8, None)),
    ),
    "int4": (
        Scheme(name="a scale for 32, inputs bfloat16", weights=blocked(32), inputs=significant(8)),
        Scheme(name="a scale for 32, inputs int8 by token", weights=blocked(32), inputs=stepped(8, (-1,))),
        Scheme(name="a scale for 128, inputs bfloat16", weights=blocked(128), inputs=significant(8)),
    ),
}
"""The first of each precision is the one that faults are put into."""


def seeded(load: Load, seed: int) -> Any:  # any: a module of transformers or wattbench.tiny
    """Return the float32 module with seeded weights."""
    cpu = torch.device("cpu")
    return build(load.model, weights="synthetic", seed=seed, dtype=torch.float32, device=cpu, attention="eager").module


def gate_outputs(load: Load, module: Any, seed: int) -> numpy.ndarray:
    """Return what the gate compares: the last logits of a text as long as the gate's, or an encoder's outputs."""
    steps = min(load.shape.output_tokens, GATE_STEPS)
    if steps:
        length = gate_prompt_tokens(load) + steps
        load = replace(load, shape=replace(load.shape, input_tokens=length, turns=1, turn_input_tokens=0))
    inputs = {name: torch.from_numpy(array) for name, array in make_arrays(load, 1, seed).items()}
    with torch.inference_mode():
        done = module(**inputs, logits_to_keep=steps + 1) if steps else module(**inputs)
    if getattr(done, "logits", None) is not None:
        return (done.logits[0] if steps else done.logits).numpy()
    return torch.cat([done.last_hidden_state[0], done.pooler_output[:1]]).numpy()


@contextmanager
def rounding(module: Any, scheme: Scheme) -> Iterator[None]:
    """Let a module compute as a scheme does, and be as before afterwards, whatever was done to its matrices."""
    with ExitStack() as stack:
        for matrix in matrices(module):
            weight, before = matrix.weight, matrix.weight.data
            stack.callback(_put_back, weight, before)
            if turned(matrix):
                weight.data = scheme.weights(before.t().contiguous()).t().contiguous()
            else:
                weight.data = scheme.weights(before)
            hook = matrix.register_forward_pre_hook(lambda _, given: (scheme.inputs(given[0]), *given[1:]))
            stack.callback(hook.remove)
        yield


def _put_back(weight: nn.Parameter, before: Tensor) -> None:
    weight.data = before


def matrices(module: nn.Module) -> list[Any]:
    """Return the matrices that engines quantise; the head may share its table with the embeddings."""
    return [part for part in module.modules() if isinstance(part, nn.Linear) or turned(part)]


def turned(part: nn.Module) -> bool:
    """Return whether a part is GPT-2's kind of matrix, (in, out)."""
    return type(part).__name__ == "Conv1D"


def layers(module: nn.Module) -> Sequence[nn.Module]:
    """Return the layers of the tower."""
    return max((list(part) for part in module.modules() if isinstance(part, nn.ModuleList)), key=len)


def doubled_scales(module: nn.Module) -> None:
    """Dequantise the first layer with scales twice too large."""
    for matrix in matrices(layers(module)[0]):
        matrix.weight.data = 2 * matrix.weight.data


def halved_scales(module: nn.Module) -> None:
    """Dequantise the last layer with scales half as large as they should be."""
    for matrix in matrices(layers(module)[-1]):
        matrix.weight.data = matrix.weight.data / 2


def skipped_first(module: nn.Module) -> None:
    """Let the first layer's products give nothing."""
    for matrix in matrices(layers(module)[0]):
        matrix.weight.data = torch.zeros_like(matrix.weight.data)


def skipped_last(module: nn.Module) -> None:
    """Let the last layer's products give nothing."""
    for matrix in matrices(layers(module)[-1]):
        matrix.weight.data = torch.zeros_like(matrix.weight.data)


def transposed_blocks(module: nn.Module) -> None:
    """Read the blocks of the last layer's last matrix with rows and columns exchanged."""
    weight = matrices(layers(module)[-1])[-1].weight
    rows, columns = weight.shape[0] // BLOCK, weight.shape[1] // BLOCK
    blocks = weight.data[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    changed = weight.data.clone()
    changed[: rows * BLOCK, : columns * BLOCK] = blocks.transpose(1, 3).reshape(rows * BLOCK, columns * BLOCK)
    weight.data = changed


def shifted_blocks(module: nn.Module) -> None:
    """Read every row of the first layer's matrices one block too late."""
    for matrix in matrices(layers(module)[0]):
        matrix.weight.data = matrix.weight.data.roll(BLOCK, dims=0 if turned(matrix) else 1)


FAULTS: dict[str, Callable[[nn.Module], None]] = {
    "first layer's scales x 2": doubled_scales,
    "last layer's scales / 2": halved_scales,
    "first layer skipped": skipped_first,
    "last layer skipped": skipped_last,
    "blocks transposed": transposed_blocks,
    "blocks shifted": shifted_blocks,
}


if __name__ == "__main__":
    main()
