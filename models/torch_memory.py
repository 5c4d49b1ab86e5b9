"""Turning PyTorch's ways of running out of memory into one error with figures."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from wattbench.results.errors import OutOfMemoryError

__all__ = ["available_bytes", "is_out_of_memory", "memory_errors"]

CPU_PHRASES = ("can't allocate memory", "not enough memory", "Cannot allocate memory")
"""What PyTorch's CPU allocators say in a plain RuntimeError (c10/core/CPUAllocator.cpp)."""


@contextmanager
def memory_errors(what: str, needed_bytes: int, device: torch.device) -> Iterator[None]:
    """Raise OutOfMemoryError with needed and free bytes for whatever PyTorch raises when memory runs out."""
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        if is_out_of_memory(exc):
            raise _error(what, needed_bytes, device, exc) from exc
        raise


def is_out_of_memory(exc: BaseException) -> bool:
    """Return whether an exception is one of PyTorch's or Python's ways to say that memory ran out."""
    if isinstance(exc, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(exc, RuntimeError) and any(phrase in str(exc) for phrase in CPU_PHRASES)


def available_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device in bytes; None when its SDK cannot tell."""
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    try:
        free, _ = torch.accelerator.get_memory_info(device)
    except (RuntimeError, AttributeError, NotImplementedError):
        return None
    return int(free) or None  # 0 from a runtime that cannot tell means unknown


def _error(what: str, needed_bytes: int, device: torch.device, exc: BaseException) -> OutOfMemoryError:
    free = available_bytes(device)
    free_text = "an unknown amount is" if free is None else f"{free / 1e9:.2f} GB are"
    cause = str(exc).split("\n")[0][:200]
    return OutOfMemoryError(
        f"{what} ran out of memory on {device}",
        f"it needs about {needed_bytes / 1e9:.2f} GB and {free_text} free ({cause})",
        "Choose a smaller load (`bench list loads`), a smaller --batch, or a narrower --precision.",
    )
