"""The battery sampler: what the whole machine draws from its batteries while it is unplugged."""

from pathlib import Path

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sysfs import read_micro, read_word, try_word
from wattbench.results.errors import SensorError

__all__ = ["BatterySampler"]

_CHANNEL = ChannelRecord(
    id="battery:discharge",
    sampler="battery",
    group="battery:discharge",
    scope="node",
    kind="power",
    provenance="measured",
    unit="W",
    covers=None,
    resolution=None,
    update_period_s=None,
    averaging_window_s=None,
    lag_s=None,
    seen_share=None,
    wraps_at_j=None,
    limit_w=None,
    accuracy_rel=None,
    accuracy_basis="the battery's gauge states no accuracy; it updates every few seconds up to a minute",
)


class BatterySampler:
    """Reads the discharge power of all batteries under `root` together: one boundary, the machine behind them."""

    name = "battery"

    def __init__(self, options: SamplerOptions, *, root: Path = Path("/sys/class/power_supply")) -> None:
        self._root = root
        self._batteries: tuple[Path, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the batteries; usable only while they discharge, since on mains they do not see the machine's draw."""
        self.close()
        folders = sorted(filter(_carries_machine, self._root.iterdir())) if self._root.is_dir() else []
        if not folders:
            remedy = "Nothing to do on a machine without a battery."
            return Availability(state="absent", reason=f"no battery under {self._root}", remedy=remedy)
        try:
            watts = _discharge_w(folders)
        except SensorError as exc:
            remedy = "Unplug the machine to measure what it draws from its battery."
            return Availability(state="absent", reason=f"{exc.what}: {exc.why}", remedy=remedy)
        self._batteries = tuple(folders)
        self.channels = (_CHANNEL,)
        names = ", ".join(f.name for f in folders)
        return Availability(state="present", reason=f"{names} discharging at {watts:.1f} W", facts={"batteries": names})

    def read(self) -> tuple[Reading, ...]:
        """Read the discharge power, in watts. Raises SensorError when the machine was plugged in."""
        return (Reading(channel=_CHANNEL.id, value=_discharge_w(self._batteries)),)

    def close(self) -> None:
        """Forget the batteries."""
        self._batteries = ()


def _carries_machine(folder: Path) -> bool:
    """Return whether a power supply is a battery of the machine: not a charger, nor a mouse's (scope "Device")."""
    kind = try_word(folder / "type")
    battery = folder.name.startswith("BAT") if kind is None else kind == "Battery"
    return battery and try_word(folder / "scope") != "Device"


def _discharge_w(folders: tuple[Path, ...] | list[Path]) -> float:
    """Return the sum over the batteries that discharge. Raises SensorError when none does or one is charging."""
    states = {folder: read_word(folder / "status") for folder in folders}
    if "Discharging" not in states.values() or "Charging" in states.values():
        text = ", ".join(f"{folder.name} is {state.lower()}" for folder, state in states.items())
        raise SensorError("The battery does not carry the machine", text)
    return sum(_power_w(folder) for folder, state in states.items() if state == "Discharging")


def _power_w(folder: Path) -> float:
    """Return one battery's power; drivers differ in the sign while discharging, the status says the direction."""
    if try_word(folder / "power_now") is not None:
        return abs(read_micro(folder / "power_now"))
    return abs(read_micro(folder / "current_now") * read_micro(folder / "voltage_now"))
