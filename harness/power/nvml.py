"""The NVML sampler: energy counter and power fields of NVIDIA boards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.nvml_table import Field, accuracy_of, architecture_of, behaviour_of
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["NvmlSampler"]

_VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by nvmlValueType_t

_MODULE_BOARDS = ("GH200", "GB200", "GB300")
"""Superchips: their energy counter counts the whole module, Grace and its memory too (Zeus pull request 172)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One thing to ask of one device: the counter, a power field in a scope, or the old power call."""

    channel: ChannelRecord
    field: Field
    code: int
    nvml_scope: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """One board: NVML's handle, its facts, and what can be asked of it."""

    handle: Any  # any: an opaque ctypes pointer of pynvml
    index: int
    uuid: str
    name: str
    sources: tuple[_Source, ...] = ()


class NvmlSampler:
    """Reads the boards through pynvml, imported by `probe`; boards are told apart by UUID, never by index.

    Asks for the total-energy counter, instant power and the trailing average, and falls back to the old power call
    where the driver knows no fields. A MIG slice or a vGPU has no watts of its own and is refused.
    """

    name = "nvml"

    def __init__(self, options: SamplerOptions) -> None:
        self._covers = options.covers
        self._nvml: Any = None  # any: pynvml has no types
        self._devices: tuple[_Device, ...] = ()
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
        return tuple(reading for device in self._devices for reading in _read_device(self._nvml, device))

    def close(self) -> None:
        """Shut NVML down."""
        nvml, self._nvml, self._devices = self._nvml, None, ()
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                return  # the driver is gone already; nothing is left to release

    def _find(self) -> Availability:
        nvml = self._nvml
        every = [_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        wanted = [d for d in every if self._covers is None or _same_uuid(d.uuid, self._covers)]
        if not wanted:
            self.close()
            return _not_here(self._covers, every)
        refusal = next((why for d in wanted if (why := _refusal(nvml, d)) is not None), None)
        if refusal is not None:
            self.close()
            return refusal
        found = [_with_sources(nvml, d) for d in wanted]
        self._devices = tuple(d for d in found if d.sources)
        self.channels = tuple(s.channel for d in self._devices for s in d.sources)
        if not self.channels:
            self.close()
            names = ", ".join(d.name for d in found)
            return Availability(state="absent", reason=f"{names}: NVML supports no power or energy reading here")
        facts = {d.uuid: f"{d.name}: {', '.join(s.field for s in d.sources)}" for d in self._devices}
        facts["driver"] = _text(nvml.nvmlSystemGetDriverVersion())
        return Availability(state="present", reason="; ".join(f"{d.name} {d.uuid}" for d in self._devices), facts=facts)


def _no_driver(nvml: Any, exc: Exception) -> Availability:
    absent = isinstance(exc, (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded))
    remedy = "On a machine with an NVIDIA GPU, install its driver; nvidia-smi must work."
    return Availability(state="absent" if absent else "broken", reason=f"NVML: {exc}", remedy=remedy)


def _not_here(covers: str | None, every: list[_Device]) -> Availability:
    if covers is not None and covers.upper().startswith("MIG-"):
        remedy = "Measure the whole GPU with MIG off, or the node by another sensor."
        return Availability(state="broken", reason=f"{covers}: a MIG slice has no power sensor", remedy=remedy)
    here = ", ".join(d.uuid for d in every) or "none"
    return Availability(state="absent", reason=f"no NVIDIA GPU {covers or ''} here (there are: {here})")


def _refusal(nvml: Any, device: _Device) -> Availability | None:
    """Return why a board's watts would not be the load's own: it is sliced (MIG), or itself a slice (vGPU)."""
    mig = _asked(nvml, nvml.nvmlDeviceGetMigMode, device.handle)
    if mig is not None and mig[0] == nvml.NVML_DEVICE_MIG_ENABLE:
        reason = f"{device.name} {device.uuid} is in MIG mode: the board's watts are shared by its slices"
        return Availability(
            state="broken", reason=reason, remedy=f"Turn MIG off: sudo nvidia-smi -i {device.index} -mig 0"
        )
    if _asked(nvml, nvml.nvmlDeviceGetVirtualizationMode, device.handle) == nvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU:
        reason = f"{device.name} {device.uuid} is a vGPU: it has no power sensor of its own"
        return Availability(state="broken", reason=reason, remedy="Measure on the host, or pass the GPU through whole.")
    return None


def _device(nvml: Any, index: int) -> _Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    uuid, name = _text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle))
    return _Device(handle=handle, index=index, uuid=uuid, name=name)


