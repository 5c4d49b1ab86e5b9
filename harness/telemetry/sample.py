"""One sample of a device's monitoring, and reading numbers out of what tools print."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Parse", "Sample", "at", "number"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a tool says at one instant; None: it does not say. Utilisation is 0..1."""

    utilisation: float | None = None
    memory_used_bytes: int | None = None
    throttle_score: float | None = None


Parse = Callable[[bytes], Sample | None]
"""Reads one line of a tool's output; None for a line without a figure."""


def at(tree: Any, *path: str) -> Any:  # any: JSON that somebody else wrote
    """Return what lies at a path of nested objects, None where the path ends early."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def number(value: Any) -> float | None:  # any: JSON that somebody else wrote
    """Return a finite number that is not negative, from a number or a text that ends with one; else None."""
    if isinstance(value, str):
        words = value.replace(":", " ").replace("%", " ").split()
        try:
            value = float(words[-1]) if words else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None
