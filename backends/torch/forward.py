"""One forward of a decoder over its static cache: by the module as it is, or by the lean decoder."""

from typing import Any, Protocol

import torch
from torch import Tensor

from wattbench.backends.torch.compile import Options, compiled
from wattbench.backends.torch.engine import Setup
from wattbench.backends.torch.lean import LeanDecoder
from wattbench.backends.torch.slots import SlotCache

__all__ = ["COMPILED_FROM", "CompiledForward", "Forward", "LeanForward", "ModuleForward"]


COMPILED_FROM = 2
"""The first position of a compiled step: sizes and offsets of 0 and 1 would become constants of the compiled code."""


class Forward(Protocol):
    """What a decoder engine needs of its model."""

    def reset(self) -> None:
        """Forget all positions and keep the memory."""
        ...

    def logits(self, ids: Tensor, position: int) -> Tensor:
        """Store new tokens (requests, new) that start at a position; return the last one's logits (requests, width)."""
        ...

    def state(self) -> tuple[Tensor, ...]:
        """Return the tensors that are kept between calls."""
        ...


class ModuleForward:
    """The forward of a transformers or tiny module, with a cache of views that hold what may be attended to."""

    def __init__(self, setup: Setup) -> None:
        self._module = setup.module
        self._cache = _make_cache(setup)
        self._positions = torch.arange(setup.context, device=setup.device).unsqueeze(0)  # (1, context)

    def reset(self) -> None:
        """Forget all positions and keep the memory."""
        self._cache.reset()

    def logits(self, ids: Tensor, position: int) -> Tensor:
        """Return the logits of the last new position."""
        found: Tensor = self._module(
            input_ids=ids,
            position_ids=self._positions[:, position : position + ids.shape[1]],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return found[:, -1]

    def state(self) -> tuple[Tensor, ...]:
        """Return the cache's buffers and the positions."""
        return (*_cache_tensors(self._cache), self._positions)


class LeanForward:
    """The lean decoder, call by call."""

    def __init__(self, setup: Setup) -> None:
        assert isinstance(setup.module, LeanDecoder), "made by lean_decoder"
        self._lean = setup.module
        self._keys, self._values = self._lean.cache(setup.requests, setup.context)
        self._positions = torch.arange(setup.context, device=setup.device)

    def reset(self) -> None:
        """Do nothing: each call says where its positions start, and sees none after them."""

    def logits(self, ids: Tensor, position: int) -> Tensor:
        """Return the logits of the last new position."""
        end = position + ids.shape[1]
        span, new = self._positions[:end], self._positions[position:end]
        found: Tensor = self._lean(ids, new, span, self._keys, self._values)
        return found

    def state(self) -> tuple[Tensor, ...]:
        """Return the cache's buffers and the positions."""
        return (*self._keys, *self._values, self._positions)


class CompiledForward:
    """The lean decoder with its decode step compiled for the full batch; smaller batches go call by call.

    Prompts do too; with options for them, those of a first turn are compiled that are as long as the first that comes.
    The length of the cache is a symbol of the compiled step, so one compilation serves every position.
    """

    def __init__(self, setup: Setup, options: Options, prompt_options: Options | None = None) -> None:
        self._plain = LeanForward(setup)
        self._lean, self._requests = self._plain._lean, setup.requests
        self._keys, self._values = self._plain._keys, self._plain._values
        self._ids = torch.zeros(setup.requests, 1, dtype=torch.int64, device=setup.device)
        self._step = compiled(self._traced, options)
        self._prompt = compiled(self._traced_prompt, prompt_options) if prompt_options is not None else None
        self._prompt_shape: torch.Size | None = None

    def reset(self) -> None:
        """Do nothing, as the lean decoder."""

    def logits(self, ids: Tensor, position: int) -> Tensor:
        """Return the logits of the last new position."""
        if self._prompt is not None and position == 0 and ids.shape[1] > 1:
            self._prompt_shape = self._prompt_shape or ids.shape
            if ids.shape == self._prompt_shape:
                return self._prompt(ids, self._plain._positions[: ids.shape[1]], self._keys, self._values)
        if ids.shape != self._ids.shape or position < COMPILED_FROM:
            return self._plain.logits(ids, position)
        if ids.data_ptr() != self._ids.data_ptr():
            self._ids.copy_(ids)
        positions = self._plain._positions
        span = positions[: position + 1]
        torch._dynamo.mark_dynamic(span, 0)
        return self._step(self._ids, positions[position : position + 1], span, self._keys, self._values)

    def state(self) -> tuple[Tensor, ...]:
        """Return the cache's buffers, the positions and the token buffer."""
        return (*self._plain.state(), self._ids)

    def _traced(self, ids: Tensor, positions: Tensor, span: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        found: Tensor = self._lean(ids, positions, span, keys, values, few=True)
        return found

    def _traced_prompt(self, ids: Tensor, span: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        found: Tensor = self._lean(ids, span, span, keys, values)
        return found


def _make_cache(setup: Setup) -> Any:  # any: our SlotCache or a transformers.Cache of the same slots
    config = getattr(setup.module, "config", None)
    if config is None:
        layers = len(setup.module.tower.layers)
        return SlotCache(layers=layers, capacity=setup.context, batch=setup.requests)
    from wattbench.backends.torch.slots_transformers import slot_cache

    return slot_cache(config, capacity=setup.context, batch=setup.requests)


def _cache_tensors(cache: Any) -> tuple[Tensor, ...]:
    layers = cache.slots if isinstance(cache, SlotCache) else [layer.slots for layer in cache.layers]
    return tuple(tensor for slots in layers for tensor in slots.tensors())
