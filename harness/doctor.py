"""What can be measured here: every backend with its devices and every sampler with its channels, or why not."""

from dataclasses import dataclass

from wattbench.backends.contract import Backend, DeviceFinding, DeviceInfo, DeviceLister, DeviceProber
from wattbench.harness.environment import collect_environment
from wattbench.harness.power.contract import Sampler, SamplerOptions
from wattbench.harness.power.sensorless import SENSORLESS, Sensorless, present_here
from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord
from wattbench.results.environment import Environment
from wattbench.results.errors import WattbenchError
from wattbench.results.plugins import load_plugin, plugin_names

__all__ = ["BackendReport", "Report", "SamplerReport", "SensorlessReport", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReport:
    """One backend: can it be used, on which devices, and what was found of the kinds that need more than itself."""

    name: str
    availability: Availability
    devices: tuple[DeviceInfo, ...]
    findings: tuple[DeviceFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerReport:
    """One sampler: can it be used, and which channels it sees."""

    name: str
    availability: Availability
    channels: tuple[ChannelRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorlessReport:
    """One kind of device that has no power sensor, and whether it is in this machine (None: cannot be told)."""

    about: Sensorless
    here: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that `bench doctor` says."""

    environment: Environment
    backends: tuple[BackendReport, ...]
    samplers: tuple[SamplerReport, ...]
    sensorless: tuple[SensorlessReport, ...]


def examine() -> Report:
    """Probe everything that is installed; a plug-in that fails to import is reported, not raised."""
    return Report(
        environment=collect_environment(),
        backends=tuple(_backend(name) for name in plugin_names("wattbench.backends")),
        samplers=tuple(_sampler(name) for name in plugin_names("wattbench.samplers")),
        sensorless=_sensorless(),
    )


def _backend(name: str) -> BackendReport:
    try:
        backend: Backend = load_plugin("wattbench.backends", name, "backend")()
        availability = backend.probe()
        devices = backend.devices() if availability.usable and isinstance(backend, DeviceLister) else ()
        findings = backend.findings() if availability.usable and isinstance(backend, DeviceProber) else ()
    except WattbenchError as exc:
        return BackendReport(name=name, availability=_broken(exc), devices=())
    return BackendReport(name=name, availability=availability, devices=devices, findings=findings)


def _sampler(name: str) -> SamplerReport:
    try:
        sampler: Sampler = load_plugin("wattbench.samplers", name, "sampler")(
            SamplerOptions(argument=None, covers=None)
        )
        availability = sampler.probe()
        channels = sampler.channels if availability.usable else ()
        sampler.close()
    except WattbenchError as exc:
        return SamplerReport(name=name, availability=_broken(exc), channels=())
    return SamplerReport(name=name, availability=availability, channels=channels)


def _sensorless() -> tuple[SensorlessReport, ...]:
    here = present_here()
    return tuple(SensorlessReport(about=row, here=row in here if row.pci_ids else None) for row in SENSORLESS)


def _broken(error: WattbenchError) -> Availability:
    return Availability(state="broken", reason=f"{error.what}: {error.why}", remedy=error.remedy)
