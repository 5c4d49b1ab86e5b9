"""Matrices whose weights are kept in 8 or 4 bits: how they are rounded, and how they are multiplied."""

from collections.abc import Callable

import torch
from torch import Tensor

from wattbench.backends.torch.matrices import FEW_ROWS, Matrix

__all__ = ["Float8", "Int4", "Int8", "Rounding"]

GROUP = 32
"""Weights of one int4 scale: the narrowest that torch's kernel has, so the most exact."""

FLOAT8_MAX = 448.0
"""The largest number of float8_e4m3fn (OCP 8-bit floating point specification, 2023)."""

Rounding = Callable[[Tensor], tuple[Tensor, Tensor]]


class Int8(Matrix):
    """Weights in int8 with one scale an output: few rows read those, more rows a dense copy of the same numbers.

    torch's int8 kernel is made for few rows; for a prompt it is slower than a product of dense weights. `dense` makes
    the matrix for many rows (None: the kernel does them too).
    """

    rounded: Tensor
    scale: Tensor

    def __init__(
        self, weight: Tensor, dense: Callable[[Tensor], Matrix] | None, rounding: Rounding | None = None
    ) -> None:
        super().__init__()
        rounded, exact = (rounding or int8_rows)(weight.float())
        scale = exact.to(weight.dtype)
        self.register_buffer("rounded", rounded, persistent=False)  # int8 (outputs, inputs)
        self.register_buffer("scale", scale, persistent=False)  # (outputs,)
        self.dense = dense((rounded.float() * scale.float()[:, None]).to(weight.dtype)) if dense else None
        self.read_bytes = rounded.nbytes + scale.nbytes

    def bytes_for(self, rows: int) -> int:
        """Return what one product of so many rows reads: of more than a few, the dense copy if there is one."""
        return self.dense.bytes_for(rows) if self.dense is not None and rows > FEW_ROWS else self.read_bytes

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        rows = x.flatten(0, -2)
        if self.dense is not None and len(rows) > FEW_ROWS:
            y: Tensor = self.dense(x)
            return y
        return torch._weight_int8pack_mm(rows, self.rounded, self.scale).unflatten(0, x.shape[:-1])

    def few(self, x: Tensor) -> Tensor:
        """Return the product, four weights a 32-bit word: inductor vectorises words and not bytes."""
        if x.shape[0] * x.shape[1] > FEW_ROWS or x.shape[-1] % 4:
            y: Tensor = self(x)
            return y
        words = self.rounded.view(torch.int32)  # (outputs, inputs / 4)
        scale = self.scale.float()
        outputs = []
        for row in x[:, 0].float():
            planes = row.view(-1, 4).t().contiguous()
            planes = torch.as_strided(planes, planes.shape, planes.stride())  # makes inductor store it, once
            products = [((words << (24 - 8 * byte)) >> 24).float() * planes[byte] for byte in range(4)]
            outputs.append((products[0] + products[1] + products[2] + products[3]).sum(-1) * scale)
        return torch.stack(outputs).unsqueeze(1).to(x.dtype)


class Int4(Matrix):
    """Weights in 4 bits with a scale and an offset for each 32 inputs: few rows read those, more rows a dense copy."""

    steps: Tensor
    scale_offset: Tensor

    def __init__(self, weight: Tensor, dense: Callable[[Tensor], Matrix]) -> None:
        super().__init__()
        steps, scale, offset = int4_groups(weight.float())
        kernels = torch.ops.aten
        self.register_buffer("steps", kernels._convert_weight_to_int4pack_for_cpu(steps, 1), persistent=False)
        both = torch.stack([scale, offset], dim=-1).to(weight.dtype)  # (outputs, groups, 2)
        self.register_buffer("scale_offset", both.transpose(0, 1).contiguous(), persistent=False)
        scale, offset = both.float().unbind(-1)
        rounded = (steps.unflatten(1, (-1, GROUP)) - 8) * scale[..., None] + offset[..., None]
        self.dense = dense(rounded.flatten(1).to(weight.dtype))
        self.read_bytes = weight.numel() // 2 + self.scale_offset.nbytes

    def bytes_for(self, rows: int) -> int:
        """Return what one product of so many rows reads: of more than a few, the dense copy."""
        return self.dense.bytes_for(rows) if rows > FEW_ROWS else self.read_bytes

    @staticmethod
    def fits(weight: Tensor) -> bool:
        """Return whether torch's kernel takes a matrix of this shape."""
        return bool(weight.shape[1] % GROUP == 0 and weight.shape[0] % 16 == 0)

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        rows = x.flatten(0, -2)
        if len(rows) > FEW_ROWS:
            y: Tensor = self.dense(x)
            return y
        product = torch.ops.aten._weight_int4pack_mm_for_cpu(rows.contiguous(), self.steps, GROUP, self.scale_offset)
        found: Tensor = product.unflatten(0, x.shape[:-1])
        return found


class Float8(Matrix):
    """Weights and activations in float8_e4m3fn with one scale a row each; sums and results in the activations' type."""

    rounded: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rounded, scale = float8_rows(weight)
        self.register_buffer("rounded", rounded, persistent=False)  # (outputs, inputs)
        self.register_buffer("scale", scale.t().contiguous(), persistent=False)  # (1, outputs)
        self.read_bytes = rounded.nbytes + scale.nbytes

    @staticmethod
    def fits(weight: Tensor) -> bool:
        """Return whether the kernel takes a matrix of this shape: multiples of 16 (torch._scaled_mm)."""
        return bool(weight.shape[0] % 16 == 0 and weight.shape[1] % 16 == 0)

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        rounded, scale = float8_rows(x.flatten(0, -2))
        y: Tensor = torch._scaled_mm(rounded, self.rounded.t(), scale, self.scale, out_dtype=x.dtype)
        return y.unflatten(0, x.shape[:-1])


def int8_rows(weight: Tensor, steps: int = 127) -> tuple[Tensor, Tensor]:
    """Return a float32 matrix as int8 with one scale a row: the row's largest magnitude is so many steps."""
    scale = weight.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / steps
    return torch.round(weight / scale[:, None]).to(torch.int8), scale


def int4_groups(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a float32 matrix as steps 0..15 (int32), and per group of inputs the scale and the number of step 8."""
    groups = weight.unflatten(1, (-1, GROUP))  # (outputs, groups, GROUP)
    low, high = groups.amin(-1), groups.amax(-1)
    scale = ((high - low) / 15).clamp_min(torch.finfo(torch.float32).tiny)
    steps = torch.round((groups - low[..., None]) / scale[..., None]).clamp_(0, 15).to(torch.int32)
    return steps.flatten(1), scale, low + 8 * scale


def float8_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return a matrix as float8_e4m3fn with one scale a row (rows, 1): the row's largest magnitude is 448."""
    scale = x.abs().amax(dim=1, keepdim=True).float().clamp_min(1e-12) / FLOAT8_MAX
    return (x.float() / scale).clamp_(-FLOAT8_MAX, FLOAT8_MAX).to(torch.float8_e4m3fn), scale
