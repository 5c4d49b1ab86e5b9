"""How many CPU threads to compute with by default: one a physical core of those allowed, at most the cgroup's quota."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = ["default_threads", "threads_for"]


def threads_for(threads: int | None, affinity: tuple[int, ...] | None) -> int:
    """Return how many threads compute: those asked for, else the default for the processors that are bound to."""
    return threads or default_threads(allowed=frozenset(affinity) if affinity else None)


def default_threads(root: Path = Path("/"), allowed: frozenset[int] | None = None) -> int:
    """Return the number of threads that this process should compute with.

    Threads that share a physical core share its arithmetic units, so hardware siblings are not counted; a quota of
    1.5 CPUs allows two threads. `allowed` are the processors that may be used (None: what the system says). What the
    system does not tell does not limit.
    """
    processors = _allowed() if allowed is None else allowed
    cores = len({_core(root, processor) for processor in processors})
    quota = min(_quotas(root), default=math.inf)
    return max(1, min(cores, math.ceil(quota) if math.isfinite(quota) else cores))


def _allowed() -> frozenset[int]:
    """Return the processors that the scheduler may use for this process; where it does not tell, one a core."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(psutil.cpu_count(logical=False) or os.cpu_count() or 1))


def _core(root: Path, processor: int) -> str:
    """Return a name of the physical core of a processor: the list of its siblings, or the processor itself."""
    topology = root / f"sys/devices/system/cpu/cpu{processor}/topology"
    return _text(topology / "thread_siblings_list") or f"processor {processor}"


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas, in CPUs, of this process's cgroup and of those above it."""
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts) + 1):
            quota = _quota(folder.joinpath(*parts[:depth]), unified=not controllers)
            if quota is not None:
                yield quota


def _quota(folder: Path, *, unified: bool) -> float | None:
    """Return the quota of one cgroup in CPUs, None where there is none (docs.kernel.org, cgroup-v2, cpu.max)."""
    if unified:
        limit, _, period = (_text(folder / "cpu.max") or "max 100000").partition(" ")
    else:
        limit = _text(folder / "cpu.cfs_quota_us") or "-1"
        period = _text(folder / "cpu.cfs_period_us") or "100000"
    try:
        quota, span = float(limit), float(period)
    except ValueError:
        return None  # "max"
    return quota / span if quota > 0 and span > 0 else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
