"""Cutting the linear layers of a module to what one rank keeps, with or without numbers in them yet."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattbench.models.load import ModelSpec
from wattbench.models.shards import Cut, Share, cut_of
from wattbench.results.errors import DeviceError

__all__ = ["PartialLinear", "Sharing", "cut_module"]


class PartialLinear(nn.Module):  # type: ignore[misc] # torch is skipped
    """A linear layer of which a rank has some inputs: the ranks' products are summed before the bias is added."""

    def __init__(self, weight: Tensor, bias: Tensor | None, summed: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.summed = summed

    def forward(self, x: Tensor) -> Tensor:  # (..., this rank's inputs)
        """Return the whole product, (..., outputs)."""
        y = self.summed(functional.linear(x, self.weight))
        return y if self.bias is None else y + self.bias


class Sharing:
    """What a rank needs to build its part of a model: its share, and how the ranks add up what each has computed."""

    def __init__(self, share: Share, summed: Callable[[Tensor], Tensor]) -> None:
        self.share, self.summed = share, summed


def cut_module(module: Any, model: ModelSpec, sharing: Sharing) -> dict[str, tuple[int, slice, slice]]:
    """Cut a module's linear layers in place and say what was kept of each parameter that was cut.

    By the parameter's name: how long a row of the whole is, and which rows and columns stay (of a bias, a column).
    Raises DeviceError when a layer that should be cut is not there: another version of the library names it otherwise.
    """
    share, kept = sharing.share, {}
    found: dict[str, int] = {}
    for name, layer in [(n, part) for n, part in module.named_modules() if isinstance(part, nn.Linear)]:
        cut = cut_of(model, name, share.ranks)
        if cut is None:
            continue
        found[cut] = found.get(cut, 0) + 1
        rows, columns = _sides(layer.weight, cut, share)
        kept[f"{name}.weight"] = (layer.weight.shape[1], rows, columns)
        weight = layer.weight.detach()[rows, columns].clone()
        if cut == "inputs":
            bias = None if layer.bias is None else layer.bias.detach()
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, PartialLinear(weight, bias, sharing.summed))
            continue
        layer.weight, layer.out_features = nn.Parameter(weight, requires_grad=False), len(weight)
        if layer.bias is not None:
            kept[f"{name}.bias"] = (1, rows, slice(0, 1))
            layer.bias = nn.Parameter(layer.bias.detach()[rows].clone(), requires_grad=False)
    if not (found.get("outputs") and found.get("inputs")):
        why = f"torch {torch.__version__}: none of its linear layers has the name that is looked for"
        raise DeviceError(f"{model.name} could not be cut", why, "Use the tested versions of torch and transformers.")
    return kept


def _sides(weight: Tensor, cut: Cut, share: Share) -> tuple[slice, slice]:
    """Return the rows and columns of a whole weight (outputs, inputs) that a rank keeps."""
    outputs, inputs = weight.shape
    if cut == "outputs":
        return share.of(outputs), slice(0, inputs)
    return slice(0, outputs), share.of(inputs)
