"""A static KV cache: buffers that are allocated once and hand attention exactly the filled part, without a copy."""

import torch
from torch import Tensor

__all__ = ["SlotCache", "Slots"]


class Slots:
    """The keys and values of one layer in fixed memory, filled from the front.

    New positions are written in place and a view of the filled part is returned: nothing grows, nothing is copied,
    and a decode step needs no mask. `window` bounds how far back a view reaches (sliding-window layers); their memory
    is still the whole context. Memory is taken at the first `store`, whose shapes and type it keeps.
    """

    def __init__(self, *, capacity: int, batch: int, window: int | None = None) -> None:
        self.capacity = capacity
        self.window = window
        self.filled = 0
        self._batch = batch
        self._keys: Tensor | None = None  # (batch, kv_heads, capacity, head_dim)
        self._values: Tensor | None = None

    def store(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append (batch, kv_heads, new, head_dim) twice; return what the new positions may attend to.

        Raises IndexError when the context is longer than the capacity: a bug, since the plan sized it.
        """
        if self._keys is None or self._values is None:
            self._keys, self._values = self._allocate(keys), self._allocate(values)
        batch, new = keys.shape[0], keys.shape[2]
        first, start, end = self.first_seen(), self.filled, self.filled + new
        if end > self.capacity:
            raise IndexError(f"the KV cache holds {self.capacity} positions, position {end} was stored")
        self._keys[:batch, :, start:end].copy_(keys)
        self._values[:batch, :, start:end].copy_(values)
        self.filled = end
        return self._keys[:batch, :, first:end], self._values[:batch, :, first:end]

    def first_seen(self) -> int:
        """Return the first position that the next new position may attend to."""
        return 0 if self.window is None else max(0, self.filled - self.window + 1)

    def clear(self) -> None:
        """Forget all positions and keep the memory."""
        self.filled = 0

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the buffers that are allocated."""
        return tuple(t for t in (self._keys, self._values) if t is not None)

    def _allocate(self, like: Tensor) -> Tensor:
        shape = (self._batch, like.shape[1], self.capacity, like.shape[3])
        return torch.zeros(shape, dtype=like.dtype, device=like.device)


class SlotCache:
    """One `Slots` a layer, with the `update` that our own models call."""

    def __init__(self, *, layers: int, capacity: int, batch: int) -> None:
        self.slots = tuple(Slots(capacity=capacity, batch=batch) for _ in range(layers))

    def update(self, keys: Tensor, values: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Store a layer's new keys and values and return all that may be attended to."""
        return self.slots[layer_idx].store(keys, values)

    def reset(self) -> None:
        """Forget all positions and keep the memory."""
        for slots in self.slots:
            slots.clear()
