"""The amdsmi sampler: energy accumulator and socket power of AMD GPUs through ROCm's own library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sensors.boards import board_channel, board_wanted, not_for_cpu, not_here, pci_covers
from wattbench.harness.power.sensors.sdk import hushed, is_installed, trial_fault
from wattbench.results.errors import SensorError

__all__ = ["AmdsmiSampler"]

_TRIAL = "import amdsmi; amdsmi.amdsmi_init(); amdsmi.amdsmi_shut_down()"

_FIELDS = ("current_socket_power", "average_socket_power", "socket_power")
"""The power fields in the order of preference: the third repeats one of the others where these exist."""

_NO_VALUE = 0xFFFF
"""The firmware's "not available"; amdsmi turns it into "N/A" in some fields and versions only."""

_BASIS = "AMD states no accuracy; the firmware reports the socket, which may leave out losses of the board"
_TWO_DIES = "; one sensor for both dies of the module, shown at the first die"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Board:
    """One GPU: amdsmi's handle, its place and name, and which fields answer."""

    handle: Any  # any: an opaque ctypes pointer
    covers: str
    counter: ChannelRecord | None
    powers: tuple[tuple[str, ChannelRecord], ...]

    @property
    def channels(self) -> tuple[ChannelRecord, ...]:
        return (*((self.counter,) if self.counter else ()), *(channel for _, channel in self.powers))


