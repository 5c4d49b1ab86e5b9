"""The vendor database as hardware on offer: cloud rents and street prices, dense peaks, nameplate power."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wattbench.results.economics.offers import HardwareOffer
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.vendor.database import database, source_words
from wattbench.results.vendor.records import PRECISIONS, Accelerator, Rent, Stated

__all__ = ["VendorMachines"]

RENTS = {"on_demand": "on demand", "reserved_3y": "reserved for 3 years", "reserved_block": "reserved block"}
"""Kinds of rent that a service can stand on, the usual one first; a spot instance may be taken away."""

CLASSES = {
    "CPU socket": "CPU",
    "OAM": "server module",
    "OAM (HL-325L) / PCIe (HL-338)": "server module",
    "SXM4": "server module",
    "SXM5": "server module",
    "SXM6": "server module",
    "NVL72 tray": "server module",
    "superchip": "server module",
    "PCIe": "server card",
    "PCIe LP": "server card",
    "PCIe card": "server card",
    "PCIe (NVLink pair)": "server card",
    "PCIe (NVLink 2/4-way)": "server card",
    "rack card": "server card",
    "PCIe consumer": "consumer card",
    "cloud chip": "cloud chip",
    "system": "whole system",
    "SoC": "personal computer",
    "laptop SoC": "personal computer",
    "desktop": "personal computer",
    "module": "edge module",
    "phone SoC": "phone",
}
"""Classes of hardware by the form that the database states."""

NAMEPLATE = "the vendor's nameplate (TDP), which nobody measured on this load"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMachines:
    """Every accelerator of the database that has a rent or a price, and peaks in one precision.

    A machine is as many of them as have `memory_bytes` together, and as fast as their sum. A rent is the cheapest of
    its kind per accelerator, host and electricity included. A price is the lowest that is better than unverified; it is
    that of the accelerator alone unless its note says otherwise, and its power the TDP.
    """

    precision: str
    memory_bytes: float
    accelerators: tuple[Accelerator, ...] = field(default_factory=lambda: tuple(database().accelerators.values()))

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            what = f"Unknown precision {self.precision!r} for the vendor database"
            raise UsageError(what, *nearest_lines(self.precision, PRECISIONS))

    def offers(self) -> Iterable[HardwareOffer]:
        """Return an offer to rent and one to buy for each accelerator that has them."""
        return [offer for accelerator in self.accelerators for offer in self._of(accelerator)]

    def left_out(self) -> int:
        """Return how many accelerators are not on offer, for want of a price or of a figure to compute a rate from."""
        return len(self.accelerators) - sum(1 for accelerator in self.accelerators if any(self._of(accelerator)))

    def _of(self, accelerator: Accelerator) -> Iterator[HardwareOffer]:
        peak, memory = accelerator.dense_flops_per_s.get(self.precision), accelerator.memory_bytes_per_s
        if peak is None or memory is None or accelerator.memory_gb is None or accelerator.not_compared:
            return
        count = math.ceil(self.memory_bytes / (accelerator.memory_gb.value * 1e9))
        rates = (count * peak.value, count * memory.value)
        rent, price = _rent(accelerator), _price(accelerator)
        if rent is not None:
            basis = f"{RENTS[rent.kind]} at {rent.provider}, {rent.date}"
            yield _offer(accelerator, count, rates, basis, usd_per_h=rent.accelerator_usd_per_h)
        if price is not None:
            basis = f"{source_words(price.source)}{', ' + price.note if price.note else ''}"
            yield _offer(accelerator, count, rates, basis, price_usd=price.value)


def _offer(
    accelerator: Accelerator,
    count: int,
    rates: tuple[float, float],
    source: str,
    *,
    price_usd: float | None = None,
    usd_per_h: float | None = None,
) -> HardwareOffer:
    """Return `count` accelerators as one machine; prices are those of one."""
    bought = price_usd is not None
    return HardwareOffer(
        name=f"{count} x {accelerator.key}, {'bought' if bought else 'rented'}",
        kind=f"{CLASSES.get(accelerator.form, 'other')}, {'bought' if bought else 'rented'}",
        source=source,
        price_usd=None if price_usd is None else count * price_usd,
        usd_per_h=None if usd_per_h is None else count * usd_per_h,
        active_w=count * accelerator.tdp_w.value if bought and accelerator.tdp_w else None,
        idle_w=None,
        active_basis=NAMEPLATE,
        queries_per_s=None,
        peak_flops=rates[0],
        bandwidth_bytes_per_s=rates[1],
    )


def _rent(accelerator: Accelerator) -> Rent | None:
    for kind in RENTS:
        rents = [rent for rent in accelerator.rent if rent.kind == kind]
        if rents:
            return min(rents, key=lambda rent: rent.accelerator_usd_per_h)
    return None


def _price(accelerator: Accelerator) -> Stated | None:
    known = [price for price in accelerator.price_usd if price.grade not in ("unverified", "leak")]
    return min(known, key=lambda price: price.value, default=None)
