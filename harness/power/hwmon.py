"""The hwmon sampler: power and energy files of Linux hardware monitors."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.hwmon_names import place_of
from wattbench.harness.power.sysfs import read_micro, try_micro, try_word
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["HwmonSampler"]

_FILE = re.compile(r"(power|energy)(\d+)_(input|average)")

_NO_ACCURACY = "hwmon states no accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One readable quantity: a file of micro-units."""

    id: str
    group: str
    scope: Scope
    covers: str | None
    kind: Literal["power", "counter"]
    file: Path
    limit_w: float | None
    averaging_window_s: float | None

    def read(self) -> float:
        """Return watts or joules. Raises SensorError."""
        return read_micro(self.file)


class HwmonSampler:
    """Reads `power[n]_input`, `power[n]_average` and `energy[n]_input` of every chip under `root`.

    What a file sees is taken from the chip's name and label (`hwmon_names`); an unknown one gets the scope "other",
    which is recorded and never added.
    """

    name = "hwmon"

    def __init__(self, options: SamplerOptions, *, root: Path = Path("/sys/class/hwmon")) -> None:
        self._root = root
        self._covers = options.covers
        self._sources: tuple[_Source, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the sources and read each once; those that cannot be read are left out, packages excepted.

        An unreadable CPU package stays a channel, so that its absence shows instead of shrinking a sum.
        """
        self.close()
        found = [s for s in _find(self._root) if _wanted(s, self._covers)]
        faults = {s.id: fault for s in found if (fault := _fault(s)) is not None}
        if len(faults) == len(found):
            return _unusable(self._root, faults)
        self._sources = tuple(s for s in found if s.id not in faults or s.scope == "package")
        self.channels = tuple(_channel(s) for s in self._sources)
        names = ", ".join(f"{s.id} ({s.scope})" for s in self._sources)
        return Availability(state="present", reason=names, facts={name: str(fault) for name, fault in faults.items()})

    def read(self) -> tuple[Reading, ...]:
        """Read every source once, in W or J."""
        return tuple(_read(source) for source in self._sources)

    def close(self) -> None:
        """Forget the sources."""
        self._sources = ()


def _read(source: _Source) -> Reading:
    try:
        return Reading(channel=source.id, value=source.read())
    except SensorError as exc:
        return Reading(channel=source.id, value=None, error=f"{exc.what}: {exc.why}")


def _fault(source: _Source) -> SensorError | None:
    try:
        source.read()
    except SensorError as exc:
        return exc
    return None


def _unusable(root: Path, faults: dict[str, SensorError]) -> Availability:
    if not faults:
        reason = f"no power or energy file of a hardware monitor under {root}"
        remedy = "If the board has a power sensor, load its driver: sudo sensors-detect (package lm-sensors) finds it."
        return Availability(state="absent", reason=reason, remedy=remedy)
    fault = next(iter(faults.values()))
    remedy = "Check the kernel's log."
    if isinstance(fault.__cause__, PermissionError):
        path = fault.what.removeprefix("Cannot read ")
        remedy = f"Grant read access: sudo chmod a+r {path} (docs/power.md#hwmon), or leave it out."
    return Availability(state="broken", reason=f"{fault.what}: {fault.why}", remedy=remedy)


def _wanted(source: _Source, covers: str | None) -> bool:
    return covers is None or source.scope != "board" or source.covers == covers


def _find(root: Path) -> list[_Source]:
    """Return the sources of all chips in order; batteries are left to the sampler that knows their state.

    So are the rails of INA3221 chips, which have voltage and current but no power.
    """
    found = []
    for chip in sorted(root.glob("hwmon*"), key=lambda p: (len(p.name), p.name)):
        chip_name = try_word(chip / "name") or try_word(chip / "device" / "name") or "unnamed"
        if chip_name.startswith("BAT") or try_word(chip / "device" / "type") == "Battery":
            continue
        for folder in (chip, chip / "device"):
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            found += [_source(chip, chip_name, f, m) for f in files if (m := _FILE.fullmatch(f.name))]
    return found


def _source(chip: Path, chip_name: str, file: Path, match: re.Match[str]) -> _Source:
    kind, number, form = match.groups()
    stem = f"{kind}{number}"
    label = try_word(file.with_name(f"{stem}_label")) or try_word(file.with_name(f"{stem}_oem_info"))
    scope, covers = place_of(chip_name, label, (chip / "device").resolve().name)
    own = f"hwmon:{chip_name}@{chip.name}"
    limits = [try_micro(file.with_name(f"power{number}_{word}")) for word in ("cap", "max")]  # a counter's too
    interval = try_word(file.with_name(f"{stem}_average_interval")) if form == "average" else None
    return _Source(
        id=f"{own}:{stem}_{form}" + (f":{label.replace(' ', '_')}" if label else ""),
        group=f"{own}:{stem}:{form}" if scope == "other" else f"{own}:{scope}:{covers}",
        scope=scope,
        covers=covers,
        kind="counter" if kind == "energy" else "power",
        file=file,
        limit_w=max((w for w in limits if w), default=None),
        averaging_window_s=int(interval) / 1000 if interval and interval.isdecimal() else None,
    )


def _channel(source: _Source) -> ChannelRecord:
    return ChannelRecord(
        id=source.id,
        sampler="hwmon",
        group=source.group,
        scope=source.scope,
        kind=source.kind,
        provenance="measured",
        unit="J" if source.kind == "counter" else "W",
        covers=source.covers,
        resolution=None,
        update_period_s=None,
        averaging_window_s=source.averaging_window_s,
        lag_s=None,
        seen_share=1.0 if source.kind == "counter" else None,
        wraps_at_j=None,
        limit_w=source.limit_w,
        accuracy_rel=None,
        accuracy_basis=_NO_ACCURACY,
    )
