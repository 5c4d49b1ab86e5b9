"""What backends ask of the host: its processors, the process's own peak memory, the folder of what they built."""

import contextlib
import os
import platform
import resource
import sys
from functools import cache
from pathlib import Path

from wattbench.results.errors import UsageError

__all__ = ["bind", "cache_folder", "cpu_model", "has_bfloat16", "peak_resident_bytes", "reduces_range"]

CPUINFO = Path("/proc/cpuinfo")

BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""CPU flags of Linux that mean matrix products in bfloat16 are done by hardware."""


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's name as Linux shows it, or what the platform calls it."""
    return _first(cpuinfo, "model name") or platform.processor() or platform.machine()


def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether Linux shows hardware for products in bfloat16."""
    return not BFLOAT16_FLAGS.isdisjoint(_first(cpuinfo, "flags").split())


@cache
def reduces_range(machine: str = platform.machine(), cpuinfo: Path = CPUINFO) -> bool:
    """Return whether 8-bit weights need to keep to seven bits: on x86 without VNNI two products overflow 16 bits.

    Source: onnxruntime.ai, "Quantize ONNX models", on saturation of U8S8 products; oneDNN's kernels do the same
    (uxlfoundation.github.io/oneDNN, "Nuances of int8 computations"). Where the system does not show the processor's
    flags, an x86 processor is taken to lack VNNI: that costs precision but is never wrong.
    """
    if machine.lower() not in ("x86_64", "amd64"):
        return False
    return not cpuinfo.exists() or "_vnni" not in cpuinfo.read_text(encoding="utf-8")


def cache_folder() -> Path:
    """Return the folder of what was built: the user's cache folder for wattbench, which WATTBENCH_CACHE overrides."""
    own, xdg = os.environ.get("WATTBENCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/wattbench"
    return Path(xdg or Path.home() / ".cache") / "wattbench"


def peak_resident_bytes(status: Path = Path("/proc/self/status")) -> int | None:
    """Return this process's own peak; on Linux getrusage would not do, for it keeps the parent's over fork and exec."""
    try:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024  # proc(5): kB
    except (OSError, StopIteration, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else None  # macOS counts in bytes and starts anew: getrusage(2)


def bind(affinity: tuple[int, ...] | None) -> None:
    """Bind every thread of this process, and so those that it starts later, to processors.

    Raises UsageError for processors that it cannot use.
    """
    if affinity is None:
        return
    try:
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
                os.sched_setaffinity(int(task.name), affinity)
    except (OSError, AttributeError) as exc:
        why = f"{exc}; this machine has CPUs 0..{(os.cpu_count() or 1) - 1}"
        raise UsageError(f"Cannot run on the CPUs {affinity}", why, "Name CPUs of this machine.") from exc


def _first(cpuinfo: Path, key: str) -> str:
    """Return the value of the first line of a key, "" where there is none."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
