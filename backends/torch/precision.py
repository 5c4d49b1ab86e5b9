"""What a precision's name means to torch: the type of the activations, and whether the weights are kept in another."""

from dataclasses import dataclass

import torch

from wattbench.backends.torch.lean_build import fits_lean
from wattbench.models.load import ModelSpec
from wattbench.results.errors import UsageError

__all__ = ["CPU_KERNELS", "PLAIN", "Numbers", "cuda_precisions", "numbers_of"]

PLAIN = ("float32", "bfloat16", "float16")

CPU_KERNELS = {
    "int8": ("aten::_weight_int8pack_mm", "onednn::qlinear_pointwise.tensor"),
    "int4": ("aten::_weight_int4pack_mm_for_cpu", "aten::_convert_weight_to_int4pack_for_cpu"),
}
"""Precisions of weights that torch has products for on a CPU beside its own types, and the operators that do them."""

ENCODERS = ("encoder", "vision-encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The type that model and activations have, and what the weights are rounded to (None: nothing).

    `compute_precision` names the type of the products where it is neither.
    """

    dtype: torch.dtype
    rounded_to: str | None = None
    compute_precision: str | None = None


def numbers_of(precision: str, device: str, model: ModelSpec, cpu_dtype: str) -> Numbers:
    """Return what a precision means on a device type; `cpu_dtype` is the fastest plain precision of the CPU.

    Decoders keep int8 and int4 weights and multiply them with wider activations; encoders round both to int8. Raises
    UsageError for a precision that torch has no way to compute this model in on such a device.
    """
    if precision in PLAIN:
        return Numbers(dtype=getattr(torch, precision))
    if precision == "tf32" and device == "cuda":
        return Numbers(dtype=torch.float32)
    lean, encodes = fits_lean(model), model.family in ENCODERS
    if precision == "float8" and device == "cuda" and (lean or encodes):
        return Numbers(dtype=torch.bfloat16, rounded_to=precision)
    if precision == "int8" and device == "cpu" and encodes:
        return Numbers(dtype=getattr(torch, cpu_dtype), rounded_to=precision)
    if precision in CPU_KERNELS and device == "cpu" and lean:
        return Numbers(dtype=getattr(torch, cpu_dtype), rounded_to=precision, compute_precision=cpu_dtype)
    why = f"torch has no products for it on {device} devices and this architecture"
    raise UsageError(f"torch cannot compute {model.name} in {precision}", why, "Choose another --precision.")


def cuda_precisions(capability: tuple[int, int]) -> tuple[str, ...]:
    """Return what an NVIDIA GPU of a compute capability multiplies beside torch's own types.

    Source: NVIDIA's CUDA C++ Programming Guide, table of compute capabilities: tf32 from 8.0, fp8 from 8.9.
    """
    return tuple(name for name, first in (("tf32", (8, 0)), ("float8", (8, 9))) if capability >= first)
