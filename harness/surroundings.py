"""What happened around the windows: CPU time of others, stolen time, temperature, throttling, foreign processes."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import psutil

from wattbench.harness.contention import (
    CpuTimes,
    CpuUse,
    DeviceState,
    cpu_use,
    foreign_gpu_processes,
    read_cpu_times,
    read_device_state,
)
from wattbench.harness.telemetry.watch import watch_of
from wattbench.results.covers import devices_of
from wattbench.results.telemetry import TelemetryRecord

__all__ = ["Moment", "Surroundings"]

LIMIT_TOLERANCE_W = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The machine at one instant; `cpu_since` and `temperatures_since` say what happened since an earlier one.

    `devices` has the state of each accelerator under test, in their order; None for one that cannot be asked.
    `at_ns` is on `time.perf_counter_ns`.
    """

    at_ns: int
    cpu: CpuTimes
    devices: tuple[DeviceState | None, ...]

    def cpu_since(self, earlier: "Moment") -> CpuUse:
        """Return who used the processor since `earlier`."""
        return cpu_use(earlier.cpu, self.cpu)

    def temperatures_since(self, earlier: "Moment") -> tuple[float, float] | None:
        """Return the hottest device's temperatures at both moments in degrees C, or None when either is unknown."""
        first, last = _hottest_c(earlier.devices), _hottest_c(self.devices)
        return None if first is None or last is None else (first, last)

    def slowed_since(self, earlier: "Moment") -> dict[str, float] | None:
        """Return for how long each cause slowed the device since `earlier`, in seconds; None when it does not say.

        Of several devices that wait for each other the one that was slowed the longest counts.
        """
        known: dict[str, float] = {}
        for then, now in zip(earlier.devices, self.devices, strict=True):
            for cause, seconds in _slowed(then, now).items():
                known[cause] = max(known.get(cause, 0.0), seconds)
        return known or None


class Surroundings:
    """Looks at the machine between windows and remembers what slowed the device or shared it.

    `covers` is the UUID of the accelerator under test, those of several, or "cpu"; `device` its name, by which its
    monitoring is found.
    """

    def __init__(self, covers: str | None, device: str = "") -> None:
        self._watch = watch_of(device)
        self._uuids = tuple(one for one in devices_of(covers) if one != "cpu")
        self._reasons: dict[str, None] = {}
        self._first: dict[str, DeviceState] = {}
        self._last: dict[str, DeviceState] = {}
        self._away = False
        self.foreign_gpu_processes = 0

    @property
    def throttle_reasons(self) -> tuple[str, ...]:
        """Return every cause that slowed the device during the run, in the order seen."""
        return tuple(self._reasons)

    @property
    def power_limit_changed(self) -> str | None:
        """Return how the power limit changed during the run, in words, or None."""
        for uuid, last in self._last.items():
            before_w, after_w = self._first[uuid].power_limit_w, last.power_limit_w
            if before_w is not None and after_w is not None and abs(before_w - after_w) > LIMIT_TOLERANCE_W:
                whose = f" of {uuid}" if len(self._uuids) > 1 else ""
                return f"the power limit{whose} went from {before_w:.0f} W to {after_w:.0f} W during the run"
        return None

    def moment(self, worker_pid: int | None = None) -> Moment:
        """Look at the machine now; with a worker's pid, count foreign processes on the device too."""
        devices = tuple(read_device_state(uuid) for uuid in self._uuids)
        for uuid, device in zip(self._uuids, devices, strict=True):
            if device is not None:
                self._remember(uuid, device)
        self._away = False
        if any(devices):
            self._count_foreign(worker_pid)
        return Moment(at_ns=time.perf_counter_ns(), cpu=read_cpu_times(worker_pid), devices=devices)

    def watching(self) -> AbstractContextManager[None]:
        """Return a context in which the device's own monitoring runs, where it has one."""
        return nullcontext() if self._watch is None else self._watch.running()

    def telemetry(self, first: Moment, last: Moment) -> tuple[TelemetryRecord, ...]:
        """Return what the device's own monitoring said between two moments; a throttle score is a cause of slowness."""
        if self._watch is None:
            return ()
        found = self._watch.record(first.at_ns, last.at_ns)
        if found.throttle_score_max:
            self._reasons[f"{found.source}: throttle score {found.throttle_score_max:g}"] = None
        return (found,)

    def look_away(self) -> None:
        """Let what slows the device until the next look be somebody else's: another run has its turn."""
        self._away = True

    def _remember(self, uuid: str, device: DeviceState) -> None:
        previous = None if self._away else self._last.get(uuid)
        self._first.setdefault(uuid, device)
        self._last[uuid] = device
        if previous is None:
            return
        # the running totals miss nothing between two looks; the bits are only what is seen at a look
        self._reasons.update(dict.fromkeys(cause for cause, s in _slowed(previous, device).items() if s > 0))
        self._reasons.update(dict.fromkeys(device.reasons or ()))

    def _count_foreign(self, worker_pid: int | None) -> None:
        if worker_pid is None:
            return
        found = [process for uuid in self._uuids for process in foreign_gpu_processes(uuid, _own_pids()) or ()]
        self.foreign_gpu_processes = max(self.foreign_gpu_processes, len({process.pid for process in found}))


def _hottest_c(devices: Sequence[DeviceState | None]) -> float | None:
    return max((d.temperature_c for d in devices if d is not None and d.temperature_c is not None), default=None)


def _slowed(then: DeviceState | None, now: DeviceState | None) -> dict[str, float]:
    """Return for how long each cause slowed a device between two looks, in seconds; nothing that it does not count."""
    if then is None or now is None:
        return {}
    totals = zip(_totals(then).items(), _totals(now).values(), strict=True)
    return {c: max(after - before, 0.0) for (c, before), after in totals if before is not None and after is not None}


def _totals(device: DeviceState) -> dict[str, float | None]:
    """Return the running totals of the time slowed, by cause, in seconds."""
    return {"power cap": device.power_slowed_s, "heat": device.thermal_slowed_s}


def _own_pids() -> set[int]:
    """Return this process and all that it started: the waiting workers of other open runs are no strangers."""
    own = psutil.Process()
    return {own.pid, *(child.pid for child in own.children(recursive=True))}
