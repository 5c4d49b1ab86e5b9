"""Several meters on one machine: channels with names of their own, and power supplies that are all there, once each."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import UsageError

__all__ = ["require_told_apart", "supply_of"]

_SUPPLY = re.compile(r"supply (\d+)/(\d+)")

_REMEDY = (
    "Say supply=1/2 and supply=2/2 where each feeds one of the machine's supplies, "
    "or supply=1/1 for each that feeds the whole machine (docs/meters.md#several-at-once)."
)


def supply_of(covers: str | None) -> tuple[int, int] | None:
    """Return (number, how many) of `supply 1/2`, or None for all else and for the only supply: the whole machine."""
    found = _SUPPLY.fullmatch(covers or "")
    return None if found is None or found[2] == "1" else (int(found[1]), int(found[2]))


def require_told_apart(channels: Sequence[ChannelRecord]) -> None:
    """Raise UsageError when two meters have one name, or it is not known how the meters at the wall belong together.

    Meters of supplies must be all there: a machine of two supplies of which one is metered would be shown at half.
    """
    for name, count in Counter(c.id for c in channels).items():
        if count > 1:
            why = "their values could not be told apart"
            raise UsageError(f"Two power sources are called {name}", why, "Give each a name of its own: name=left.")
    parts = {c.group: c for c in channels if c.scope in ("package", "dram")}.values()
    for (sampler, scope, covers), count in Counter((c.sampler, c.scope, c.covers) for c in parts).items():
        if count > 1:
            why = f"{count} of {sampler} say so, and their energies would be added"
            raise UsageError(f"Two power sources see the {scope} {covers}", why, "Leave one out, or say covers=cpu:1.")
    wall = {c.group: c for c in channels if c.scope == "wall"}.values()
    if len(wall) > 1 and (unclear := [c.group for c in wall if c.covers is None]):
        raise UsageError(f"What {unclear[0]} feeds is not clear", f"there are {len(wall)} meters at the wall", _REMEDY)
    for scope in ("wall", "node"):
        _require_all(scope, {c.group: c for c in channels if c.scope == scope}.values())


def _require_all(scope: str, sources: Iterable[ChannelRecord]) -> None:
    found = Counter(supply for c in sources if (supply := supply_of(c.covers)) is not None)
    if not found:
        return
    sizes = {size for _, size in found}
    if len(sizes) > 1:
        stated = ", ".join(str(size) for size in sorted(sizes))
        raise UsageError("The meters do not agree how many supplies there are", f"{stated} are stated", _REMEDY)
    (size,) = sizes
    for number in range(1, size + 1):
        if found[(number, size)] != 1:
            why = "no meter has it" if not found[(number, size)] else "several meters have it"
            raise UsageError(f"Supply {number} of {size} is not metered once ({scope})", why, _REMEDY)
