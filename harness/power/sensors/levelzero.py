"""The Level Zero sampler: energy counters of Intel GPUs through Sysman, by Intel's own bindings."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sensors.boards import board_channel, board_wanted, not_for_cpu, not_here, pci_covers
from wattbench.harness.power.sensors.sdk import hushed, is_installed, trial_fault
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["LevelZeroSampler"]

_TRIAL = "import pyzes; code = pyzes.zesInit(0); raise SystemExit(code and f'zesInit returned {code:#x}')"

_BASIS = "Intel states no accuracy for the energy counters of Level Zero Sysman"

_DOMAINS = {0: "unknown", 1: "card", 2: "package", 3: "stack", 4: "memory", 5: "gpu"}
"""zes_power_domain_t; only "card" is the whole board, the others are parts of it."""

_NO_DRIVER = ("libze_loader", "undefined symbol", "0x78000001", "0x78000003")
"""Signs that no loader (or one without Sysman), or no driver with a GPU, is there: ze_result_t uninitialized and
unsupported feature."""

_NO_RIGHTS = 0x70010000
"""ze_result_t for insufficient permissions."""

_GPU = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Domain:
    """One power domain: its handle and its channel."""

    handle: Any  # any: pyzes' handle type
    channel: ChannelRecord


class LevelZeroSampler:
    """Reads the energy counter of every power domain of every GPU; a board is told apart by its PCI address.

    The card is the board; package, stack, memory and GPU are parts of it and get the scope "other".
    """

    name = "levelzero"

    def __init__(self, options: SamplerOptions) -> None:
        self._covers = options.covers
        self._zes: Any = None  # any: the bindings have no usable types
        self._domains: tuple[_Domain, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Try the loader in a child process, then find the power domains and read each once."""
        self.close()
        if (refusal := not_for_cpu(self._covers, "Intel GPUs")) is not None:
            return refusal
        if not is_installed("pyzes"):
            remedy = "On a machine with an Intel GPU: pip install 'wattbench[intel]'"
            return Availability(state="absent", reason="pyzes is not installed", remedy=remedy)
        if (fault := trial_fault(_TRIAL)) is not None:
            return _unloadable(fault)
        with hushed():
            import pyzes

            if (code := pyzes.zesInit(0)) != 0:
                return _unloadable(f"zesInit returned {code:#x}")
            self._zes = pyzes
            try:
                return self._find()
            except SensorError as exc:
                self.close()
                return _unloadable(f"{exc.what}: {exc.why}")
            except AttributeError as exc:  # a loader older than the function: "undefined symbol"
                self.close()
                return _unloadable(str(exc))

    def read(self) -> tuple[Reading, ...]:
        """Read every counter once, in joules, with the driver's own time stamp. Raises SensorError when closed."""
        if self._zes is None:
            raise SensorError("Cannot read Level Zero", "it is closed")
        return tuple(_read(self._zes, domain) for domain in self._domains)

    def close(self) -> None:
        """Forget the domains; Sysman has no call to shut it down."""
        self._zes, self._domains = None, ()

    def _find(self) -> Availability:
        zes = self._zes
        boards = [(board, handle) for handle in _gpus(zes) if (board := _address(zes, handle)) is not None]
        wanted = [(board, handle) for board, handle in boards if board_wanted(self._covers, board)]
        found = [domain for board, handle in wanted for domain in _domains_of(zes, board, handle)]
        errors = [fault for domain in found if (fault := _read(zes, domain).error) is not None]
        self._domains = tuple(domain for domain in found if _read(zes, domain).value is not None)
        self.channels = tuple(domain.channel for domain in self._domains)
        if not self.channels:
            self.close()
            return (
                _unloadable(errors[0]) if errors else not_here(self._covers, "Intel GPU", tuple(b for b, _ in boards))
            )
        names = ", ".join(channel.id for channel in self.channels)
        return Availability(state="present", reason=names, facts={f"fault {i}": text for i, text in enumerate(errors)})


