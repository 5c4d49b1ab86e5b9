"""The Jetson sampler: the rails of NVIDIA's modules through their INA3221 power monitors."""

import re
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sensors.answers import answer, fault_of
from wattbench.harness.power.sysfs import read_int, try_word
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["JetsonSampler"]

_MODULES = (
    ("VDD_IN",),  # Orin NX, Orin Nano, Xavier NX, TX1, TX2
    ("POM_5V_IN",),  # Nano
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin; VDDQ_VDD2_1V8AO hangs on VIN_SYS_5V0
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)
"""What makes up the input of a module: one rail, or rails side by side, whose children are never added to them.

NVIDIA Jetson Linux Developer Guide, Platform Power and Performance, releases 32.6.1 to 36.4.3; the AGX modules have no
rail of their whole input, and what feeds their carrier board is not in the sum.
"""

_UNUSED = ("NC", "sum of shunt voltages")

_HWMON_LABEL = re.compile(r"in([1-3])_label")
_IIO_LABEL = re.compile(r"rail_name_([0-2])")

_SHUNT_STEP_V = 40e-6
"""One step of the INA3221 over its shunt (Texas Instruments, INA3221 data sheet SBOS576)."""

_BASIS = "NVIDIA states no accuracy for the rails of its modules; the shunts' tolerance adds to the INA3221's"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rail:
    """One rail: its label and the files of its voltage (mV) and current (mA), or of its power (mW) in old drivers."""

    label: str
    files: tuple[Path, ...]
    update_period_s: float | None
    shunt_ohm: float | None

    def read_w(self) -> float:
        """Return the power now. Raises SensorError."""
        if len(self.files) == 1:
            return read_int(self.files[0]) / 1000  # mW
        millivolt, milliampere = (read_int(file) for file in self.files)
        return millivolt * milliampere / 1e6  # mV x mA = uW

    @property
    def resolution_w(self) -> float | None:
        """Return the power of one step of the current at the voltage of this moment, where the shunt is told."""
        if self.shunt_ohm is None or len(self.files) == 1 or fault_of(lambda: read_int(self.files[0])) is not None:
            return None
        return abs(read_int(self.files[0])) / 1000 * _SHUNT_STEP_V / self.shunt_ohm


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One channel and the rails that are added in it."""

    channel: ChannelRecord
    rails: tuple[_Rail, ...]

    def read_w(self) -> float:
        """Return the power now. Raises SensorError when one rail cannot be read: a sum of the rest means nothing."""
        return sum(rail.read_w() for rail in self.rails)


class JetsonSampler:
    """Reads every rail below `root`, and the module as a whole: its input rail, or the rails that make it up.

    Rails are known by their label, never by their number. A single rail that is not the module's input gets the scope
    "other": `VDD_CPU_GPU_CV` is not the CPU alone, and none may be added to the input that feeds it.
    """

    name = "jetson"

    def __init__(self, options: SamplerOptions, *, root: Path = Path("/sys/bus/i2c/drivers")) -> None:
        self._root = root
        self._sources: tuple[_Source, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the rails and read each once; a module's rail that cannot be read stays, so that its lack shows."""
        self.close()
        rails = _find(self._root)
        if not rails:
            reason = f"no INA3221 power monitor under {self._root}: this is no Jetson module with one"
            return Availability(state="absent", reason=reason, remedy="On a Jetson use NVIDIA's Jetson Linux kernel.")
        faults = {rail.label: fault for rail in rails.values() if (fault := fault_of(rail.read_w)) is not None}
        if len(faults) == len(rails):
            return _broken(next(iter(faults.values())))
        self._sources = tuple(_sources(rails, faults))
        self.channels = tuple(source.channel for source in self._sources)
        whole = next((s for s in self._sources if s.channel.scope == "module"), None)
        inputs = " + ".join(rail.label for rail in whole.rails) if whole else "no known input: its rails are recorded"
        facts = {label: f"{fault.what}: {fault.why}" for label, fault in faults.items()}
        return Availability(state="present", reason=f"rails {', '.join(rails)}; module: {inputs}", facts=facts)

    def read(self) -> tuple[Reading, ...]:
        """Read every rail once, and the module's, in watts."""
        return tuple(answer(source.channel.id, source.read_w) for source in self._sources)

    def close(self) -> None:
        """Forget the rails."""
        self._sources = ()


def _broken(fault: SensorError) -> Availability:
    remedy = "Check the kernel's log."
    if isinstance(fault.__cause__, PermissionError):
        path = fault.what.removeprefix("Cannot read ")
        remedy = f"Grant read access: sudo chmod a+r {path} (docs/power.md#jetson), or run as root."
    return Availability(state="broken", reason=f"{fault.what}: {fault.why}", remedy=remedy)


def _find(root: Path) -> dict[str, _Rail]:
    """Return the rails by label, monitors in the order of their addresses; unused inputs are left out."""
    rails = [
        rail
        for pattern, label in (("ina3221*/*/hwmon/hwmon*", _HWMON_LABEL), ("ina3221*/*/iio:device*", _IIO_LABEL))
        for folder in sorted(root.glob(pattern))
        for file in sorted(folder.iterdir())
        if (match := label.fullmatch(file.name)) and (rail := _rail(folder, file, match[1])) is not None
    ]
    return {rail.label: rail for rail in rails}


def _rail(folder: Path, file: Path, number: str) -> _Rail | None:
    label = try_word(file)
    if label is None or label in _UNUSED:
        return None
    if file.name.startswith("rail_name"):
        return _Rail(label=label, files=(folder / f"in_power{number}_input",), update_period_s=None, shunt_ohm=None)
    files = (folder / f"in{number}_input", folder / f"curr{number}_input")
    if not all(path.exists() for path in files):
        return None
    shunt, interval = try_word(folder / f"shunt{number}_resistor"), try_word(folder / "update_interval")
    return _Rail(
        label=label,
        files=files,
        update_period_s=int(interval) / 1000 if interval and interval.isdecimal() and interval != "0" else None,
        shunt_ohm=int(shunt) / 1e6 if shunt and shunt.isdecimal() and shunt != "0" else None,
    )


def _sources(rails: dict[str, _Rail], faults: dict[str, SensorError]) -> list[_Source]:
    """Return the module's channel where it is known, and one for each rail that is not the module by itself."""
    whole = next((labels for labels in _MODULES if all(label in rails for label in labels)), ())
    found = []
    if whole:
        parts = tuple(rails[label] for label in whole)
        name = whole[0] if len(whole) == 1 else "module"
        found.append(_Source(channel=_channel(name, "module", parts), rails=parts))
    for label, rail in rails.items():
        if (label,) != whole and label not in faults:
            found.append(_Source(channel=_channel(label, "other", (rail,)), rails=(rail,)))
    return found


def _channel(name: str, scope: Scope, rails: tuple[_Rail, ...]) -> ChannelRecord:
    period_s = max((r.update_period_s for r in rails if r.update_period_s is not None), default=None)
    return ChannelRecord(
        id=f"jetson:{name.replace(' ', '_')}",
        sampler="jetson",
        group=f"jetson:{name.replace(' ', '_')}",
        scope=scope,
        kind="power",
        provenance="measured",
        unit="W",
        covers="soc",
        resolution=rails[0].resolution_w if len(rails) == 1 else None,
        update_period_s=period_s,
        averaging_window_s=period_s,  # the monitor averages the samples of one update
        lag_s=None,
        seen_share=None,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=None,
        accuracy_basis=_BASIS if len(rails) == 1 else f"{_BASIS}; sum of {', '.join(r.label for r in rails)}",
    )
