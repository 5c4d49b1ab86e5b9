"""What happened around the windows: CPU time of others, stolen time, temperature, throttling, foreign processes."""

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

__all__ = ["Moment", "Surroundings"]

LIMIT_TOLERANCE_W = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The machine at one instant; `cpu_since` and `temperatures_since` say what happened since an earlier one."""

    cpu: CpuTimes
    device: DeviceState | None

    def cpu_since(self, earlier: "Moment") -> CpuUse:
        """Return who used the processor since `earlier`."""
        return cpu_use(earlier.cpu, self.cpu)

    def temperatures_since(self, earlier: "Moment") -> tuple[float, float] | None:
        """Return the device's temperatures at both moments in degrees C, or None when either is unknown."""
        first = earlier.device.temperature_c if earlier.device else None
        last = self.device.temperature_c if self.device else None
        return None if first is None or last is None else (first, last)

    def slowed_since(self, earlier: "Moment") -> dict[str, float] | None:
        """Return for how long each cause slowed the device since `earlier`, in seconds; None when it does not say."""
        if earlier.device is None or self.device is None:
            return None
        totals = zip(_totals(earlier.device).items(), _totals(self.device).values(), strict=True)
        known = {cause: (then, now) for (cause, then), now in totals if then is not None and now is not None}
        return {cause: max(now - then, 0.0) for cause, (then, now) in known.items()} if known else None


class Surroundings:
    """Looks at the machine between windows and remembers what slowed the device or shared it.

    `covers` is the UUID of the accelerator under test, or "cpu".
    """

    def __init__(self, covers: str | None) -> None:
        self._uuid = covers if covers not in (None, "cpu") else None
        self._reasons: dict[str, None] = {}
        self._first: DeviceState | None = None
        self._last: DeviceState | None = None
        self._away = False
        self.foreign_gpu_processes = 0

    @property
    def throttle_reasons(self) -> tuple[str, ...]:
        """Return every cause that slowed the device during the run, in the order seen."""
        return tuple(self._reasons)

    @property
    def power_limit_changed(self) -> str | None:
        """Return how the power limit changed during the run, in words, or None."""
        first = self._first.power_limit_w if self._first else None
        last = self._last.power_limit_w if self._last else None
        if first is None or last is None or abs(first - last) <= LIMIT_TOLERANCE_W:
            return None
        return f"the power limit went from {first:.0f} W to {last:.0f} W during the run"

    def moment(self, worker_pid: int | None = None) -> Moment:
        """Look at the machine now; with a worker's pid, count foreign processes on the device too."""
        device = read_device_state(self._uuid) if self._uuid else None
        if device is not None:
            self._remember(device)
            self._count_foreign(worker_pid)
        return Moment(cpu=read_cpu_times(worker_pid), device=device)

    def look_away(self) -> None:
        """Let what slows the device until the next look be somebody else's: another run has its turn."""
        self._away = True

    def _remember(self, device: DeviceState) -> None:
        previous = None if self._away else self._last
        self._away = False
        self._first = self._first or device
        self._last = device
        if previous is None:
            return
        # the running totals miss nothing between two looks; the bits are only what is seen at a look
        for (name, before), after in zip(_totals(previous).items(), _totals(device).values(), strict=True):
            if before is not None and after is not None and after > before:
                self._reasons[name] = None
        self._reasons.update(dict.fromkeys(device.reasons or ()))

    def _count_foreign(self, worker_pid: int | None) -> None:
        if self._uuid is None or worker_pid is None:
            return
        foreign = foreign_gpu_processes(self._uuid, _own_pids())
        self.foreign_gpu_processes = max(self.foreign_gpu_processes, len(foreign or ()))


def _totals(device: DeviceState) -> dict[str, float | None]:
    """Return the running totals of the time slowed, by cause, in seconds."""
    return {"power cap": device.power_slowed_s, "heat": device.thermal_slowed_s}


def _own_pids() -> set[int]:
    """Return this process and all that it started: the waiting workers of other open runs are no strangers."""
    own = psutil.Process()
    return {own.pid, *(child.pid for child in own.children(recursive=True))}
