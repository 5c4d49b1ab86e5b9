"""The NVML sampler: energy counter and power fields of NVIDIA boards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.nvml_ring import ClockPair, pair_clocks, plain_number
from wattbench.harness.power.nvml_sources import Board, Source, as_text, asked, sources_of
from wattbench.results.errors import SensorError

__all__ = ["NvmlSampler"]


class NvmlSampler:
    """Reads the boards through pynvml, imported by `probe`; boards are told apart by UUID, never by index.

    Asks for the energy counters, instant power, the trailing average and the driver's own log of samples, in every
    scope that answers, and falls back to the old power call where the driver knows no fields. A MIG slice or a vGPU has
    no watts of its own and is refused.
    """

    name = "nvml"

    def __init__(
        self,
        options: SamplerOptions,
        *,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._covers = options.covers
        self._now_ns, self._wall_ns = now_ns, wall_ns
        self._nvml: Any = None  # any: pynvml has no types
        self._boards: tuple[Board, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Load the driver's library, find the boards and see what each one answers."""
        self.close()
        if self._covers is not None and self._covers.split(":")[0] == "cpu":
            reason = "the device under test is the CPU; NVIDIA boards are read when one of them is under test"
            return Availability(state="absent", reason=reason)
        try:
            import pynvml
        except ImportError as exc:
            return Availability(state="absent", reason=f"pynvml: {exc}", remedy="pip install nvidia-ml-py")
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as exc:
            return _no_driver(pynvml, exc)
        self._nvml = pynvml
        try:
            return self._find()
        except pynvml.NVMLError as exc:
            self.close()
            return Availability(state="broken", reason=f"NVML: {exc}", remedy="Check that nvidia-smi works.")

    def read(self) -> tuple[Reading, ...]:
        """Read every channel of every board once, in J and W. Raises SensorError when it is not open."""
        if self._nvml is None:
            raise SensorError("Cannot read NVML", "it is closed")
        now_ns, pair = self._now_ns(), None
        if any(s.ring is not None and s.ring.is_due(now_ns) for board in self._boards for s in board.sources):
            pair = pair_clocks(self._now_ns, self._wall_ns)
        return tuple(reading for board in self._boards for reading in _read_board(self._nvml, board, pair))

    def close(self) -> None:
        """Shut NVML down."""
        nvml, self._nvml, self._boards = self._nvml, None, ()
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                return  # the driver is gone already; nothing is left to release

    def _find(self) -> Availability:
        nvml = self._nvml
        every = [_board(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        wanted = [b for b in every if self._covers is None or _same_uuid(b.uuid, self._covers)]
        if not wanted:
            self.close()
            return _not_here(self._covers, every)
        refusal = next((why for b in wanted if (why := _refusal(nvml, b)) is not None), None)
        if refusal is not None:
            self.close()
            return refusal
        pair = pair_clocks(self._now_ns, self._wall_ns)
        found = [sources_of(nvml, b, pair) for b in wanted]
        self._boards = tuple(b for b in found if b.sources)
        self.channels = tuple(s.channel for b in self._boards for s in b.sources)
        if not self.channels:
            self.close()
            names = ", ".join(b.name for b in found)
            return Availability(state="absent", reason=f"{names}: NVML supports no power or energy reading here")
        reason = "; ".join(f"{b.name} {b.uuid}" for b in self._boards)
        return Availability(state="present", reason=reason, facts=_facts(nvml, self._boards))


def _facts(nvml: Any, boards: tuple[Board, ...]) -> dict[str, str]:
    """Return what each board answers, what it does not and why, and the driver."""
    facts = {}
    for board in boards:
        facts[board.uuid] = f"{board.name}: {', '.join(s.channel.id.rsplit(':', 1)[1] for s in board.sources)}"
        facts |= {f"{board.uuid}, no {what}": why for what, why in board.missing.items()}
    return {**facts, "driver": as_text(nvml.nvmlSystemGetDriverVersion())}


def _no_driver(nvml: Any, exc: Exception) -> Availability:
    absent = isinstance(exc, (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded))
    remedy = "On a machine with an NVIDIA GPU, install its driver; nvidia-smi must work."
    return Availability(state="absent" if absent else "broken", reason=f"NVML: {exc}", remedy=remedy)


def _not_here(covers: str | None, every: list[Board]) -> Availability:
    if covers is not None and covers.upper().startswith("MIG-"):
        remedy = "Measure the whole GPU with MIG off, or the node by another sensor."
        return Availability(state="broken", reason=f"{covers}: a MIG slice has no power sensor", remedy=remedy)
    here = ", ".join(d.uuid for d in every) or "none"
    return Availability(state="absent", reason=f"no NVIDIA GPU {covers or ''} here (there are: {here})")


def _refusal(nvml: Any, device: Board) -> Availability | None:
    """Return why a board's watts would not be the load's own: it is sliced (MIG), or itself a slice (vGPU)."""
    mig = asked(nvml, nvml.nvmlDeviceGetMigMode, device.handle)
    if mig is not None and mig[0] == nvml.NVML_DEVICE_MIG_ENABLE:
        reason = f"{device.name} {device.uuid} is in MIG mode: the board's watts are shared by its slices"
        return Availability(
            state="broken", reason=reason, remedy=f"Turn MIG off: sudo nvidia-smi -i {device.index} -mig 0"
        )
    if asked(nvml, nvml.nvmlDeviceGetVirtualizationMode, device.handle) == nvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU:
        reason = f"{device.name} {device.uuid} is a vGPU: it has no power sensor of its own"
        return Availability(state="broken", reason=reason, remedy="Measure on the host, or pass the GPU through whole.")
    return None


def _board(nvml: Any, index: int) -> Board:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    uuid, name = as_text(nvml.nvmlDeviceGetUUID(handle)), as_text(nvml.nvmlDeviceGetName(handle))
    return Board(handle=handle, index=index, uuid=uuid, name=name)


def _read_board(nvml: Any, board: Board, pair: ClockPair | None) -> list[Reading]:
    """Return every reading of a board; its own log of samples is fetched only with a pair of clocks."""
    readings = [_read_call(nvml, board, s) for s in board.sources if not s.code and s.ring is None]
    fields = [s for s in board.sources if s.code]
    try:
        asks = [(s.code, s.part.number) for s in fields]
        values = nvml.nvmlDeviceGetFieldValues(board.handle, asks) if asks else []
        readings += [_read_field(nvml, s, value) for s, value in zip(fields, values, strict=True)]
    except nvml.NVMLError as exc:
        readings += [Reading(channel=s.channel.id, value=None, error=f"NVML: {exc}") for s in fields]
    if pair is None:
        return readings
    rings = [(s.channel.id, s.ring) for s in board.sources if s.ring is not None]
    return readings + [reading for channel, ring in rings for reading in ring.read(channel, pair)]


def _read_call(nvml: Any, board: Board, source: Source) -> Reading:
    counter = source.field == "counter"
    call = nvml.nvmlDeviceGetTotalEnergyConsumption if counter else nvml.nvmlDeviceGetPowerUsage
    try:
        return Reading(channel=source.channel.id, value=call(board.handle) / 1000)  # mJ or mW
    except nvml.NVMLError as exc:
        return Reading(channel=source.channel.id, value=None, error=f"NVML: {exc}")


def _read_field(nvml: Any, source: Source, value: Any) -> Reading:
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        error = f"NVML: {nvml.NVMLError(value.nvmlReturn)}"
        return Reading(channel=source.channel.id, value=None, error=error)
    thousandths = plain_number(value.value, value.valueType)
    if thousandths is None:
        return Reading(channel=source.channel.id, value=None, error=f"NVML: value type {value.valueType} is not known")
    sensor_ns = value.timestamp * 1000 if value.timestamp > 0 else None  # NVML stamps in us
    return Reading(channel=source.channel.id, value=thousandths / 1000, sensor_ns=sensor_ns)  # mW or mJ


def _same_uuid(uuid: str, covers: str) -> bool:
    """Compare UUIDs as frameworks write them: with or without "GPU-", in either case."""
    return uuid.lower().removeprefix("gpu-") == covers.lower().removeprefix("gpu-")
