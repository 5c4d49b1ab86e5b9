"""The records of ceilings: the highest rates that micro-benchmarks reached on a device, to measure loads against."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_not_negative

CeilingKind = Literal["matmul", "memory_read", "memory_copy", "host_to_device"]

__all__ = ["CeilingEntry", "CeilingKind", "CeilingsRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingEntry:
    """One micro-benchmark: what it did, through which library, and the rates of its windows.

    `unit` is "FLOP/s" for matrix products (a multiply-add is two, integer ones too) and "By/s" for memory. A copy
    counts the bytes read and the bytes written. `precision` is that of the factors, None for memory. `shape` is
    "MxKxN" of a product or the buffer's size. `samples` are the rates of single windows, in the order measured.
    `energy_per_unit_j` is joules per FLOP or per byte over all windows, None with the reason.
    """

    kind: CeilingKind
    precision: str | None
    shape: str
    unit: str
    samples: tuple[float, ...]
    library: str
    threads: int | None
    energy_per_unit_j: float | None = None
    energy_scope: str | None = None
    energy_reason: str | None = None

    def __post_init__(self) -> None:
        require(len(self.samples) >= 1, "a ceiling has at least one sample")
        for sample in self.samples:
            require_not_negative(sample=sample)
        require_not_negative(energy_per_unit_j=self.energy_per_unit_j)
        require(
            (self.kind == "matmul") == (self.precision is not None), "matrix products have a precision, memory none"
        )

    @property
    def rate(self) -> float:
        """Return the highest sample: what the device can do when nothing disturbs it."""
        return max(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingsRecord:
    """The ceilings of one device, when and with which software they were measured.

    `cached` says that they come from an earlier measurement of this device with the same driver and versions, at most a
    day old. `cache_bytes` is the size of the device's last-level cache (None: unknown): weights that fit into it are
    not read from memory. `skipped` says in words what could not be measured and why.
    """

    device: str
    device_name: str | None
    measured_at: str
    duration_s: float
    cached: bool
    versions: dict[str, str]
    cache_bytes: int | None
    entries: tuple[CeilingEntry, ...]
    skipped: tuple[str, ...] = ()

    def best(self, kind: CeilingKind, precision: str | None = None) -> CeilingEntry | None:
        """Return the fastest entry of a kind (and precision), whatever its shape and library; None without one."""
        found = [e for e in self.entries if e.kind == kind and e.precision == precision]
        return max(found, key=lambda entry: entry.rate, default=None)
