"""What a torch device is and can: names, memory, precisions, waiting for its work, without naming a vendor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo
from wattbench.backends.cpu_threads import threads_for
from wattbench.backends.host import bind, cpu_model, has_bfloat16, peak_resident_bytes
from wattbench.backends.torch.emulation import emulation_of
from wattbench.backends.torch.extensions import load_extension
from wattbench.backends.torch.failures import first_line
from wattbench.backends.torch.precision import CPU_KERNELS, cuda_precisions
from wattbench.backends.torch.vendors import vendor_of
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = [
    "accelerator_infos",
    "accelerator_type",
    "apply_threads",
    "cache_bytes_of",
    "cpu_precision",
    "exact_products",
    "find_device",
    "gpu_finding",
    "make_current",
    "memory_source",
    "open_context",
    "own_infos",
    "peak_memory_bytes",
    "synchroniser",
    "version_facts",
]

PRECISIONS = ("float32", "bfloat16", "float16")

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def accelerator_type() -> str | None:
    """Return the type of accelerator that this process's torch knows, whether there is one or not; touches nothing."""
    accelerator = torch.accelerator.current_accelerator()
    return None if accelerator is None else accelerator.type


def accelerator_infos() -> tuple[DeviceInfo, ...]:
    """Return the accelerators that torch can use now in this process."""
    kind = accelerator_type()
    if kind is None or not torch.accelerator.is_available():
        return ()
    return tuple(_accelerator_info(kind, index) for index in range(torch.accelerator.device_count()))


def gpu_finding() -> DeviceFinding:
    """Return whether torch sees a GPU of NVIDIA's or AMD's, and what to do where it sees none; both are its `cuda`."""
    build, built = torch.__version__, torch.version.cuda or torch.version.hip
    if accelerator_type() == "cuda" and torch.accelerator.is_available():
        found = Availability(state="present", reason=f"torch {build} sees {torch.accelerator.device_count()}")
    elif built:
        remedy = "Look whether nvidia-smi (rocm-smi) lists it, its driver is new enough, and CUDA_VISIBLE_DEVICES."
        found = Availability(state="absent", reason=f"torch {build} sees no GPU", remedy=remedy)
    else:
        remedy = "Install torch's build for it, as pytorch.org names it: CUDA for NVIDIA, ROCm for AMD."
        found = Availability(state="absent", reason=f"torch {build} is not built for GPUs", remedy=remedy)
    return DeviceFinding(name="cuda", label="NVIDIA or AMD GPU", availability=found)


def own_infos(*, accelerators: bool = True) -> tuple[DeviceInfo, ...]:
    """Return this process's accelerators, if they are wanted, and the CPU."""
    return (*(accelerator_infos() if accelerators else ()), _cpu_info())


def find_device(name: str) -> DeviceInfo:
    """Return the device called `name` after loading its vendor's extension; a type alone ("cuda") means its first.

    Raises UsageError if there is none, DeviceError when the extension fails.
    """
    kind = name.partition(":")[0]
    try:
        load_extension(kind)
        infos = own_infos(accelerators=kind != "cpu")
    except Exception as exc:  # foreign code: whatever it raises is why it cannot be used
        raise DeviceError(f"The extension of torch for {kind} fails", str(exc) or type(exc).__name__) from exc
    for info in infos:
        if name in (info.name, info.name.partition(":")[0]):
            return info
    why, remedy = nearest_lines(name, [info.name for info in infos])
    raise UsageError(f"torch has no device {name!r}", why, remedy)


def make_current(device: torch.device) -> None:
    """Make an accelerator the current device, whose streams events, graphs and kernels use where none is named."""
    if device.type != "cpu":
        torch.accelerator.set_device_index(device.index or 0)


def exact_products(*, tf32: bool) -> None:
    """Say whether NVIDIA GPUs may shorten float32 numbers to tf32: in products and in cuDNN's convolutions alike.

    cuDNN does it unless told otherwise (https://docs.pytorch.org/docs/stable/notes/cuda.html, "TensorFloat-32").
    """
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32


def synchroniser(device: torch.device) -> Callable[[], None]:
    """Return the call that waits until the device has done all its work; for the CPU there is nothing to wait for."""
    if device.type == "cpu":
        return _nothing
    return lambda: torch.accelerator.synchronize(device)


def peak_memory_bytes(device: torch.device) -> int | None:
    """Return the peak memory so far in bytes (`memory_source` says of what), None when the SDK cannot tell."""
    if device.type == "cpu":
        return peak_resident_bytes()
    vendor = vendor_of(device.type)
    try:
        if vendor is not None and vendor.waits_for_memory:
            torch.accelerator.synchronize(device)
        return int(torch.accelerator.max_memory_allocated(device)) or None  # 0 means that it cannot tell
    except Exception:  # noqa: BLE001 (foreign code: a figure that it cannot give must not end a run)
        return None


def memory_source(device: torch.device) -> str:
    """Return where the peak memory comes from, in words."""
    if device.type == "cpu":
        return "peak resident set of the worker process since its start, build included"
    return "torch.accelerator.max_memory_allocated: tensors of this process, without context and allocator reserve"


