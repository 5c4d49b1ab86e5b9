"""Collecting the facts of the accelerators: NVIDIA's through NVML, others from the kernel's graphics drivers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wattbench.harness.telemetry.neuron import collect_neuron
from wattbench.harness.text_files import read_text
from wattbench.results.environment import AcceleratorFacts

__all__ = ["collect_accelerators", "open_nvml", "process_ids", "tell"]

PCI_VENDORS = {"0x1002": "AMD", "0x10de": "NVIDIA", "0x8086": "Intel"}
"""PCI vendor numbers (pci.ids) of those who make accelerators with a graphics driver; others only show a screen."""


def collect_accelerators(root: Path = Path("/")) -> tuple[AcceleratorFacts, ...]:
    """Return every accelerator that NVML, the kernel's drivers or neuron-ls name; none is an empty tuple, no error."""
    with open_nvml() as nvml:
        nvidia = () if nvml is None else _nvidia(nvml)
    others = tuple(card for card in _drm_cards(root) if card.vendor != "NVIDIA" or not nvidia)
    return nvidia + others + collect_neuron()


@contextmanager
def open_nvml() -> Iterator[Any]:  # any: the module of NVIDIA's untyped bindings
    """Give the started `pynvml` module, or None when the bindings or the driver are missing."""
    nvml = _started_nvml()
    try:
        yield nvml
    finally:
        if nvml is not None:
            tell(nvml, nvml.nvmlShutdown)


def _started_nvml() -> Any:  # any: see open_nvml
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def tell(nvml: Any, query: Callable[..., Any], *arguments: object) -> Any:  # any: every query has its own answer
    """Return what an NVML query answers, or None when this device or driver does not tell."""
    older_driver = getattr(nvml, "NVMLLibraryMismatchError", nvml.NVMLError)  # than the bindings; no NVMLError
    try:
        answer = query(*arguments)
    except (nvml.NVMLError, older_driver):
        return None
    return answer.decode() if isinstance(answer, bytes) else answer  # older bindings answer in bytes


def process_ids(nvml: Any, handle: Any) -> dict[int, int | None] | None:  # any: NVML's module and handle
    """Return the processes on a device and their memory in bytes (None: not told); None when NVML does not say."""
    found: dict[int, int | None] = {}
    queries = (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses)
    answers = [tell(nvml, query, handle) for query in queries]
    for process in (process for answer in answers if answer is not None for process in answer):
        found[process.pid] = process.usedGpuMemory
    return None if answers[0] is None else found


def _nvidia(nvml: Any) -> tuple[AcceleratorFacts, ...]:  # any: NVML's module
    driver = tell(nvml, nvml.nvmlSystemGetDriverVersion)
    handles = ((i, tell(nvml, nvml.nvmlDeviceGetHandleByIndex, i)) for i in range(nvml.nvmlDeviceGetCount()))
    return tuple(_nvidia_device(nvml, i, handle, driver) for i, handle in handles if handle is not None)


def _nvidia_device(nvml: Any, index: int, handle: Any, driver: str | None) -> AcceleratorFacts:  # any: see above
    memory = tell(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    processes = process_ids(nvml, handle)
    limits_mw = tell(nvml, nvml.nvmlDeviceGetPowerManagementLimitConstraints, handle) or (None, None)
    return AcceleratorFacts(
        vendor="NVIDIA",
        name=tell(nvml, nvml.nvmlDeviceGetName, handle) or "NVIDIA device without a name",
        index=index,
        uuid=tell(nvml, nvml.nvmlDeviceGetUUID, handle),
        memory_bytes=None if memory is None else int(memory.total),
        driver=driver,
        power_limit_w=_watts(tell(nvml, nvml.nvmlDeviceGetPowerManagementLimit, handle)),
        power_limit_default_w=_watts(tell(nvml, nvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)),
        clock_max_mhz=_number(tell(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM)),
        persistence=_truth(tell(nvml, nvml.nvmlDeviceGetPersistenceMode, handle)),
        ecc=_truth(_first(tell(nvml, nvml.nvmlDeviceGetEccMode, handle))),
        mig=_truth(_first(tell(nvml, nvml.nvmlDeviceGetMigMode, handle))),
        other_processes=None if processes is None else len(processes),
        power_limit_enforced_w=_watts(tell(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        power_limit_min_w=_watts(limits_mw[0]),
        power_limit_max_w=_watts(limits_mw[1]),
    )


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)


def _truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _first(pair: list[int] | None) -> int | None:
    """Return the current of a (current, pending) pair."""
    return None if pair is None else pair[0]


def _drm_cards(root: Path) -> Iterator[AcceleratorFacts]:
    """Yield the accelerators among the kernel's graphics cards, with what sysfs says of them."""
    counts: dict[str, int] = {}
    for device in sorted((root / "sys/class/drm").glob("card[0-9]*/device")):
        vendor = PCI_VENDORS.get(read_text(device / "vendor"))
        if vendor is not None and "-" not in device.parent.name:  # card0-HDMI-A-1 is a connector
            counts[vendor] = counts.get(vendor, -1) + 1
            yield _drm_card(device, vendor, counts[vendor])


def _drm_card(device: Path, vendor: str, index: int) -> AcceleratorFacts:
    """Return what amdgpu and the common sysfs files tell (Linux: gpu/amdgpu/driver-misc.rst; hwmon gives µW)."""
    memory = read_text(device / "mem_info_vram_total")
    return AcceleratorFacts(
        vendor=vendor,
        name=read_text(device / "product_name") or f"{vendor} device {read_text(device / 'device')}",
        index=index,
        uuid=read_text(device / "unique_id") or None,
        memory_bytes=int(memory) if memory.isdigit() else None,
        driver=None,
        power_limit_w=_hwmon_watts(device, "power1_cap"),
        power_limit_default_w=_hwmon_watts(device, "power1_cap_default"),
        clock_max_mhz=None,
        persistence=None,
        ecc=None,
        mig=None,
        other_processes=None,
    )


def _hwmon_watts(device: Path, name: str) -> float | None:
    """Return one of the card's power figures in watts (hwmon gives µW: Linux, hwmon/sysfs-interface.rst)."""
    texts = (read_text(path) for path in device.glob(f"hwmon/hwmon*/{name}"))
    return next((int(text) / 1e6 for text in texts if text.isdigit()), None)
