"""Whether hardware is in this machine: what buses, kernel drivers and the system show of it, without its software."""

import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mark", "Nodes", "PciNumbers", "RenderNode", "System", "is_here"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PciNumbers:
    """A device on the PCI bus with one of these "vendor:device" numbers, written as sysfs does; `source` lists them.

    A vendor alone is never a mark: the same vendors sell network cards, disks and graphics chips, and the class of
    processing accelerators (0x12) holds their engines for zip too.
    """

    numbers: tuple[str, ...]
    source: str

    def is_here(self, root: Path) -> bool:
        """Return whether sysfs below `root` lists such a device."""
        folders = (root / "sys/bus/pci/devices").glob("*")
        return any(f"{_word(folder / 'vendor')}:{_word(folder / 'device')}" in self.numbers for folder in folders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Paths that only this hardware's driver makes: patterns below the root, each of which has to be met."""

    patterns: tuple[str, ...]
    source: str

    def is_here(self, root: Path) -> bool:
        """Return whether every pattern has a path below `root`."""
        return all(any(root.glob(pattern)) for pattern in self.patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderNode:
    """A render node, which graphics cards of every vendor have: whose it is, PCI vendor and driver behind it say."""

    vendor: str
    drivers: tuple[str, ...]
    source: str

    def is_here(self, root: Path) -> bool:
        """Return whether a render node below `root` belongs to that vendor's device, driven by one of the drivers."""
        return any(self._owns(root / "sys/class/drm" / node.name / "device") for node in root.glob("dev/dri/renderD*"))

    def _owns(self, device: Path) -> bool:
        return _word(device / "vendor") == self.vendor and (device / "driver").resolve().name in self.drivers


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system on a kind of processor that always has the hardware, named as `platform.system` and `machine` do."""

    name: str
    machine: str
    source: str

    def is_here(self, root: Path) -> bool:
        """Return whether this process runs on it; it leaves no file below `root` to be known by."""
        return (platform.system(), platform.machine()) == (self.name, self.machine)


Mark = PciNumbers | Nodes | RenderNode | System


def is_here(marks: tuple[Mark, ...], root: Path = Path("/")) -> bool:
    """Return whether one of the marks of some hardware is found."""
    return any(mark.is_here(root) for mark in marks)


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
