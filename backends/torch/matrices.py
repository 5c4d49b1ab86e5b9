"""Matrices as layers: plain weights, and weights that oneDNN has laid out once for the CPU."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FEW_ROWS", "Matrix", "Packed", "Plain", "PlainAndPacked", "can_pack", "row_product"]

FEW_ROWS = 4
"""Up to so many rows a product waits for its weights and not for its arithmetic, and the weights are read once."""

SUM_WIDTH = 4096
"""Longer sums are split: from here on inductor's generated code keeps a list of partial sums for every output."""


class Matrix(nn.Module):  # type: ignore[misc] # torch is skipped
    """A product with fixed weights (outputs, inputs); `forward` takes any rows, `few` at most `FEW_ROWS`.

    `few` is what a compiled decode step traces. `read_bytes` is what one product of a few rows reads of the weights.
    """

    read_bytes: int

    def bytes_for(self, rows: int) -> int:
        """Return what one product of so many rows reads of the weights."""
        return self.read_bytes

    def few(self, x: Tensor) -> Tensor:  # (requests, 1, inputs)
        """Return the product, written so that a compiler reads each weight once."""
        y: Tensor = self(x)
        return y


class Plain(Matrix):
    """Weights as they came."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous(), persistent=False)
        self.read_bytes = weight.nbytes

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        y: Tensor = functional.linear(x, self.weight)
        return y

    def few(self, x: Tensor) -> Tensor:
        """Return the product; on the CPU as sums over rows of weights, which inductor turns into one tight loop."""
        if x.device.type != "cpu" or x.shape[0] * x.shape[1] > FEW_ROWS:
            y: Tensor = self(x)
            return y
        return row_product(x, self.weight.float())


class Packed(Matrix):
    """Weights in oneDNN's own layout, so that no product has to rearrange them again."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer(
            "weight", torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 1), persistent=False
        )
        self.register_buffer("bias", bias, persistent=False)
        self.read_bytes = weight.nbytes

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        product = PACKED_PRODUCT if torch.compiler.is_compiling() else _packed_product
        return product(x, self.weight, self.bias)


class PlainAndPacked(Matrix):
    """Both: few rows of a compiled step read the plain weights, everything else the packed ones."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.plain, self.packed = Plain(weight), Packed(weight)
        self.read_bytes = weight.nbytes

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        y: Tensor = self.packed(x)
        return y

    def few(self, x: Tensor) -> Tensor:
        """Return the product with the plain weights."""
        return self.plain.few(x)


def _packed_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


PACKED_PRODUCT: Callable[[Tensor, Tensor, Tensor | None], Tensor] = torch.library.custom_op(
    "wattbench::packed_product", _packed_product, mutates_args=()
)
"""The product as an operator that inductor leaves alone; of oneDNN's own it takes constant weights only."""


def _packed_shape(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight))


torch.library.register_fake("wattbench::packed_product", _packed_shape)


def row_product(x: Tensor, weight: Tensor) -> Tensor:
    """Return x (requests, 1, inputs) times float32 weights (outputs, inputs), summed in float32."""
    parts = -(-weight.shape[1] // SUM_WIDTH)
    if parts > 1 and weight.shape[1] % parts == 0:
        split = weight.unflatten(1, (parts, -1))
        rows = [(row.unflatten(0, (parts, -1)) * split).sum(-1).sum(-1) for row in x.float()[:, 0]]
    else:
        rows = [(row * weight).sum(-1) for row in x.float()[:, 0]]
    return torch.stack(rows).unsqueeze(1).to(x.dtype)  # (requests, 1, outputs)


def can_pack(weight: Tensor) -> bool:
    """Return whether oneDNN can lay out a weight: on the CPU, in a type that it multiplies in hardware there."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(weight.dtype == torch.float32)
