"""Hardware on offer, as a database or cost.yaml states it: a rate or peaks, a price or a rent, power."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from wattbench.results.checks import require, require_not_negative
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["AS_STATED", "HardwareCatalogue", "HardwareOffer", "StatedMachines"]

NUMBERS = {
    "price_usd": (10.0, 1e9),
    "usd_per_h": (0.001, 5000.0),
    "active_w": (0.5, 500_000.0),
    "idle_w": (0.1, 500_000.0),
    "queries_per_s": (1e-9, 1e9),
    "peak_flops": (1e9, 1e20),
    "bandwidth_bytes_per_s": (1e8, 1e17),
}
"""The numbers of an entry of `machines:`, and what is plausible in USD, USD/h, W, 1/s, FLOP/s and byte/s."""

TEXTS = ("name", "class", "source")

AS_STATED = "as stated"
"""How the power of a machine is known that the user states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareOffer:
    """One machine on offer, of a class (datacentre GPU, workstation, edge ...), and where its numbers are from.

    Its rate is `queries_per_s`, or follows from dense `peak_flops` (FLOP/s) and `bandwidth_bytes_per_s`. `active_w` is
    what it draws at work, `active_basis` says how that is known ("measured at the wall", "TDP of the vendor"). What is
    not stated is None.
    """

    name: str
    kind: str
    source: str
    price_usd: float | None
    usd_per_h: float | None
    active_w: float | None
    idle_w: float | None
    active_basis: str
    queries_per_s: float | None
    peak_flops: float | None
    bandwidth_bytes_per_s: float | None

    def __post_init__(self) -> None:
        require_not_negative(
            price_usd=self.price_usd,
            usd_per_h=self.usd_per_h,
            active_w=self.active_w,
            idle_w=self.idle_w,
            queries_per_s=self.queries_per_s,
            peak_flops=self.peak_flops,
            bandwidth_bytes_per_s=self.bandwidth_bytes_per_s,
        )
        require(bool(self.name), "an offer has a name")


class HardwareCatalogue(Protocol):
    """Whatever knows hardware on offer: a vendor database, or entries of cost.yaml."""

    def offers(self) -> Iterable[HardwareOffer]:
        """Return every machine on offer; what is not known of one is None, never guessed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedMachines:
    """The `machines:` of a cost file, as the user states them."""

    entries: tuple[Mapping[str, Any], ...]  # any: what the file holds
    name: str

    def offers(self) -> Iterable[HardwareOffer]:
        """Return the machines. Raises UsageError for unknown keys, missing names and implausible numbers."""
        return [self._offer(entry) for entry in self.entries]

    def _offer(self, entry: Mapping[str, Any]) -> HardwareOffer:  # any: what the file holds
        for key in entry:
            if key not in NUMBERS and key not in TEXTS:
                known = [*TEXTS, *NUMBERS]
                raise UsageError(
                    f"{self.name}: a machine has an unknown field {key!r}", *nearest_lines(str(key), known)
                )
        missing = [key for key in TEXTS if not isinstance(entry.get(key), str)]
        if missing:
            why = f"{entry.get('name', 'an entry')!r:.40} does not say its {missing[0]}"
            raise UsageError(f"{self.name}: a machine is incomplete", why, "Give name, class and source as texts.")
        numbers = {key: self._number(entry, key) for key in NUMBERS}
        return HardwareOffer(
            name=entry["name"], kind=entry["class"], source=entry["source"], active_basis=AS_STATED, **numbers
        )

    def _number(self, entry: Mapping[str, Any], key: str) -> float | None:  # any: what the file holds
        value = entry.get(key)
        if value is None:
            return None
        low, high = NUMBERS[key]
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not math.isfinite(value) or not low <= value <= high:
            what = f"{self.name}: {key} of {entry['name']!r:.40} cannot be {value!r:.40}"
            raise UsageError(
                what, "it is no number, or perhaps in another unit", f"It lies within {low:g} .. {high:g}."
            )
        return float(value)
