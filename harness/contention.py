"""Seeing who else used the machine or slowed the device: processor time by owner, foreign processes, throttling."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import psutil

from wattbench.harness.accelerator_facts import open_nvml, process_ids, tell
from wattbench.harness.power.nvml_ring import plain_number
from wattbench.results.checks import require

__all__ = [
    "CpuTimes",
    "CpuUse",
    "DeviceState",
    "ForeignProcess",
    "cpu_use",
    "foreign_gpu_processes",
    "read_cpu_times",
    "read_device_state",
]

THROTTLE_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""The bits of nvmlDeviceGetCurrentClocksEventReasons that mean slowed down (nvml.h, nvmlClocksEventReason*)."""

POWER_FIELD, THERMAL_FIELD = 74, 75
"""NVML_FI_DEV_PERF_POLICY_POWER and _THERMAL. The finer fields NVML_FI_DEV_CLOCKS_EVENT_REASON_* are left alone: their
numbers changed between driver branches (251 to 253, then 269 to 271), so an old driver would answer something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Processor time used since some start, at one moment, in core-seconds; only differences mean anything.

    `total_s` is all time of all cores, `busy_s` what was neither idle, waiting for a disk nor taken by the
    hypervisor (`steal_s`, None where the system does not tell). `parent_s` is this process's own, `worker_s` the
    worker's with its children (None without a worker, or when it is gone).
    """

    at_ns: int
    total_s: float
    busy_s: float
    steal_s: float | None
    parent_s: float
    worker_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """Who used the processor between two moments, in core-seconds.

    `other_s` is what neither the worker nor this process used; None when the system's own count is smaller than its
    parts by more than its ticks explain (some sandboxes do not count), or when the worker's share is unknown.
    """

    duration_s: float
    parent_s: float
    worker_s: float | None
    other_s: float | None
    steal_s: float | None
    busy_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProcess:
    """A process on the accelerator that is not ours; `name` is None when it is in another container or not shown."""

    pid: int
    name: str | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What an accelerator says of itself at one moment; unknown is None.

    `reasons` are the causes that slow it down right now. `power_slowed_s` and `thermal_slowed_s` are running totals of
    the time so slowed: their difference over a window misses nothing between two looks.
    """

    at_ns: int
    reasons: tuple[str, ...] | None
    temperature_c: float | None
    clock_mhz: float | None
    memory_clock_mhz: float | None
    power_limit_w: float | None
    power_slowed_s: float | None
    thermal_slowed_s: float | None


def read_cpu_times(worker_pid: int | None = None) -> CpuTimes:
    """Return the processor times of this moment: the machine's, ours, and the worker's with its children."""
    system = psutil.cpu_times()
    total = sum(getattr(system, name) for name in system._fields if name not in ("guest", "guest_nice"))
    unused = sum(getattr(system, name, 0.0) for name in ("idle", "iowait", "steal"))
    own = psutil.Process().cpu_times()
    return CpuTimes(
        at_ns=time.perf_counter_ns(),
        total_s=total,  # guests are counted within user and nice (proc(5), /proc/stat)
        busy_s=total - unused,
        steal_s=getattr(system, "steal", None),
        parent_s=own.user + own.system,
        worker_s=None if worker_pid is None else _family_s(worker_pid),
    )


def cpu_use(before: CpuTimes, after: CpuTimes) -> CpuUse:
    """Return who used the processor between two readings. Raises ValueError when they are not in order."""
    require(after.at_ns > before.at_ns, "the second reading of processor times is not after the first")
    busy, total = after.busy_s - before.busy_s, after.total_s - before.total_s
    parent = after.parent_s - before.parent_s
    with_worker = before.worker_s is not None or after.worker_s is not None
    worker = _difference(before.worker_s, after.worker_s)
    known = not with_worker or worker is not None
    return CpuUse(
        duration_s=(after.at_ns - before.at_ns) / 1e9,
        parent_s=parent,
        worker_s=worker,
        other_s=_rest(busy, parent + (worker or 0.0), total) if known else None,
        steal_s=_difference(before.steal_s, after.steal_s),
        busy_share=min(max(busy / total, 0.0), 1.0) if total > 0 else None,
    )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _rest(busy_s: float, parts_s: float, total_s: float) -> float | None:
    """Return what is left of the busy time; a small lack is 0, a larger one is unknown.

    The machine's count and the processes' counts are kept apart, in ticks of 10 ms (USER_HZ is 100, time(7)) that may
    be sampled, so the parts can exceed the whole a little. How much is tolerated (0.1 s or 2 %) is our choice.
    """
    rest = busy_s - parts_s
    return None if rest < -max(0.1, 0.02 * total_s) else max(rest, 0.0)


def _family_s(pid: int) -> float | None:
    """Return the processor time of a process, its living descendants and those it has outlived; None when gone."""
    try:
        head = psutil.Process(pid)
        family = [head, *head.children(recursive=True)]
        return sum(_process_s(process) for process in family)
    except psutil.Error:
        return None


def _process_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    outlived = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return float(times.user + times.system + outlived)


def foreign_gpu_processes(uuid: str, own_pids: Collection[int]) -> tuple[ForeignProcess, ...] | None:
    """Return the processes on an NVIDIA device that are not ours, or None when the driver does not say.

    Inside a container the driver may list processes by numbers of the host: when none of ours is listed under its
    own number, as many that do not exist here as we have workers, those with the most memory, are taken for them.
    """
    with open_nvml() as nvml:
        handle = None if nvml is None else tell(nvml, nvml.nvmlDeviceGetHandleByUUID, uuid)
        listed = None if handle is None else process_ids(nvml, handle)
    if listed is None:
        return None
    foreign = [
        ForeignProcess(pid=pid, name=_process_name(pid), memory_bytes=memory)
        for pid, memory in sorted(listed.items())
        if pid not in own_pids
    ]
    if not own_pids or set(own_pids) & set(listed):
        return tuple(foreign)
    nameless = sorted((p for p in foreign if p.name is None), key=lambda p: p.memory_bytes or 0)
    workers = nameless[-max(1, len(own_pids) - 1) :]  # the measuring process itself holds nothing on the device
    return tuple(process for process in foreign if process not in workers)


def _process_name(pid: int) -> str | None:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return None


def read_device_state(uuid: str) -> DeviceState | None:
    """Return what an NVIDIA device says of its heat, clocks and brakes now; None when it cannot be asked."""
    with open_nvml() as nvml:
        handle = None if nvml is None else tell(nvml, nvml.nvmlDeviceGetHandleByUUID, uuid)
        return None if handle is None else _state(nvml, handle)


def _state(nvml: Any, handle: Any) -> DeviceState:  # any: NVIDIA's untyped bindings
    bits = tell(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    limit_mw = tell(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return DeviceState(
        at_ns=time.perf_counter_ns(),
        reasons=None if bits is None else tuple(text for bit, text in THROTTLE_REASONS.items() if bits & bit),
        temperature_c=tell(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        clock_mhz=tell(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        memory_clock_mhz=tell(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
        power_limit_w=None if limit_mw is None else limit_mw / 1000,
        power_slowed_s=_slowed_s(nvml, handle, nvml.NVML_PERF_POLICY_POWER, POWER_FIELD),
        thermal_slowed_s=_slowed_s(nvml, handle, nvml.NVML_PERF_POLICY_THERMAL, THERMAL_FIELD),
    )


def _slowed_s(nvml: Any, handle: Any, policy: int, field: int) -> float | None:  # any: NVIDIA's untyped bindings
    """Return the time slowed for one cause since the driver started, in seconds; both sources count ns.

    The call is documented (nvml.h, nvmlViolationTime_t) and deprecated, so the field stands in where it is gone.
    """
    status = tell(nvml, nvml.nvmlDeviceGetViolationStatus, handle, policy)
    if status is not None:
        return float(status.violationTime / 1e9)
    fields = tell(nvml, nvml.nvmlDeviceGetFieldValues, handle, [field])
    if not fields or fields[0].nvmlReturn != 0:
        return None
    slowed_ns = plain_number(fields[0].value, fields[0].valueType)
    return None if slowed_ns is None else slowed_ns / 1e9
