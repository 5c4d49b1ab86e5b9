"""Where the ladder contradicts itself: a rung of more of the machine that shows less than a part of it draws."""

from collections.abc import Iterator, Sequence

from wattbench.results.covers import devices_of, is_among
from wattbench.results.rungs import RungEnergy

__all__ = ["UNSTATED_REL", "contradicted_rungs"]

_WITHIN = {
    "wall": ("node", "module", "package", "package+dram", "board"),
    "node": ("module", "package", "package+dram", "board"),
    "module": ("board",),
}
"""Scopes that lie within another one; what psys takes in is its maker's choice, so it is in no line."""

UNSTATED_REL = 0.1
"""Stands in for an accuracy that nobody states (k=1, our choice).

Of the boards since Pascal that were compared with a meter in public none is off by more than 12.7 % (arXiv 2312.02741).
"""

_K = 2


def contradicted_rungs(found: Sequence[RungEnergy]) -> Iterator[str]:
    """Yield, in words, each rung of a window that lies below one within it by more than both intervals (k=2).

    Where it lies below several, the largest is named.
    """
    for outer in found:
        parts = (rung for rung in found if rung.scope in _WITHIN.get(outer.scope, ()) and _takes_in(outer, rung))
        larger = max((p for p in parts if _below(outer, p)), key=lambda p: p.energy_j or 0.0, default=None)
        if larger is not None:
            yield f"{outer.name} shows {_figure(outer)}, less than {larger.name} within it, {_figure(larger)}"


def _takes_in(outer: RungEnergy, inner: RungEnergy) -> bool:
    """Return whether a rung sees all that another one sees: the whole machine does, else the device is the same."""
    if outer.covers is None:
        return outer.scope != "module"
    return inner.covers is not None and all(is_among(one, outer.covers) for one in devices_of(inner.covers))


def _below(outer: RungEnergy, inner: RungEnergy) -> bool:
    if outer.energy_j is None or inner.energy_j is None:
        return False
    return outer.energy_j * (1 + _K * _u_rel(outer)) < inner.energy_j * (1 - _K * _u_rel(inner))


def _u_rel(rung: RungEnergy) -> float:
    """Return the absolute uncertainty (k=1); where no accuracy is stated, what is known and `UNSTATED_REL`."""
    return UNSTATED_REL + (rung.u_comparison_rel or 0.0) if rung.u_absolute_rel is None else rung.u_absolute_rel


def _figure(rung: RungEnergy) -> str:
    stated = "accuracy not stated" if rung.u_absolute_rel is None else f"+/-{100 * _K * rung.u_absolute_rel:.2g} %"
    return f"{rung.mean_power_w or 0.0:.4g} W ({stated})"
