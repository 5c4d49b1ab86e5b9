"""The RAPL sampler: energy counters of CPU packages, DRAM and platform through Linux powercap."""

import re
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sysfs import CounterFile, try_micro, try_word
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["RaplSampler"]

_ZONE = re.compile(r"intel-rapl:(\d+)(?::(\d+))?")  # intel-rapl-mmio:* shows the same packages again and is left out

_PERIOD_S = 0.001
"""The counters are updated about every millisecond (Intel SDM volume 3, section on RAPL interfaces)."""

_ACCURACY_REL = 0.03
_ACCURACY_BASIS = (
    "3 % (k=1) is customary and second-hand: neither Intel nor AMD publishes an accuracy; measured by the processor "
    "since Haswell, modelled before (Hackenberg et al., IPDPSW 2015)"
)

_REMEDY = (
    "Grant read access: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj "
    "(docs/power.md#rapl tells the risk and how to make it last), or measure without it: --power none"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zone:
    folder: Path
    name: str
    covers: str | None
    scope: Scope


class RaplSampler:
    """Reads every `intel-rapl` zone under `root` (Intel, and AMD since Zen, share the path).

    Packages, their DRAM and psys are scopes of their own; core and uncore are parts of a package and get the scope
    "other", so that nobody adds them.
    """

    name = "rapl"

    def __init__(self, options: SamplerOptions, *, root: Path = Path("/sys/class/powercap")) -> None:
        self._root = root
        self._files: tuple[tuple[str, CounterFile], ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the zones and read each once; a zone that cannot be read makes the whole sampler unusable.

        A sum over packages must have all of them: one forbidden package may not drop out silently.
        """
        self.close()
        zones = _find_zones(self._root)
        if not zones:
            reason = f"no RAPL zone under {self._root}: a virtual machine, another processor, or a missing module"
            return Availability(state="absent", reason=reason, remedy="On bare metal: sudo modprobe intel_rapl_msr")
        self.channels = tuple(_channel(zone) for zone in zones)
        try:
            for zone, channel in zip(zones, self.channels, strict=True):
                self._files += ((channel.id, CounterFile(zone.folder / "energy_uj")),)
                self._files[-1][1].read()
        except SensorError as exc:
            self.close()
            self.channels = ()
            remedy = _REMEDY if isinstance(exc.__cause__, PermissionError) else "Check the kernel's log."
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=remedy)
        names = ", ".join(zone.name for zone in zones)
        return Availability(state="present", reason=f"powercap zones {names}", facts={"zones": names})

    def read(self) -> tuple[Reading, ...]:
        """Read every counter once, in joules."""
        return tuple(_read(channel, file) for channel, file in self._files)

    def close(self) -> None:
        """Close the counters' files."""
        files, self._files = self._files, ()
        for _, file in files:
            file.close()


def _read(channel: str, file: CounterFile) -> Reading:
    try:
        return Reading(channel=channel, value=file.read())
    except SensorError as exc:
        return Reading(channel=channel, value=None, error=f"{exc.what}: {exc.why}")


def _find_zones(root: Path) -> tuple[_Zone, ...]:
    """Return the zones in their numbers' order, children under their package's name."""
    folders = {m.groups(): p for p in (root.iterdir() if root.is_dir() else ()) if (m := _ZONE.fullmatch(p.name))}
    zones = []
    for number, child in sorted(folders, key=lambda k: (int(k[0]), int(k[1] or -1))):
        folder = folders[number, child]
        own = try_word(folder / "name")
        parent_folder = folders.get((number, None))
        parent = None if child is None or parent_folder is None else try_word(parent_folder / "name")
        if own is not None:
            name = own if parent is None else f"{parent}/{own}"
            zones.append(_Zone(folder=folder, name=name, covers=_covers(parent or own), scope=_scope(own)))
    return tuple(zones)


def _scope(name: str) -> Scope:
    if name.startswith("package-"):
        return "package"
    if name in ("dram", "psys"):
        return "dram" if name == "dram" else "psys"
    return "other"


def _covers(package: str) -> str | None:
    """Return "cpu:0" for package-0, "cpu:0:die:1" for package-0-die-1, None for psys."""
    if not package.startswith("package-"):
        return None
    socket, _, die = package.removeprefix("package-").partition("-die-")
    return f"cpu:{socket}:die:{die}" if die else f"cpu:{socket}"


def _channel(zone: _Zone) -> ChannelRecord:
    wraps_at_j = try_micro(zone.folder / "max_energy_range_uj")
    limits = [try_micro(zone.folder / f"constraint_{n}_power_limit_uw") for n in (0, 1)]
    return ChannelRecord(
        id=f"rapl:{zone.name}",
        sampler="rapl",
        group=f"rapl:{zone.name}",
        scope=zone.scope,
        kind="counter",
        provenance="measured",
        unit="J",
        covers=zone.covers,
        resolution=None if wraps_at_j is None else wraps_at_j / (2**32 - 1),  # the register has 32 bits
        update_period_s=_PERIOD_S,
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=wraps_at_j,
        limit_w=max((w for w in limits if w), default=None),
        accuracy_rel=_ACCURACY_REL,
        accuracy_basis=_ACCURACY_BASIS,
    )
