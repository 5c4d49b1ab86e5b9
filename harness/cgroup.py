"""Reading what a control group (cgroup v1 or v2) allows this process: processor share and memory."""

from collections.abc import Iterator
from pathlib import Path

from wattbench.harness.text_files import read_text

__all__ = ["cpu_quota_cores", "memory_headroom_bytes", "memory_limit_bytes"]

UNLIMITED_BYTES = 1 << 60
"""A v1 group without a limit reports the largest page-aligned integer (Linux, cgroup-v1/memory.rst), about 2^63."""


def cpu_quota_cores(root: Path = Path("/")) -> float | None:
    """Return the processor time that the group may use, in cores, or None without a quota.

    The tightest of the group and its ancestors (Linux: cgroup-v2.rst, cpu.max; scheduler/sched-bwc.rst for v1).
    """
    quotas = [q for folder in _folders(root, "cpu") if (q := _quota(folder)) is not None]
    return min(quotas, default=None)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """Return the group's memory limit in bytes, or None without one; the tightest of the group and its ancestors."""
    texts = (
        read_text(folder / name)
        for folder in _folders(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    )
    limits = [int(text) for text in texts if text.isdigit() and int(text) < UNLIMITED_BYTES]
    return min(limits, default=None)


def memory_headroom_bytes(root: Path = Path("/")) -> int | None:
    """Return how much more memory the group may take, in bytes, or None without a limit; the tightest group counts.

    Sources: cgroup-v2.rst (memory.max, memory.current), cgroup-v1/memory.rst (limit_in_bytes, usage_in_bytes).
    """
    pairs = (
        (read_text(folder / limit), read_text(folder / used))
        for folder in _folders(root, "memory")
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    )
    known = [(int(limit), int(used)) for limit, used in pairs if limit.isdigit() and used.isdigit()]
    return min((max(0, limit - used) for limit, used in known if limit < UNLIMITED_BYTES), default=None)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and its ancestors, v1 and v2; some may not exist.

    Inside a container the path may be the host's while the mount shows only the group itself, hence the ancestors
    down to the mount.
    """
    mounts = root / "sys/fs/cgroup"
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            bases = [mounts, mounts / "unified"]
        elif controller in controllers.split(","):
            bases = [mounts / controller, mounts / controllers]
        else:
            continue
        parts = Path(path).parts[1:]
        for base in bases:
            yield from (base.joinpath(*parts[:n]) for n in range(len(parts), -1, -1))


def _quota(folder: Path) -> float | None:
    """Return one folder's quota in cores from `cpu.max` (v2) or `cpu.cfs_*` (v1, -1 means none)."""
    words = read_text(folder / "cpu.max").split()
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    quota, period = words if len(words) == 2 else [read_text(folder / name) for name in names]
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return int(quota) / int(period)
    return None
