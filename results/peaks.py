"""What vendors claim of a device that a run is held against: dense matrix products and memory bandwidth."""

from collections.abc import Iterable
from dataclasses import dataclass

from wattbench.results.checks import require, require_not_negative
from wattbench.results.vendor.database import database, source_words
from wattbench.results.vendor.match import Identity, match_accelerator
from wattbench.results.vendor.records import Accelerator, Grade, Stated

__all__ = ["RELIED_ON", "PeakClaim", "Peaks", "claimed_peaks", "peaks_of"]

RELIED_ON: tuple[Grade, ...] = ("vendor", "second_hand", "derived")
"""The grades of claims that results are held against; what leaked or cannot be read again is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakClaim:
    """One number that a vendor states, in FLOP/s or By/s, and in words where it was read and when."""

    value: float
    source: str

    def __post_init__(self) -> None:
        require_not_negative(value=self.value)
        require(self.value > 0, "a claim is more than nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What is claimed of one device: dense products by precision, without sparsity, and memory bandwidth.

    A precision that is not listed is not known, nor is a bandwidth of None.
    """

    device: str
    flops_per_s: dict[str, PeakClaim]
    bytes_per_s: PeakClaim | None


def claimed_peaks(device_name: str | None, accelerators: Iterable[Accelerator] | None = None) -> Peaks | None:
    """Return the claims for the accelerator that its driver calls `device_name`; None when it is not listed.

    A name that fits more than one variant fits none: their figures differ, and a guess would be wrong for one of them.
    `accelerators` replace those of the package's database.
    """
    if device_name is None:
        return None
    rows = database().accelerators.values() if accelerators is None else accelerators
    found = match_accelerator(Identity(kind="driver", value=device_name), rows).accelerator
    return None if found is None or found.not_compared else peaks_of(found)


def peaks_of(accelerator: Accelerator) -> Peaks:
    """Return the claims of an accelerator, of the grades that are relied on."""
    flops = {name: _claim(leaf) for name, leaf in accelerator.dense_flops_per_s.items() if leaf.grade in RELIED_ON}
    memory = accelerator.memory_bytes_per_s
    return Peaks(
        device=accelerator.full_name,
        flops_per_s=flops,
        bytes_per_s=_claim(memory) if memory is not None and memory.grade in RELIED_ON else None,
    )


def _claim(stated: Stated) -> PeakClaim:
    return PeakClaim(value=stated.value, source=source_words(stated.source))
