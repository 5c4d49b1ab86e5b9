"""Replacing the linear layers of a module by faster ones with the same weights, or with rounded ones."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wattbench.backends.host import reduces_range
from wattbench.backends.torch.matrices import Matrix, Packed, can_pack
from wattbench.backends.torch.quantised import Float8, Rounding, int8_rows
from wattbench.models.torch_shards import PartialLinear

__all__ = ["Biased", "DynamicInt8", "Partial", "float8_linear", "int8_linear", "packed_linear", "replace_linears"]

EIGHT_BITS, SEVEN_BITS = 127, 63
"""The largest weight of an output in steps."""

MakeLinear = Callable[[nn.Linear], nn.Module | None]


class Biased(nn.Module):  # type: ignore[misc] # torch is skipped
    """A matrix and a bias."""

    bias: Tensor | None

    def __init__(self, matrix: Matrix, bias: Tensor | None) -> None:
        super().__init__()
        self.matrix = matrix
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs)."""
        y: Tensor = self.matrix(x)
        return y if self.bias is None else y + self.bias


class DynamicInt8(nn.Module):  # type: ignore[misc] # torch is skipped
    """Weights in int8 with one scale an output, activations in 8 bits with one scale and offset a row, as they come.

    oneDNN multiplies the bytes and sums in int32; where the processor sums pairs in 16 bits, weights keep to seven
    bits. One scale for all rows would be that of the widest: in trained encoders a single position, the first, has
    activations ten times those of the others.
    """

    packed: Tensor
    sums: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, rounding: Rounding | None = None) -> None:
        super().__init__()
        rounded, scale = (rounding or _int8_rows_here)(weight.float())
        packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.register_buffer("packed", packed, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(scale), dtype=torch.int32), persistent=False)
        self.register_buffer("sums", rounded.sum(dim=1, dtype=torch.int64).float() * scale, persistent=False)
        self.register_buffer("one", torch.ones(1), persistent=False)
        self.register_buffer("zero", torch.zeros(1, dtype=torch.int32), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (..., inputs)
        """Return the product, (..., outputs), in the type of `x`: rows are low + step x 0..255."""
        rows = x.flatten(0, -2).float()
        low, high = torch.aminmax(rows, dim=1, keepdim=True)
        step = ((high - low) / 255).clamp_min(torch.finfo(torch.float32).tiny)
        steps = torch.round((rows - low) / step).clamp(0, 255).to(torch.uint8)  # compiled code may recompute rows
        product = torch.ops.onednn.qlinear_pointwise.tensor(
            steps, self.one, self.zero, self.packed, self.scale, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        y: Tensor = product * step + low * self.sums
        y = y if self.bias is None else y + self.bias
        return y.to(x.dtype).unflatten(0, x.shape[:-1])


class Partial(nn.Module):  # type: ignore[misc] # torch is skipped
    """What was made of a layer of which a rank has some inputs: summed over the ranks, then the bias."""

    bias: Tensor | None

    def __init__(self, made: nn.Module, layer: PartialLinear) -> None:
        super().__init__()
        self.made, self.summed = made, layer.summed
        self.register_buffer("bias", _bias(layer), persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (..., this rank's inputs)
        """Return the whole product, (..., outputs)."""
        y: Tensor = self.summed(self.made(x))
        return y if self.bias is None else y + self.bias


def replace_linears(module: nn.Module, make: MakeLinear) -> None:
    """Put what `make` gives in the place of every linear layer of a module; None leaves the layer as it is."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            made = make(child)
            if made is not None:
                setattr(module, name, made)
        elif isinstance(child, PartialLinear):
            made = make(_without_bias(child))
            if made is not None:
                setattr(module, name, Partial(made, child))
        else:
            replace_linears(child, make)


def packed_linear(linear: nn.Linear) -> nn.Module | None:
    """Return the layer with its weights in oneDNN's layout; None where oneDNN is of no use."""
    return Packed(linear.weight.detach(), _bias(linear)) if can_pack(linear.weight) else None


def int8_linear(linear: nn.Linear) -> nn.Module | None:
    """Return the layer with weights and activations in int8."""
    return DynamicInt8(linear.weight.detach(), _bias(linear))


def float8_linear(linear: nn.Linear) -> nn.Module | None:
    """Return the layer with weights and activations in float8; None for a shape that the kernel does not take."""
    weight = linear.weight.detach()
    return Biased(Float8(weight), _bias(linear)) if Float8.fits(weight) else None


def _int8_rows_here(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a float32 matrix as int8 with one scale a row, in as many steps as this processor multiplies exactly."""
    return int8_rows(weight, SEVEN_BITS if reduces_range() else EIGHT_BITS)


def _without_bias(layer: PartialLinear) -> nn.Linear:
    outputs, inputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs, bias=False, device="meta")
    linear.weight = layer.weight
    return linear


def _bias(linear: nn.Linear | PartialLinear) -> Tensor | None:
    return None if linear.bias is None else linear.bias.detach()
