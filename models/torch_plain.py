"""A load's encoder in torch with its example inputs of one fixed shape, for makers of programs."""

from dataclasses import dataclass

import torch

from wattbench.models.configurations import dimensions
from wattbench.models.load import ModelSpec
from wattbench.models.plain_encoder import PlainEncoder, plain_encoder
from wattbench.models.torch_build import build
from wattbench.models.torch_memory import memory_errors
from wattbench.results.subject import WeightsRecord

__all__ = ["FixedEncoder", "fixed_encoder"]

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedEncoder:
    """An encoder ready for export, the record of its weights, and inputs of the shape that it is exported with."""

    module: PlainEncoder
    weights: WeightsRecord
    example: torch.Tensor


def fixed_encoder(
    model: ModelSpec,
    *,
    weights: str,
    seed: int,
    precision: str,
    requests: int,
    positions: int,
    wide_tokens: bool,
    flat: bool = False,
) -> FixedEncoder:
    """Return an encoder for `requests` requests of `positions` tokens, or for as many images.

    `weights`, `seed` and `precision` are those of `torch_build.build`; `wide_tokens` asks for tokens in int64 rather
    than int32, `flat` is that of `plain_encoder`. Raises what `build` raises, and OutOfMemoryError with figures.
    """
    with memory_errors(f"exporting {model.name}", 8 * model.parameter_count, CPU):
        built = build(model, weights=weights, seed=seed, dtype=getattr(torch, precision), device=CPU)
    if dimensions(model).modality == "image":
        channels, side = (int(str(model.config[key])) for key in ("num_channels", "image_size"))
        example = torch.zeros(requests, channels, side, side)
    else:
        example = torch.ones(requests, positions, dtype=torch.int64 if wide_tokens else torch.int32)
    return FixedEncoder(module=plain_encoder(built.module, flat=flat), weights=built.weights, example=example)
