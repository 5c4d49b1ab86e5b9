"""Recognising an accelerator by what it calls itself: a known name or id, never the nearest one."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from wattbench.results.vendor.records import Accelerator

__all__ = ["IDENTITY_KINDS", "Identity", "IdentityKind", "Match", "match_accelerator"]

IdentityKind = Literal["nvml", "rocm", "jax", "cpu", "apple", "neuron", "pci", "driver", "text"]
"""Who gave a name: a driver ("driver": of an accelerator, whichever), the kernel (PCI ids), or somebody who typed it
("text": any of them)."""

IDENTITY_KINDS: tuple[IdentityKind, ...] = get_args(IdentityKind)

SUGGESTIONS_MAX = 3
CUTOFF = 0.6
"""The similarity (difflib's ratio) from which on a name is suggested: the library's own default."""
NAME_MAX = 200
"""The longest text that near names are looked for: no device has a longer one, and looking would take long."""
CUTOFF_BEGIN = 0.7
"""The same for the beginning of a longer name, where a maker's name alone is much of what agrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a device says of itself, and where that was read."""

    kind: IdentityKind
    value: str
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What an identity leads to: one accelerator, or None with the reason and, to be read only, names near to it."""

    identity: Identity
    accelerator: Accelerator | None
    reason: str
    suggestions: tuple[str, ...] = ()


def match_accelerator(identity: Identity, accelerators: Iterable[Accelerator]) -> Match:
    """Return the one accelerator that an identity names.

    A name has to fit as a whole, in upper or lower case. One that fits several, such as a PCI id that three boards
    share, fits none: their figures differ, and a guess would be wrong for all but one.
    """
    rows = tuple(accelerators)
    value = " ".join(identity.value.split())
    found = [row for row in rows if value and _fits(row, identity.kind, value)]
    if len(found) == 1:
        return Match(identity=identity, accelerator=found[0], reason=_basis(found[0], identity.kind, value))
    if found:
        names = tuple(row.key for row in found)
        why = f"{value!r:.80} is the name of several: {', '.join(names)}"
        return Match(identity=identity, accelerator=None, reason=why, suggestions=names)
    near = _nearest(rows, value)
    hint = f"; near to it, but not taken: {', '.join(near)}" if near else ""
    why = f"{value!r:.80} is not listed{hint}" if value else "it has no name"
    return Match(identity=identity, accelerator=None, reason=why, suggestions=near)


def _fits(row: Accelerator, kind: IdentityKind, value: str) -> bool:
    names = row.names
    patterns: dict[str, tuple[str, ...]] = {
        "nvml": names.nvml,
        "rocm": names.rocm,
        "jax": names.jax,
        "cpu": names.cpu,
        "apple": names.apple,
        "neuron": names.neuron,
    }
    if kind == "pci":
        return value.lower() in names.pci
    if kind == "driver":
        return _any_fits((*names.nvml, *names.rocm, *names.jax), value)
    if kind != "text":
        return _any_fits(patterns[kind], value)
    own = {row.key.casefold(), row.name.casefold(), row.full_name.casefold()}
    by_name = any(_any_fits(each, value) for each in patterns.values())
    return by_name or value.casefold() in own or value.lower() in names.pci


def _any_fits(patterns: Iterable[str], value: str) -> bool:
    return any(re.fullmatch(pattern, value, re.IGNORECASE) for pattern in patterns)


def _basis(row: Accelerator, kind: IdentityKind, value: str) -> str:
    """Return by what a device was recognised, and whether that name was ever seen on one."""
    if kind == "text" and value.lower() in row.names.pci:
        kind = "pci"
    by = {"pci": "its PCI id", "text": "the name", "driver": "its name"}.get(kind, f"its name ({kind})")
    return f"{by}; {row.names.basis}" if row.names.basis else by


def _nearest(rows: Iterable[Accelerator], value: str) -> tuple[str, ...]:
    """Return the keys of those whose key, name or full name is near to a text, or begins nearly as it does."""
    asked, near = value.casefold(), []
    for row in rows if len(asked) <= NAME_MAX else ():
        names = [text.casefold() for text in (row.key, row.name, row.full_name)]
        whole = max((_alike(asked, name) for name in names), default=0.0)
        begins = max((_alike(asked, name[: len(asked)]) for name in names if len(name) > len(asked)), default=0.0)
        if whole >= CUTOFF or begins >= CUTOFF_BEGIN:
            near.append((max(whole, begins), row.key))
    return tuple(key for _, key in sorted(near, key=lambda pair: -pair[0]))[:SUGGESTIONS_MAX]


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
