"""Memory traffic of a torch device: reads, copies, copies from the host, over buffers that no cache holds."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy
import torch
from torch import Tensor

from wattbench.backends.ceilings import (
    REFUSALS,
    CeilingBench,
    Way,
    buffer_bytes,
    free_host_bytes,
    last_level_cache_bytes,
)
from wattbench.backends.torch.ceilings_products import CORNER, to_host
from wattbench.backends.torch.failures import first_line
from wattbench.models.torch_memory import available_bytes

__all__ = ["bench_memory", "bench_uploads"]

BLOCK = 1 << 20
"""Buffers are filled with repetitions of this many random numbers: drawing them all would take seconds."""

ROW = 8192
"""The row length of a buffer that is read as a matrix."""

HOST_BUFFER_BYTES = 256 << 20

REDUCTION_ERROR = 0.1
"""How far a reduction may be off, in standard deviations of a sum of as many random numbers: far more than rounding."""


def bench_memory(bench: CeilingBench, device: torch.device) -> None:
    """Measure reads and copies of buffers that no cache holds."""
    try:
        size = buffer_bytes(_cache_bytes(device), _free_bytes(device), buffers=2)
        source = _random_buffer(size, device)
        target = torch.zeros_like(source)
    except REFUSALS as exc:
        bench.skip("memory_read and memory_copy", first_line(exc))
        return
    bench.memory("memory_read", source.nbytes, lambda: _read_ways(source))
    bench.memory("memory_copy", source.nbytes, lambda: [_copy("copy_", 2.0 * source.nbytes, source, target)])


def _read_ways(source: Tensor) -> Sequence[Way]:
    """Return reductions of a flat float32 buffer; which of them is limited by memory alone differs between devices."""
    matrix = source.view(-1, ROW)
    vector = torch.randn(ROW, device=source.device)
    last = to_host(matrix[-CORNER:])
    read = partial(_reduction, float(source.nbytes))
    repeats, block = source.numel() // BLOCK, to_host(source[:BLOCK])
    return [
        read("sum", partial(torch.sum, source), repeats * block.sum(keepdims=True), block.size * repeats),
        read("sum of rows", partial(torch.sum, matrix, dim=1), last.sum(axis=1), ROW),
        read("amax", partial(torch.amax, source), block.max(keepdims=True), 1),
        read("mv", partial(torch.mv, matrix, vector), last @ to_host(vector), ROW),
    ]


def _reduction(work: float, name: str, call: Callable[[], Tensor], expected: numpy.ndarray, terms: int) -> Way:
    """Return a way to read a buffer, whose last results are compared with those expected of random-normal numbers.

    A sum of n such numbers is about sqrt(n), and may be off by a part of that when they are added in float32.
    """

    def right(out: Tensor) -> bool:
        found = to_host(out.reshape(-1)[-CORNER:])
        return bool(numpy.abs(found - expected).max() <= REDUCTION_ERROR * math.sqrt(terms))

    return Way(name=name, work=work, call=call, right=right)


def bench_uploads(bench: CeilingBench, device: torch.device) -> None:
    """Measure copies from the host's memory to the device, from pinned and from ordinary pages."""
    size = min(HOST_BUFFER_BYTES, free_host_bytes() // 8, (_free_bytes(device) or HOST_BUFFER_BYTES) // 4)
    for pinned in (True, False):
        name = f"copy_ from {'pinned' if pinned else 'pageable'} memory"
        try:
            source = _random_buffer(size, torch.device("cpu"))
            source = source.pin_memory() if pinned else source
            target = torch.zeros(source.shape, device=device)
        except REFUSALS as exc:
            bench.skip(f"host_to_device, {name}", first_line(exc))
            continue
        bench.memory("host_to_device", source.nbytes, partial(_uploads, name, source, target))


def _uploads(name: str, source: Tensor, target: Tensor) -> Sequence[Way]:
    return [_copy(name, float(source.nbytes), source, target)]


def _copy(name: str, work: float, source: Tensor, target: Tensor) -> Way:
    """Return a copy, which is right when the last block has arrived."""

    def right(out: Tensor) -> bool:
        return bool(torch.equal(out[-BLOCK:].cpu(), source[-BLOCK:].cpu()))

    return Way(name=name, work=work, call=lambda: target.copy_(source, non_blocking=True), right=right)


def _random_buffer(size_bytes: int, device: torch.device) -> Tensor:
    """Return a flat float32 buffer of whole blocks of random-normal numbers, at least one."""
    block = torch.randn(BLOCK, device=device)
    return block.repeat(max(1, size_bytes // block.nbytes))


def _cache_bytes(device: torch.device) -> int | None:
    if device.type == "cpu":
        return last_level_cache_bytes()
    if device.type != "cuda":
        return None
    size: int | None = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", None)
    return size


def _free_bytes(device: torch.device) -> int | None:
    return free_host_bytes() if device.type == "cpu" else available_bytes(device)