def open_context(name: str) -> str:
    """Create the context of an accelerator, wait for it, and say what was created.

    Raises UsageError for a device that torch does not have, DeviceError when it refuses.
    """
    device = torch.device(find_device(name).name)
    try:
        torch.zeros(1, device=device)
        torch.accelerator.synchronize(device)
    except Exception as exc:  # foreign code: whatever it raises is why it cannot be opened
        raise DeviceError(f"torch cannot open {name}", first_line(exc), "Is the device in use?") from exc
    return f"torch's context on {device} and one element"


def apply_threads(threads: int | None, affinity: tuple[int, ...] | None) -> None:
    """Bind every thread of this process to `affinity` and set how many compute. Raises UsageError for other CPUs.

    None: one a physical core of those allowed, at most the cgroup's quota.
    """
    bind(affinity)
    torch.set_num_threads(threads_for(threads, affinity))


def cpu_precision() -> str:
    """Return the fastest plain precision of this machine's CPU: bfloat16 where it has hardware for it, else float32."""
    return "bfloat16" if has_bfloat16() else "float32"


def version_facts() -> dict[str, str]:
    """Return the versions that matter for a torch result: torch, its CUDA or HIP, and cuDNN."""
    facts = {"torch": str(torch.__version__)}  # a subclass of str, which no encoder knows
    for key, value in (("cuda", torch.version.cuda), ("hip", torch.version.hip)):
        if value:
            facts[key] = str(value)
    if torch.version.cuda and torch.backends.cudnn.is_available():
        facts["cudnn"] = str(torch.backends.cudnn.version())
    return facts


def _nothing() -> None:
    return None


def _accelerator_info(kind: str, index: int) -> DeviceInfo:
    vendor: Any = getattr(torch, kind, None)  # torch.cuda, torch.xpu, ...: not in the device-agnostic API
    properties = _ask(vendor, "get_device_properties", index)
    record = vendor_of(kind)
    total = getattr(properties, "total_memory", None) or (record and _total_bytes(index))
    precisions = tuple(p for p in PRECISIONS if record is None or p not in record.lacking)
    nvidia = kind == "cuda" and torch.version.cuda is not None
    capability = _ask(vendor, "get_device_capability", index) if nvidia else None
    more = cuda_precisions(tuple(capability)) if capability else ()
    cache = getattr(properties, "L2_cache_size", None)
    return DeviceInfo(
        name=f"{kind}:{index}",
        description=str(_ask(vendor, "get_device_name", index) or getattr(properties, "name", kind)),
        memory_bytes=int(total) if total else None,
        precisions=(*precisions, *more),
        precision_default=_accelerator_default(kind, vendor),
        power_covers=_uuid(kind, properties),
        cache_bytes=int(cache) if cache else None,
        emulated_on=emulation_of(kind),
    )


def _total_bytes(index: int) -> int | None:
    """Return the memory of a device in bytes by the API that all of them share; 0 there means that it cannot tell."""
    try:
        return int(torch.accelerator.get_memory_info(index)[1]) or None
    except (RuntimeError, AttributeError, NotImplementedError, TypeError):
        return None


def _accelerator_default(kind: str, vendor: Any) -> str:
    """Return bfloat16, but float16 where CUDA would only emulate bfloat16 (before compute capability 8.0)."""
    if kind == "cuda" and not vendor.is_bf16_supported(including_emulation=False):
        return "float16"
    return "bfloat16"


def _uuid(kind: str, properties: Any) -> str | None:
    """Return the board's UUID as NVML writes it; None where torch gives none."""
    uuid = getattr(properties, "uuid", None)
    return f"GPU-{uuid}" if kind == "cuda" and torch.version.cuda and uuid else None


def _ask(vendor: Any, function: str, index: int) -> Any:
    """Return what a vendor's module says of a device, None where it has no such function or fails."""
    try:
        return getattr(vendor, function)(index)
    except (AttributeError, RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError):
        return None


def _cpu_info() -> DeviceInfo:
    rounded = (name for name, operators in CPU_KERNELS.items() if all(map(_has_cpu_kernel, operators)))
    return DeviceInfo(
        name="cpu",
        description=cpu_model(),
        memory_bytes=psutil.virtual_memory().total,
        precisions=(*PRECISIONS, *rounded),
        precision_default=cpu_precision(),
        power_covers="cpu",
        cache_bytes=cache_bytes_of(CACHES),
    )


def cache_bytes_of(caches: Path) -> int | None:
    """Return the size of the last level in Linux's folder of a processor's caches, None where it is not told."""
    try:
        last = max(caches.glob("index*"), key=lambda folder: int((folder / "level").read_text()))
        size = (last / "size").read_text().strip()  # "32768K"
        return int(size.removesuffix("K")) * (1024 if size.endswith("K") else 1)
    except (OSError, ValueError):
        return None


def _has_cpu_kernel(operator: str) -> bool:
    """Return whether this build of torch has an operator for the CPU."""
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operator, "CPU"))
    except RuntimeError:  # an operator that it does not know
        return False
