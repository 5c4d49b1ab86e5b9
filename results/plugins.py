"""Finding plug-ins by entry point: names cost nothing, only the chosen one is imported."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from wattbench.results.errors import UsageError

__all__ = ["load_plugin", "nearest_lines", "plugin_names", "points_of"]


def plugin_names(group: str) -> tuple[str, ...]:
    """Return the sorted names of the plug-ins of an entry point group, importing none of them."""
    return tuple(sorted({point.name for point in points_of(group)}))


def points_of(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; what is installed is read once for each `sys.path`."""
    return tuple(_installed(tuple(sys.path)).select(group=group))


def load_plugin(group: str, name: str, what: str) -> Any:  # any: the group's contract decides the type
    """Import and return the plug-in `name` of `group`; `what` is the word for it in messages.

    Raises UsageError with the known names and the nearest one for an unknown name, and with the pip command or the
    cause when its import fails.
    """
    found: dict[str, EntryPoint] = {point.name: point for point in points_of(group)}
    if name not in found:
        raise UsageError(f"Unknown {what} {name!r}", *nearest_lines(name, found))
    try:
        return found[name].load()
    except ImportError as exc:
        source = f"{found[name].value}: {exc}"
        raise UsageError(
            f"The {what} {name!r} cannot be imported", source, "Reinstall the package it comes from."
        ) from exc


@cache
def _installed(path: tuple[str, ...]) -> Any:  # any: Python 3.11 and later have different types for it
    """Return all entry points on `path`, which is `sys.path`: reading them takes 20 ms where there are 150 packages."""
    return entry_points()


def nearest_lines(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return (why, remedy) for an unknown name: the known ones, and the nearest as a suggestion."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    remedy = f"Did you mean {close[0]!r}?" if close else ""
    return f"known are {', '.join(names)}", remedy
