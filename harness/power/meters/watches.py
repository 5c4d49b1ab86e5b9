"""Two watches over a meter that still answers but no longer measures: a counter, or a time stamp, that stands still."""

import time
from collections.abc import Callable

__all__ = ["CounterWatch", "StampWatch"]

_GRACE_S = 2.0
"""Beyond what the steps of a counter or stamp explain, for a busy network (our choice)."""


class CounterWatch:
    """Watches an energy counter beside its power: at P watts a counter of steps of R joules moves every R/P seconds."""

    def __init__(
        self, resolution_j: float, update_period_s: float, *, now_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._resolution_j = resolution_j
        self._update_period_s = update_period_s
        self._now_ns = now_ns
        self._last_j: float | None = None
        self._since_ns = 0
        self._drawn_j = 0.0
        self._seen_ns = 0

    def why_frozen(self, energy_j: float | None, power_w: float | None) -> str | None:
        """Return why the two cannot both be true: power was shown for the energy of 3 steps and none was counted.

        None as long as they can be, and where one of them is unknown.
        """
        now_ns = self._now_ns()
        if energy_j is None or power_w is None:
            return None
        if energy_j != self._last_j:
            self._last_j, self._since_ns, self._drawn_j = energy_j, now_ns, 0.0
        else:
            self._drawn_j += max(power_w, 0.0) * (now_ns - self._seen_ns) / 1e9
        self._seen_ns = now_ns
        still_s = (now_ns - self._since_ns) / 1e9
        if self._drawn_j <= 3 * self._resolution_j or still_s <= 3 * self._update_period_s + _GRACE_S:
            return None
        return f"frozen: its energy counter has stood still for {still_s:.0f} s while it shows {power_w:g} W"


class StampWatch:
    """Watches a source's own time stamp, which moves with every measurement."""

    def __init__(self, allowed_s: float, *, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._allowed_s = allowed_s
        self._now_ns = now_ns
        self._last: object = None
        self._since_ns = 0

    def why_frozen(self, stamp: object) -> str | None:
        """Return why the source is taken as frozen, or None; a source without a stamp (None) cannot be watched."""
        now_ns = self._now_ns()
        if stamp is None:
            return None
        if stamp != self._last:
            self._last, self._since_ns = stamp, now_ns
        still_s = (now_ns - self._since_ns) / 1e9
        if still_s <= self._allowed_s:
            return None
        return f"frozen: its time stamp {stamp} has stood still for {still_s:.0f} s"
