"""The NVML sampler: energy counter and power fields of NVIDIA boards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wattbench.harness.power.contract import Availability, Block, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.nvml_calls import FieldAsk, FieldsCall, NumberCall
from wattbench.harness.power.nvml_ring import SampleRing, pair_clocks
from wattbench.harness.power.nvml_sources import Board, as_text, asked, sources_of
from wattbench.results.covers import devices_of, is_among
from wattbench.results.errors import SensorError

__all__ = ["NvmlSampler"]


_Calls = tuple[NumberCall | FieldsCall, ...]

_Look = tuple[_Calls, list[Any], list[Reading]]  # any: what a call answered, each kind with its own
"""What one look brought: the calls, the answer of each, and the samples of the boards' logs."""


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
        self._calls: _Calls = ()
        self._looks: tuple[Callable[[], Any], ...] = ()
        self._rings: tuple[tuple[str, SampleRing], ...] = ()
        self._due_ns = 0
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
        return self.readings(self.look())

    def look(self) -> _Look:
        """Make every call once, and fetch the logs of samples when it is time. Raises SensorError when not open."""
        if self._nvml is None:
            raise SensorError("Cannot read NVML", "it is closed")
        answers = [look() for look in self._looks]
        if self._rings and (now_ns := self._now_ns()) >= self._due_ns:
            pair = pair_clocks(self._now_ns, self._wall_ns)
            samples = [reading for channel, ring in self._rings for reading in ring.read(channel, pair)]
            self._due_ns = now_ns + min(ring.fetch_ns for _, ring in self._rings)
            return self._calls, answers, samples
        return self._calls, answers, []

    def readings(self, look: _Look) -> tuple[Reading, ...]:
        """Return the readings of a look."""
        calls, answers, samples = look
        pairs = zip(calls, answers, strict=True)
        return (*(reading for call, answer in pairs for reading in call.readings(answer)), *samples)

    def block(self, looks: Sequence[_Look]) -> Block | None:
        """Return what many looks brought, or None when a call or a field of one of them failed."""
        calls = looks[0][0]
        values: dict[str, list[float]] = {}
        stamps_ns: dict[str, list[int | None]] = {}
        for number, call in enumerate(calls):
            found = call.block([answers[number] for own, answers, _ in looks if own is calls])
            if found is None or any(len(column) != len(looks) for column in found.values.values()):
                return None
            values |= found.values
            stamps_ns |= found.stamps_ns
        samples = [(number, readings) for number, (_, _, readings) in enumerate(looks) if readings]
        return Block(values=values, stamps_ns=stamps_ns, samples=samples)

    def close(self) -> None:
        """Shut NVML down."""
        nvml, self._nvml = self._nvml, None
        self._calls, self._looks, self._rings, self._due_ns = (), (), (), 0
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                return  # the driver is gone already; nothing is left to release

    def _find(self) -> Availability:
        nvml = self._nvml
        every = [_board(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        wanted = [b for b in every if self._covers is None or is_among(b.uuid, self._covers)]
        if not wanted:
            self.close()
            return _not_here(self._covers, every)
        refusal = next((why for b in wanted if (why := _refusal(nvml, b)) is not None), None)
        if refusal is not None:
            self.close()
            return refusal
        pair = pair_clocks(self._now_ns, self._wall_ns)
        found = [sources_of(nvml, b, pair) for b in wanted]
        boards = tuple(b for b in found if b.sources)
        self.channels = tuple(s.channel for b in boards for s in b.sources)
        if not self.channels:
            self.close()
            names = ", ".join(b.name for b in found)
            return Availability(state="absent", reason=f"{names}: NVML supports no power or energy reading here")
        self._calls = tuple(call for b in boards for call in _calls(nvml, b))
        self._looks = tuple(call.look for call in self._calls)
        self._rings = tuple((s.channel.id, s.ring) for b in boards for s in b.sources if s.ring is not None)
        reason = "; ".join(f"{b.name} {b.uuid}" for b in boards)
        return Availability(state="present", reason=reason, facts=_facts(nvml, boards))


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
    if slices := [one for one in devices_of(covers) if one.upper().startswith("MIG-")]:
        remedy = "Measure the whole GPU with MIG off, or the node by another sensor."
        return Availability(state="broken", reason=f"{slices[0]}: a MIG slice has no power sensor", remedy=remedy)
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


def _calls(nvml: Any, board: Board) -> Iterator[NumberCall | FieldsCall]:
    """Yield the calls that read a board whole, but for its own log of samples."""
    for source in board.sources:
        if not source.code and source.ring is None:
            yield NumberCall(nvml, board.handle, source.channel.id, counter=source.field == "counter")
    asks = [FieldAsk(channel=s.channel.id, code=s.code, scope=s.part.number) for s in board.sources if s.code]
    if asks:
        yield FieldsCall(nvml, board.handle, asks)
