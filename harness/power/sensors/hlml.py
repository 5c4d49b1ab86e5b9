"""The HLML sampler: energy counter and power of Intel Gaudi (Habana) accelerators through Habana's own bindings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sensors.boards import board_channel, board_wanted, not_for_cpu, not_here, pci_covers
from wattbench.harness.power.sensors.sdk import hushed, is_installed, trial_fault
from wattbench.results.errors import SensorError

__all__ = ["HlmlSampler"]

_TRIAL = "import pyhlml; pyhlml.hlmlInit(); pyhlml.hlmlShutdown()"

_BASIS = "Habana states no accuracy for HLML's power and energy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Board:
    """One accelerator: HLML's handle, its place, and the calls that answer, each with its channel."""

    handle: Any  # any: an opaque ctypes pointer
    covers: str
    sources: tuple[tuple[str, ChannelRecord], ...]


class HlmlSampler:
    """Reads the energy counter (mJ since the driver was loaded) and the power of every board, by PCI address."""

    name = "hlml"

    def __init__(self, options: SamplerOptions) -> None:
        self._covers = options.covers
        self._hlml: Any = None  # any: the bindings have no usable types
        self._boards: tuple[_Board, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Try the library in a child process, since its bindings print where it is missing; then find the boards."""
        self.close()
        if (refusal := not_for_cpu(self._covers, "Gaudi boards")) is not None:
            return refusal
        if not is_installed("pyhlml"):
            remedy = "On a machine with a Gaudi accelerator: pip install 'wattbench[gaudi]'"
            return Availability(state="absent", reason="pyhlml is not installed", remedy=remedy)
        if (fault := trial_fault(_TRIAL)) is not None:
            return _unloadable(fault)
        with hushed():
            import pyhlml

            try:
                pyhlml.hlmlInit()
                self._hlml = pyhlml
                return self._find()
            except pyhlml.HLMLError as exc:
                self.close()
                return Availability(state="broken", reason=f"HLML: {_text(exc)}", remedy="Check that hl-smi works.")

    def read(self) -> tuple[Reading, ...]:
        """Read every channel of every board once, in J and W. Raises SensorError when it is not open."""
        if self._hlml is None:
            raise SensorError("Cannot read HLML", "it is closed")
        return tuple(_read(self._hlml, b.handle, call, c.id) for b in self._boards for call, c in b.sources)

    def close(self) -> None:
        """Shut the library down."""
        hlml, self._hlml, self._boards = self._hlml, None, ()
        if hlml is not None:
            try:
                hlml.hlmlShutdown()
            except hlml.HLMLError:
                return  # the driver is gone already; nothing is left to release

    def _find(self) -> Availability:
        hlml = self._hlml
        handles = [hlml.hlmlDeviceGetHandleByIndex(i) for i in range(hlml.hlmlDeviceGetCount())]
        every = {_address(hlml, handle): handle for handle in handles}
        wanted = {covers: handle for covers, handle in every.items() if board_wanted(self._covers, covers)}
        boards = [_board(hlml, covers, handle) for covers, handle in wanted.items()]
        self._boards = tuple(board for board in boards if board.sources)
        self.channels = tuple(channel for board in self._boards for _, channel in board.sources)
        if not self.channels:
            self.close()
            return not_here(self._covers, "Gaudi board", tuple(every))
        facts = {b.covers: _decoded(hlml.hlmlDeviceGetName(b.handle)) for b in self._boards}
        return Availability(state="present", reason=", ".join(facts), facts=facts)


def _unloadable(fault: str) -> Availability:
    """Return why the library cannot be used; a missing one is no fault of the machine."""
    remedy = "On a machine with a Gaudi accelerator install Habana's driver and firmware tools; hl-smi must work."
    if "HLMLError_Uninitialized" in fault or "HLMLError_DriverNotLoaded" in fault:
        reason = f"Habana's library libhlml.so or its driver is not there ({fault.rpartition('.')[2]})"
        return Availability(state="absent", reason=reason, remedy=remedy)
    return Availability(state="broken", reason=f"HLML: {fault}", remedy=remedy)


def _address(hlml: Any, handle: Any) -> str:  # any: pyhlml's module and handle
    return pci_covers(_decoded(hlml.hlmlDeviceGetPCIInfo(handle).bus_id))


def _board(hlml: Any, covers: str, handle: Any) -> _Board:  # any: see above
    limit_mw = _asked(hlml, hlml.hlmlDeviceGetPowerManagementDefaultLimit, handle)
    limit_w = limit_mw / 1000 if limit_mw else None
    calls = (("energy", "hlmlDeviceGetTotalEnergyConsumption"), ("power", "hlmlDeviceGetPowerUsage"))
    sources = []
    for field, call in calls:
        if _asked(hlml, getattr(hlml, call), handle) is not None:
            counter = field == "energy"
            channel = board_channel(
                "hlml", covers, field, counter=counter, basis=_BASIS, resolution=0.001, limit_w=limit_w
            )
            sources.append((call, channel))
    return _Board(handle=handle, covers=covers, sources=tuple(sources))


def _read(hlml: Any, handle: Any, call: str, channel: str) -> Reading:  # any: see above
    try:
        return Reading(channel=channel, value=getattr(hlml, call)(handle) / 1000)  # mJ or mW
    except hlml.HLMLError as exc:
        return Reading(channel=channel, value=None, error=f"HLML: {_text(exc)}")


def _asked(hlml: Any, call: Any, handle: Any) -> Any:  # any: see above
    """Return what a query gives, or None where board or driver do not support it."""
    try:
        return call(handle)
    except hlml.HLMLError:
        return None


def _text(error: Any) -> str:  # any: HLMLError, which carries its code
    """Return the bindings' own name and code of an error: their text says the code alone."""
    return f"{type(error).__name__.removeprefix('HLMLError_')} (code {error.value})"


def _decoded(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
