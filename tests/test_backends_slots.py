"""The static KV cache."""

import pytest

pytest.importorskip("torch", reason="the cache holds tensors")

import torch
from torch import Tensor

from wattbench.backends.torch.slots import SlotCache, Slots


def positions(*values: int, batch: int = 1) -> Tensor:
    """Return keys (batch, 1 head, positions, 1 wide) that hold the given numbers."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, -1, 1).expand(batch, -1, -1, -1)


def seen(keys: Tensor) -> list[int]:
    """Return the numbers of the first request that attention would see."""
    return [int(v) for v in keys[0, 0, :, 0]]


def test_attention_sees_exactly_what_was_stored() -> None:
    """A view holds all positions so far and nothing of the empty rest."""
    slots = Slots(capacity=5, batch=1)
    slots.store(positions(1, 2), positions(1, 2))
    keys, values = slots.store(positions(3), positions(4))

    assert [1, 2, 3] == seen(keys)
    assert [1, 2, 4] == seen(values)


def test_memory_is_taken_once() -> None:
    """Neither storing nor clearing allocates again."""
    slots = Slots(capacity=4, batch=1)
    slots.store(positions(1), positions(1))
    before = [t.data_ptr() for t in slots.tensors()]
    slots.clear()
    keys, _ = slots.store(positions(7), positions(7))

    assert [7] == seen(keys)
    assert before == [t.data_ptr() for t in slots.tensors()]


def test_a_view_shares_the_buffer() -> None:
    """What attention reads is the cache's own memory: nothing is copied."""
    slots = Slots(capacity=4, batch=1)
    slots.store(positions(1), positions(1))
    keys, _ = slots.store(positions(2), positions(2))

    assert slots.tensors()[0].data_ptr() == keys.data_ptr()


def test_a_window_limits_how_far_back_a_view_reaches() -> None:
    """With a window of 3, a new position sees itself and the two before it."""
    slots = Slots(capacity=9, batch=1, window=3)
    slots.store(positions(1, 2, 3, 4), positions(1, 2, 3, 4))
    keys, _ = slots.store(positions(5), positions(5))

    assert [3, 4, 5] == seen(keys)


def test_fewer_requests_than_the_batch_use_its_first_rows() -> None:
    """A cache for two requests serves one."""
    slots = Slots(capacity=4, batch=2)
    keys, _ = slots.store(positions(1), positions(1))

    assert (1, 1, 1, 1) == tuple(keys.shape)


def test_an_overflow_is_an_error() -> None:
    """More positions than the capacity are refused."""
    slots = Slots(capacity=2, batch=1)

    with pytest.raises(IndexError, match="holds 2 positions, position 3"):
        slots.store(positions(1, 2, 3), positions(1, 2, 3))


def test_a_reset_cache_is_empty() -> None:
    """After a reset every layer starts from the front."""
    cache = SlotCache(layers=2, capacity=4, batch=1)
    for layer in range(2):
        cache.update(positions(1), positions(1), layer)
    cache.reset()

    assert [0, 0] == [slots.filled for slots in cache.slots]