class AmdsmiSampler:
    """Reads every GPU that `amdsmi` lists, told apart by PCI address, in the counter and all power fields it has."""

    name = "amdsmi"

    def __init__(self, options: SamplerOptions) -> None:
        self._covers = options.covers
        self._smi: Any = None  # any: the module has no usable types
        self._boards: tuple[_Board, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Try the library in a child process, since without ROCm its import prints and fails; then find the boards."""
        self.close()
        if (refusal := not_for_cpu(self._covers, "AMD GPUs")) is not None:
            return refusal
        if not is_installed("amdsmi"):
            remedy = "On a machine with an AMD GPU: pip install 'wattbench[amd]'"
            return Availability(state="absent", reason="amdsmi is not installed", remedy=remedy)
        if (fault := trial_fault(_TRIAL)) is not None:
            return _unloadable(fault)
        with hushed():
            import amdsmi

            try:
                amdsmi.amdsmi_init()
                self._smi = amdsmi
                return self._find()
            except amdsmi.AmdSmiException as exc:
                self.close()
                return Availability(state="broken", reason=f"amdsmi: {_text(exc)}", remedy="Check that amd-smi works.")

    def read(self) -> tuple[Reading, ...]:
        """Read every channel of every board once, in J and W. Raises SensorError when it is not open."""
        if self._smi is None:
            raise SensorError("Cannot read amdsmi", "it is closed")
        return tuple(reading for board in self._boards for reading in _read_board(self._smi, board))

    def close(self) -> None:
        """Shut the library down."""
        smi, self._smi, self._boards = self._smi, None, ()
        if smi is not None:
            try:
                smi.amdsmi_shut_down()
            except smi.AmdSmiException:
                return  # the driver is gone already; nothing is left to release

    def _find(self) -> Availability:
        smi = self._smi
        every = {pci_covers(smi.amdsmi_get_gpu_device_bdf(h)): h for h in smi.amdsmi_get_processor_handles()}
        wanted = {covers: h for covers, h in every.items() if board_wanted(self._covers, covers)}
        self._boards = tuple(b for covers, h in wanted.items() if (b := _board(smi, covers, h)).channels)
        self.channels = tuple(channel for board in self._boards for channel in board.channels)
        if not self.channels:
            self.close()
            return not_here(self._covers, "AMD GPU", tuple(every))
        names = {b.covers: f"{_name(smi, b.handle)}: {', '.join(c.id for c in b.channels)}" for b in self._boards}
        return Availability(state="present", reason=", ".join(b.covers for b in self._boards), facts=names)


def _unloadable(fault: str) -> Availability:
    """Return why the library cannot be used; without ROCm that is no fault of the machine."""
    if "libamd_smi.so" in fault:
        remedy = "On a machine with an AMD GPU install ROCm's package amd-smi-lib; amd-smi must work."
        return Availability(state="absent", reason="AMD's library libamd_smi.so is not installed", remedy=remedy)
    remedy = "Check that amd-smi works; the user must be in the groups video and render."
    return Availability(state="broken", reason=f"amdsmi: {fault}", remedy=remedy)


def _board(smi: Any, covers: str, handle: Any) -> _Board:  # any: amdsmi's module and handle
    basis = _BASIS + (_TWO_DIES if "MI250" in _name(smi, handle) else "")
    limit_w = _limit_w(smi, handle)
    count = _asked(smi, smi.amdsmi_get_energy_count, handle)
    found = {f for f, v in (_asked(smi, smi.amdsmi_get_power_info, handle) or {}).items() if _watts(v) is not None}
    fields = [f for f in _FIELDS if f in found]
    if len(fields) > 1:
        fields = [f for f in fields if f != "socket_power"]
    counter = None
    if count is not None:
        resolution = count["counter_resolution"] / 1e6  # uJ
        counter = board_channel("amdsmi", covers, "energy", counter=True, basis=basis, resolution=resolution)
    powers = tuple(
        (f, board_channel("amdsmi", covers, f, counter=False, basis=basis, resolution=1.0, limit_w=limit_w))
        for f in fields
    )
    return _Board(handle=handle, covers=covers, counter=counter, powers=powers)


def _read_board(smi: Any, board: _Board) -> list[Reading]:  # any: amdsmi's module
    readings = [] if board.counter is None else [_read_counter(smi, board.handle, board.counter.id)]
    if not board.powers:
        return readings
    try:
        info = smi.amdsmi_get_power_info(board.handle)
    except smi.AmdSmiException as exc:
        return readings + [Reading(channel=c.id, value=None, error=f"amdsmi: {_text(exc)}") for _, c in board.powers]
    return readings + [_read_power(channel.id, info.get(field)) for field, channel in board.powers]


def _read_counter(smi: Any, handle: Any, channel: str) -> Reading:  # any: see above
    try:
        count = smi.amdsmi_get_energy_count(handle)
    except smi.AmdSmiException as exc:
        return Reading(channel=channel, value=None, error=f"amdsmi: {_text(exc)}")
    joules = count["energy_accumulator"] * count["counter_resolution"] / 1e6  # steps of the resolution, in uJ
    return Reading(channel=channel, value=joules, sensor_ns=count["timestamp"] or None)


def _read_power(channel: str, value: object) -> Reading:
    watts = _watts(value)
    error = None if watts is not None else f"amdsmi: the driver says {value}"
    return Reading(channel=channel, value=watts, error=error)


def _watts(value: object) -> float | None:
    """Return a power in W, or None for what the firmware does not have."""
    return float(value) if isinstance(value, int | float) and value < _NO_VALUE else None


def _limit_w(smi: Any, handle: Any) -> float | None:  # any: see above
    cap = _asked(smi, smi.amdsmi_get_power_cap_info, handle)
    microwatt = cap["power_cap"] if cap else 0
    return microwatt / 1e6 if isinstance(microwatt, int) and microwatt > 0 else None


def _name(smi: Any, handle: Any) -> str:  # any: see above
    asic = _asked(smi, smi.amdsmi_get_gpu_asic_info, handle)
    return str(asic["market_name"]) if asic else "AMD GPU"


def _asked(smi: Any, call: Any, handle: Any) -> Any:  # any: every query has its own answer
    """Return what a query gives, or None where board or driver do not support it (ValueError: a field is no number)."""
    try:
        return call(handle)
    except (smi.AmdSmiException, ValueError):
        return None


def _text(error: Exception) -> str:
    """Return amdsmi's words in one line."""
    return " ".join(str(error).split()) or type(error).__name__
