"""Where a model's operations run: counted in Core ML's own plan, and judged."""

from collections.abc import Mapping
from dataclasses import dataclass

from wattbench.backends.coreml.units import UNITS, Unit
from wattbench.results.errors import DeviceError

__all__ = ["Placement", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What the plan says in words, the share of operations on the device, and what runs elsewhere."""

    text: str
    share: float
    fallback: str | None


def judge(unit: Unit, places: Mapping[str, int], *, allow_fallback: bool) -> Placement:
    """Return the placement of a model by its compute plan: operations by the class of the part that takes them.

    Raises DeviceError when the part takes none, whatever is allowed, and when another takes any unless
    `allow_fallback`. A plan is what Core ML means to do; it tells nobody what it did.
    """
    total, mine = sum(places.values()), places.get(unit.computes, 0)
    labels = {known.computes: known.label for known in UNITS}
    others = [f"{n} on {labels.get(name, name)}" for name, n in sorted(places.items()) if name != unit.computes and n]
    rest = ", ".join(others)
    if mine == 0:
        why = f"0 of {total} operations{f': {rest}' if rest else ''}"
        raise DeviceError(f"Core ML plans nothing on the {unit.label}", why, "Choose another --device.")
    if others and not allow_fallback:
        raise DeviceError(
            f"Core ML plans only {mine} of {total} operations on the {unit.label}",
            rest,
            f"Choose another --device, or measure what {unit.device} and the others do together: --allow-fallback.",
        )
    text = (
        f"Core ML's compute plan: {mine} of {total} operations on the {unit.label} (what it means to do, not a proof)"
    )
    return Placement(text=text, share=mine / total, fallback=rest or None)