def _with_sources(nvml: Any, device: _Device) -> _Device:
    """Return the device with every source that answers now; the module scope stands in where the GPU's is unknown."""
    architecture = architecture_of(_asked(nvml, nvml.nvmlDeviceGetArchitecture, device.handle) or 0, device.name)
    limit_mw = _asked(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, device.handle)
    limit_w = None if not limit_mw else limit_mw / 1000
    counts_module = any(name in device.name for name in _MODULE_BOARDS)

    def source(field: Field, code: int, nvml_scope: int) -> _Source:
        module = nvml_scope == nvml.NVML_POWER_SCOPE_MODULE or (field == "counter" and counts_module)
        channel = _channel(device, architecture, field, "module" if module else "board", limit_w)
        return _Source(channel=channel, field=field, code=code, nvml_scope=nvml_scope)

    gpu, module = nvml.NVML_POWER_SCOPE_GPU, nvml.NVML_POWER_SCOPE_MODULE
    found = []
    if _asked(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, device.handle) is not None:
        found.append(source("counter", 0, gpu))
    codes: tuple[tuple[Field, int], ...] = (
        ("instant", nvml.NVML_FI_DEV_POWER_INSTANT),
        ("average", nvml.NVML_FI_DEV_POWER_AVERAGE),
    )
    for field, code in codes:
        answering = next((scope for scope in (gpu, module) if _answers(nvml, device.handle, code, scope)), None)
        if answering is not None:
            found.append(source(field, code, answering))
    fields_known = any(s.field != "counter" for s in found)
    if not fields_known and _asked(nvml, nvml.nvmlDeviceGetPowerUsage, device.handle) is not None:
        found.append(source("usage", 0, gpu))
    return _Device(handle=device.handle, index=device.index, uuid=device.uuid, name=device.name, sources=tuple(found))


def _answers(nvml: Any, handle: Any, code: int, nvml_scope: int) -> bool:
    values = _asked(nvml, nvml.nvmlDeviceGetFieldValues, handle, [(code, nvml_scope)])
    return values is not None and values[0].nvmlReturn == nvml.NVML_SUCCESS


def _channel(device: _Device, architecture: str, field: Field, scope: Scope, limit_w: float | None) -> ChannelRecord:
    behaviour, accuracy = behaviour_of(architecture, field), accuracy_of(architecture)
    return ChannelRecord(
        id=f"nvml:{device.uuid}:{field}",
        sampler="nvml",
        group=f"nvml:{device.uuid}:{scope}",
        scope=scope,
        kind="counter" if field == "counter" else "power",
        provenance="measured",
        unit="J" if field == "counter" else "W",
        covers=device.uuid,
        resolution=0.001,  # NVML counts in mJ and mW
        update_period_s=behaviour.update_period_s,
        averaging_window_s=behaviour.averaging_window_s,
        lag_s=behaviour.lag_s,
        seen_share=behaviour.seen_share,
        wraps_at_j=None,  # 64 bits of mJ since the driver was loaded
        limit_w=limit_w,
        accuracy_rel=accuracy.rel,
        accuracy_basis=f"{accuracy.basis} [{architecture}]",
    )


def _read_device(nvml: Any, device: _Device) -> list[Reading]:
    fields = [s for s in device.sources if s.code]
    readings = [_read_call(nvml, device, s) for s in device.sources if not s.code]
    if not fields:
        return readings
    try:
        values = nvml.nvmlDeviceGetFieldValues(device.handle, [(s.code, s.nvml_scope) for s in fields])
    except nvml.NVMLError as exc:
        return readings + [Reading(channel=s.channel.id, value=None, error=f"NVML: {exc}") for s in fields]
    return readings + [_read_field(nvml, s, value) for s, value in zip(fields, values, strict=True)]


def _read_call(nvml: Any, device: _Device, source: _Source) -> Reading:
    counter = source.field == "counter"
    call = nvml.nvmlDeviceGetTotalEnergyConsumption if counter else nvml.nvmlDeviceGetPowerUsage
    try:
        return Reading(channel=source.channel.id, value=call(device.handle) / 1000)  # mJ or mW
    except nvml.NVMLError as exc:
        return Reading(channel=source.channel.id, value=None, error=f"NVML: {exc}")


def _read_field(nvml: Any, source: _Source, value: Any) -> Reading:
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        error = f"NVML: {nvml.NVMLError(value.nvmlReturn)}"
        return Reading(channel=source.channel.id, value=None, error=error)
    if not 0 <= value.valueType < len(_VALUE_MEMBERS):
        return Reading(channel=source.channel.id, value=None, error=f"NVML: value type {value.valueType} is not known")
    milliwatt = getattr(value.value, _VALUE_MEMBERS[value.valueType])
    sensor_ns = value.timestamp * 1000 if value.timestamp > 0 else None  # NVML stamps in us
    return Reading(channel=source.channel.id, value=milliwatt / 1000, sensor_ns=sensor_ns)


def _asked(nvml: Any, call: Any, *arguments: Any) -> Any:
    """Return what an NVML call gives, or None when the board or driver does not support it."""
    try:
        return call(*arguments)
    except nvml.NVMLError:
        return None


def _same_uuid(uuid: str, covers: str) -> bool:
    """Compare UUIDs as frameworks write them: with or without "GPU-", in either case."""
    return uuid.lower().removeprefix("gpu-") == covers.lower().removeprefix("gpu-")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
