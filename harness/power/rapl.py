"""The RAPL sampler: energy counters of CPU packages, DRAM and platform through Linux powercap."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wattbench.harness.power.contract import Availability, Block, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.rapl_facts import RAPL_ACCURACY_BASIS, RAPL_ACCURACY_REL, RAPL_PERIOD_S, rapl_scope
from wattbench.harness.power.sysfs import SIZE_BYTES, CounterFile, try_micro, try_word
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["RaplSampler"]

_ZONE = re.compile(r"intel-rapl:(\d+)(?::(\d+))?")  # intel-rapl-mmio:* shows the same packages again and is left out

_MIRROR_TRIES = 5
"""So many times in a row one counter lies between two reads of another: then both show the same register."""

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
    mirrors: str | None = None
    """The zone whose counter this one shows again, or None."""


_Files = tuple[tuple[str, CounterFile], ...]
"""Each channel with its file."""

_Look = tuple[_Files, list[bytes | SensorError]]
"""What one look brought: the channels' files, and the text of each, or why there is none."""


class RaplSampler:
    """Reads every `intel-rapl` zone under `root` (Intel, and AMD since Zen, share the path).

    Packages, their DRAM and psys are scopes of their own; core and uncore are parts of a package and get the scope
    "other", so that nobody adds them. Where the dies of one package show one register, the first one is the package
    and the others get the scope "other" too, since their sum would count it twice (CodeCarbon issue 788).
    """

    name = "rapl"

    def __init__(self, options: SamplerOptions, *, root: Path = Path("/sys/class/powercap")) -> None:
        self._root = root
        self._files: _Files = ()
        self._fds: tuple[int, ...] = ()
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
        try:
            for zone in zones:
                self._files += ((f"rapl:{zone.name}", CounterFile(zone.folder / "energy_uj")),)
                self._files[-1][1].read()
            zones = _without_mirrors(zones, dict(self._files))
        except SensorError as exc:
            self.close()
            remedy = _REMEDY if isinstance(exc.__cause__, PermissionError) else "Check the kernel's log."
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=remedy)
        self.channels = tuple(_channel(zone) for zone in zones)
        self._fds = tuple(file.fileno() for _, file in self._files)
        names = ", ".join(zone.name for zone in zones)
        mirrors = {zone.name: f"shows {zone.mirrors}'s counter again" for zone in zones if zone.mirrors is not None}
        return Availability(state="present", reason=f"powercap zones {names}", facts={"zones": names, **mirrors})

    def read(self) -> tuple[Reading, ...]:
        """Read every counter once, in joules."""
        return self.readings(self.look())

    def look(self) -> _Look:
        """Return the text of every counter's file, or why there is none."""
        try:
            return self._files, [os.pread(fd, SIZE_BYTES, 0) for fd in self._fds]
        except OSError:
            return self._files, [_looked(file) for _, file in self._files]

    def readings(self, look: _Look) -> tuple[Reading, ...]:
        """Return the readings of a look, in joules."""
        files, words = look
        return tuple(_reading(channel, file, word) for (channel, file), word in zip(files, words, strict=True))

    def block(self, looks: Sequence[_Look]) -> Block | None:
        """Return the counters of many looks in joules, or None when one of them failed."""
        files = looks[0][0]
        if any(look[0] is not files for look in looks):
            return None
        try:
            columns = zip(*(words for _, words in looks), strict=True)
            values = {
                channel: [int(word) / 1e6 for word in words] for (channel, _), words in zip(files, columns, strict=True)
            }
        except (TypeError, ValueError):  # a look that failed, or text that is no number: `readings` tells which
            return None
        return Block(values=values, stamps_ns={}, samples=[])

    def close(self) -> None:
        """Close the counters' files."""
        files, self._files, self._fds = self._files, (), ()
        for _, file in files:
            file.close()


def _looked(file: CounterFile) -> bytes | SensorError:
    """Return a file's text, or why there is none: one that failed does not cost the others."""
    try:
        return file.look()
    except SensorError as exc:
        return exc


def _reading(channel: str, file: CounterFile, word: bytes | SensorError) -> Reading:
    try:
        if isinstance(word, SensorError):
            raise word
        return Reading(channel=channel, value=file.number(word))
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
            zones.append(
                _Zone(folder=folder, name=name, covers=_covers(parent or own), scope=rapl_scope(own.partition("-")[0]))
            )
    return tuple(zones)


def _without_mirrors(zones: tuple[_Zone, ...], files: dict[str, CounterFile]) -> tuple[_Zone, ...]:
    """Return the zones with those marked that show another die's register. Raises SensorError when one is unreadable.

    The first die then stands for its whole package, as the register does.
    """
    seen: list[_Zone] = []
    for zone in zones:
        die = zone.scope != "other" and zone.covers != _package(zone)
        alike = (z for z in seen if die and z.scope == zone.scope and _package(z) == _package(zone))
        twin = next((z for z in alike if _mirrored(files[f"rapl:{z.name}"], files[f"rapl:{zone.name}"])), None)
        if twin is not None:
            seen[seen.index(twin)] = replace(twin, covers=_package(twin))
            zone = replace(zone, scope="other", mirrors=twin.name)
        seen.append(zone)
    return tuple(seen)


def _package(zone: _Zone) -> str | None:
    return None if zone.covers is None else zone.covers.partition(":die:")[0]


def _mirrored(one: CounterFile, other: CounterFile) -> bool:
    """Return whether a counter lies between two reads of another every time: two sources of their own do not."""
    for _ in range(_MIRROR_TRIES):
        before, between, after = one.read(), other.read(), one.read()
        if before <= after and not before <= between <= after:  # after a wrap-around the reads tell nothing
            return False
    return True


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
        update_period_s=RAPL_PERIOD_S,
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=wraps_at_j,
        limit_w=max((w for w in limits if w), default=None),
        accuracy_rel=RAPL_ACCURACY_REL,
        accuracy_basis=RAPL_ACCURACY_BASIS + (f"; shows {zone.mirrors}'s counter again" if zone.mirrors else ""),
    )