def _unloadable(fault: str) -> Availability:
    """Return why Sysman cannot be used; no loader and no driver are no fault of the machine."""
    remedy = "On a machine with an Intel GPU install its driver: libze1 (1.14 or newer) and libze-intel-gpu1."
    if any(sign in fault for sign in _NO_DRIVER):
        return Availability(state="absent", reason=f"no Level Zero driver with Sysman here ({fault})", remedy=remedy)
    if f"{_NO_RIGHTS:#x}" in fault:
        remedy = "Add yourself to the groups video and render: sudo usermod -aG video,render $USER"
    return Availability(state="broken", reason=f"Level Zero: {fault}", remedy=remedy)


def _listed(call: Callable[..., int], handle_type: Any, *parent: Any) -> list[Any]:  # any: pyzes' handles
    """Return the handles that one of Sysman's counting calls gives. Raises SensorError."""
    count = ctypes.c_uint32(0)
    _require(call(*parent, ctypes.byref(count), None), call)
    if count.value == 0:
        return []
    handles = (handle_type * count.value)()
    _require(call(*parent, ctypes.byref(count), handles), call)
    return list(handles)


def _require(code: int, call: Callable[..., int]) -> None:
    if code != 0:
        raise SensorError(f"{call.__name__} failed", f"it returned {code:#x}")


def _gpus(zes: Any) -> list[Any]:  # any: see above
    drivers = _listed(zes.zesDriverGet, zes.zes_driver_handle_t)
    devices = [d for driver in drivers for d in _listed(zes.zesDeviceGet, zes.zes_device_handle_t, driver)]
    return [device for device in devices if _is_gpu(zes, device)]


def _is_gpu(zes: Any, device: Any) -> bool:  # any: see above
    properties = zes.zes_device_properties_t()
    known = zes.zesDeviceGetProperties(device, ctypes.byref(properties)) == 0
    return known and bool(properties.core.type == _GPU)


def _address(zes: Any, device: Any) -> str | None:  # any: see above
    properties = zes.zes_pci_properties_t()
    if zes.zesDevicePciGetProperties(device, ctypes.byref(properties)) != 0:
        return None
    a = properties.address
    return pci_covers(f"{a.domain:04x}:{a.bus:02x}:{a.device:02x}.{a.function:x}")


def _domains_of(zes: Any, board: str, device: Any) -> list[_Domain]:  # any: see above
    handles = _listed(zes.zesDeviceEnumPowerDomains, zes.zes_pwr_handle_t, device)
    return [_domain(zes, board, index, handle) for index, handle in enumerate(handles)]


def _domain(zes: Any, board: str, index: int, handle: Any) -> _Domain:  # any: see above
    extended = zes.zes_power_ext_properties_t()
    extended.stype = zes.ZES_STRUCTURE_TYPE_POWER_EXT_PROPERTIES
    properties = zes.zes_power_properties_t()
    properties.stype = zes.ZES_STRUCTURE_TYPE_POWER_PROPERTIES
    properties.pNext = ctypes.cast(ctypes.pointer(extended), ctypes.c_void_p)
    known = zes.zesPowerGetProperties(handle, ctypes.byref(properties)) == 0
    word = _DOMAINS.get(extended.domain, "unknown") if known else "unknown"
    scope: Scope = "board" if word == "card" and not properties.onSubdevice else "other"
    limit_w = properties.defaultLimit / 1000 if known and properties.defaultLimit > 0 else None  # mW
    field = word if scope == "board" else f"{word}{index}"
    resolution = 1e-6  # the counter is in uJ; how fine its steps are is not stated
    channel = board_channel(
        "levelzero", board, field, counter=True, basis=_BASIS, scope=scope, resolution=resolution, limit_w=limit_w
    )
    return _Domain(handle=handle, channel=channel)


def _read(zes: Any, domain: _Domain) -> Reading:  # any: see above
    counter = zes.zes_power_energy_counter_t()
    code = zes.zesPowerGetEnergyCounter(domain.handle, ctypes.byref(counter))
    if code != 0:
        return Reading(channel=domain.channel.id, value=None, error=f"zesPowerGetEnergyCounter returned {code:#x}")
    sensor_ns = counter.timestamp * 1000 or None  # us
    return Reading(channel=domain.channel.id, value=counter.energy / 1e6, sensor_ns=sensor_ns)
