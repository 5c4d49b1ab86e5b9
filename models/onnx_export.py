"""Exporting a model to ONNX from the same torch module and the same weights that the torch backend runs."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wattbench.models.architecture import Architecture
from wattbench.models.configurations import dimensions
from wattbench.models.load import ModelSpec
from wattbench.models.onnx_model import (
    EXPORTED_PRECISIONS,
    HIDDEN,
    INPUT_IDS,
    LOGITS,
    PIXELS,
    POOLED,
    TOKEN,
    TOTAL,
    CacheShape,
    ExportedModel,
    past_names,
    present_names,
    refuse_unexportable,
)
from wattbench.models.onnx_modules import decoder_graph, encoder_graph
from wattbench.models.torch_build import build
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["FILE", "OPSET", "export"]

FILE = "model.onnx"
"""The graph's name in its folder; its weights lie beside it in model.onnx.data, whatever their size."""

OPSET = 23
"""The first opset with RMSNormalization as an operator (ONNX 1.18)."""

CPU = torch.device("cpu")

BATCH, NEW, CAPACITY, POSITIONS = "batch", "new", "capacity", "positions"
"""The names of the dimensions that stay free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """A module ready to be traced: example inputs, which of their dimensions are free, and all names."""

    module: nn.Module
    examples: tuple[Any, ...]
    free: tuple[Any, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cache: CacheShape | None


def export(model: ModelSpec, *, weights: str, seed: int, precision: str, folder: Path) -> ExportedModel:
    """Write a model as `folder`/model.onnx and return what it is.

    `weights` and `seed` are those of `torch_build.build`, and so is the weights' record. `precision` is "float32",
    "bfloat16" or "float16": the type of weights, activations and cache; logits and vectors come out in float32.
    Batch and sequence (encoders), new tokens and the cache's capacity (decoders) stay free. Raises UsageError for an
    architecture or precision without an export, DeviceError when torch's exporter gives up, and what `build` raises.
    """
    refuse_unexportable(model)
    if precision not in EXPORTED_PRECISIONS:
        why = f"the exported precisions are {', '.join(EXPORTED_PRECISIONS)}"
        raise UsageError(f"No ONNX export in {precision!r}", why, "Export in float32 and quantise.")
    dtype: torch.dtype = getattr(torch, precision)
    built = build(model, weights=weights, seed=seed, dtype=dtype, device=CPU)
    with torch.no_grad():
        traced = _traced(model, built.module, dtype)
        program = _exported(model, traced)
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    path = folder / FILE
    program.save(str(path), external_data=True)
    return ExportedModel(
        path=path,
        family=model.family,
        precision=precision,
        weights=built.weights,
        inputs=traced.inputs,
        outputs=traced.outputs,
        cache=traced.cache,
        nodes=len(program.model.graph),
    )


def _exported(model: ModelSpec, traced: _Traced) -> Any:
    try:
        with _quiet():
            return torch.onnx.export(
                traced.module,
                traced.examples,
                dynamo=True,
                opset_version=OPSET,
                input_names=traced.inputs,
                output_names=traced.outputs,
                dynamic_shapes=traced.free,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, AttributeError) as exc:
        why = str(exc.__cause__ or exc).split("\n", 1)[0]
        raise DeviceError(f"torch cannot export {model.name} to ONNX", why, "Choose another backend.") from exc


def _traced(model: ModelSpec, module: nn.Module, dtype: torch.dtype) -> _Traced:
    architecture = dimensions(model)
    if model.family == "decoder":
        return _decoder(architecture, module, dtype)
    if architecture.modality == "image":
        channels, side = (int(str(model.config[key])) for key in ("num_channels", "image_size"))
        return _encoder(module, torch.zeros(2, channels, side, side), {0: BATCH}, PIXELS, (LOGITS,))
    tokens = torch.ones(2, 5, dtype=torch.int64)
    return _encoder(module, tokens, {0: BATCH, 1: POSITIONS}, INPUT_IDS, (HIDDEN, POOLED))


def _encoder(
    module: nn.Module, example: torch.Tensor, free: dict[int, str], name: str, outputs: tuple[str, ...]
) -> _Traced:
    return _Traced(
        module=encoder_graph(module), examples=(example,), free=(free,), inputs=(name,), outputs=outputs, cache=None
    )


def _decoder(architecture: Architecture, module: nn.Module, dtype: torch.dtype) -> _Traced:
    stack, positions = architecture.decoder, architecture.positions_max
    assert stack is not None, "a decoder has a decoder"
    assert positions is not None, "every exported decoder bounds its positions"
    cache = CacheShape(
        layers=stack.layers, kv_heads=stack.kv_heads, head_dim=stack.head_dim, precision=str(dtype).split(".")[-1]
    )
    past = tuple(
        torch.zeros(2, cache.kv_heads, 8, cache.head_dim, dtype=dtype)  # (batch, kv_heads, capacity, head_dim)
        for _ in range(2 * cache.layers)
    )
    return _Traced(
        module=decoder_graph(module, positions),
        examples=(torch.ones(2, 3, dtype=torch.int64), torch.full((1,), 3, dtype=torch.int32), past),
        free=({0: BATCH, 1: NEW}, {}, tuple({0: BATCH, 2: CAPACITY} for _ in past)),
        inputs=(INPUT_IDS, TOTAL, *past_names(cache.layers)),
        outputs=(TOKEN, LOGITS, *present_names(cache.layers)),
        cache=cache,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings about its own old calls and our repeated dimension names to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
