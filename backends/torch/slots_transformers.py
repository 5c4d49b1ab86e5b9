"""The static KV cache in the form that transformers' models take."""

from typing import Any

import transformers
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from wattbench.backends.torch.slots import Slots
from wattbench.results.errors import UsageError

__all__ = ["cross_slot_cache", "slot_cache"]


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc] # transformers is untyped here
    """One layer's `Slots` behind transformers' interface of a cache layer.

    Told as a dynamic layer (not compileable), so that the models make no mask for a decode step: the view already
    holds exactly what may be attended to.
    """

    is_compileable = False
    supports_early_init = False

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self.slots = slots
        self.is_sliding = slots.window is not None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: `Slots` takes its memory at the first update."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store new keys and values and return what may be attended to."""
        self.is_initialized = True
        self.keys, self.values = self.slots.store(key_states, value_states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the length and offset of the keys that `update` will return for `query_length` new positions."""
        first = self.slots.first_seen()
        return self.slots.filled + query_length - first, first

    def get_seq_length(self) -> int:
        """Return how many positions are stored."""
        return self.slots.filled

    def get_max_length(self) -> int:
        """Return how many positions can be stored."""
        return self.slots.capacity

    def reset(self) -> None:
        """Forget all positions and keep the memory."""
        self.slots.clear()


def slot_cache(config: Any, *, capacity: int, batch: int) -> Any:
    """Return a `transformers.Cache` of static slots for a decoder's configuration, `capacity` positions long.

    transformers' own StaticCache says which layers slide and how far. Raises UsageError for layers that keep
    something else than keys and values (recurrent states).
    """
    layers: list[Any] = []
    for layer in transformers.StaticCache(config=config, max_cache_len=capacity).layers:
        if not isinstance(layer, CacheLayerMixin):
            what = f"{type(config).__name__} has a layer without a KV cache"
            raise UsageError(what, type(layer).__name__, "Choose a model whose layers are attention only.")
        window = layer.get_max_length() if getattr(layer, "is_sliding", False) else None
        layers.append(_SlotLayer(Slots(capacity=capacity, batch=batch, window=window)))
    return transformers.Cache(layers=layers)


def cross_slot_cache(config: Any, *, capacity: int, batch: int, memory: int) -> Any:
    """Return an `EncoderDecoderCache` of static slots: `capacity` decoder and `memory` encoder positions."""
    own = slot_cache(config, capacity=capacity, batch=batch)
    layers: list[Any] = [_SlotLayer(Slots(capacity=memory, batch=batch)) for _ in own.layers]
    return transformers.EncoderDecoderCache(own, transformers.Cache(layers=layers))
