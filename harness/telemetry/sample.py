"""One sample of a device's monitoring, and reading numbers out of what tools print."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Parse", "Sample", "at", "loaded", "number", "share"]

MOST_PERCENT = 100.5
"""Tools round; what is above is in another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a tool says at one instant; None: it does not say. Utilisation is 0..1."""

    utilisation: float | None = None
    memory_used_bytes: int | None = None
    throttle_score: float | None = None


Parse = Callable[[bytes], Sample | None]
"""Reads one line of a tool's output; None for a line without a figure."""


def loaded(text: str | bytes) -> Any:  # any: JSON that somebody else wrote
    """Return what a JSON text says, None where it is none or cannot be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


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
    try:
        return float(value) if 0 <= value < float("inf") else None
    except OverflowError:
        return None


def share(value: Any) -> float | None:  # any: JSON that somebody else wrote
    """Return a share in 0..1 that is told in percent; None for what is no number or above all."""
    percent = number(value)
    return None if percent is None or percent > MOST_PERCENT else min(percent, 100.0) / 100
