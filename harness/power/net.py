"""How well a net energy is known: what gross and idle energy share cancels in their difference, the rest does not."""

import math
from collections.abc import Callable
from dataclasses import replace

from wattbench.results.energy import BudgetTerm, ChannelEnergy

__all__ = ["with_net_uncertainty"]

_SHARED = ("gain", "clock")
"""Off by the same share in both windows, so that their difference is off by that share too."""

_ONE_LINE = ("offset", "calibration")
"""Errors of one straight line at two powers, correlated one way or the other: the worse is taken."""


def with_net_uncertainty(
    found: ChannelEnergy, idle: ChannelEnergy | None, after: ChannelEnergy | None, duration_s: float
) -> ChannelEnergy:
    """Return an energy with the standard uncertainties (k=1) of its net energy, in joules; None where they are unknown.

    `idle` is the window with the model loaded whose power was taken off, `after` the one after the work, where there
    is one: the idle power meanwhile may lie anywhere between them (rectangular, seen from one end).
    Net = gross - idle power x duration, so u^2 = sum over the lines of both budgets (JCGM 100:2008, 5.2.2), which are
    fully correlated where one sensor errs alike in both windows and independent where each window was seen by itself.
    """
    if found.energy_j is None or found.energy_net_j is None or idle is None or idle.mean_power_w is None:
        return found
    energy_j, idle_j = found.energy_j, idle.mean_power_w * duration_s
    after_w = idle.mean_power_w if after is None or after.mean_power_w is None else after.mean_power_w
    drift_j = abs(after_w - idle.mean_power_w) * duration_s / math.sqrt(3)

    def u_j(rel: Callable[[BudgetTerm], float], shared: tuple[str, ...]) -> float:
        gross = {term.name: energy_j * rel(term) for term in found.budget}
        rest = {term.name: idle_j * rel(term) for term in idle.budget}
        parts = [_together(name, gross.get(name, 0.0), rest.get(name, 0.0), shared) for name in gross | rest]
        return math.hypot(drift_j, *parts)

    known = found.u_absolute_rel is not None and idle.u_absolute_rel is not None
    return replace(
        found,
        u_net_absolute_j=u_j(lambda term: term.u_rel, _SHARED) if known else None,
        u_net_comparison_j=u_j(lambda term: term.compared_rel, ()),
    )


def _together(name: str, gross_j: float, idle_j: float, shared: tuple[str, ...]) -> float:
    """Return what one line of both budgets makes the difference of their energies unsure by."""
    if name in shared:
        return abs(gross_j - idle_j)
    return gross_j + idle_j if name in _ONE_LINE else math.hypot(gross_j, idle_j)
