"""The Neuron sampler: AWS Trainium and Inferentia, which tell a percentage of a maximum that the user must declare."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sensors.boards import not_for_cpu
from wattbench.harness.power.sysfs import read_word
from wattbench.results.errors import SensorError

__all__ = ["NeuronSampler"]

_PERIOD_S = 60.0
"""The driver makes one figure a minute (aws-neuron-driver, neuron_power.c: at each passed minute)."""

_STALE_S = 3 * _PERIOD_S
"""A figure older than this is no view of now (our choice: three missed minutes)."""

_ROUNDED = 0.01
"""Percents are told with two digits."""

_VALID = "POWER_STATUS_VALID"

_FILES = (
    "devices/virtual/neuron_device/neuron*/stats/power/utilization",
    "class/neuron_device/neuron*/stats/power/utilization",
)
"""Where drivers up to 2.30 put the file, and where it is found through its class after it moved."""

_REMEDY = "Declare the watts of one device at 100 %: --power neuron:MAX_W (docs/power.md#neuron tells what that is)"

_BASIS = (
    "declared, not measured: percent of {max_w:g} W that the user declared for one device; AWS publishes no maximum, "
    "takes background power out, and of two dies shows the busier one (aws-neuron-driver, neuron_power.c)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """One device: its file and its channel."""

    file: Path
    channel: ChannelRecord


class NeuronSampler:
    """Gives the last minute's average percentage times the declared maximum, in watts, one channel a device.

    `now_s` is the wall clock, which the driver stamps its figures with.
    """

    name = "neuron"

    def __init__(
        self, options: SamplerOptions, *, root: Path = Path("/sys"), now_s: Callable[[], float] = time.time
    ) -> None:
        self._argument = options.argument
        self._covers = options.covers
        self._root = root
        self._now_s = now_s
        self._max_w = 0.0
        self._devices: tuple[_Device, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the devices; without declared watts they are absent, since a percentage is no power."""
        self.close()
        if (refusal := not_for_cpu(self._covers, "Neuron devices")) is not None:
            return refusal
        files = sorted({path.resolve(): path for pattern in _FILES for path in self._root.glob(pattern)}.values())
        if not files:
            remedy = "On an AWS Trainium or Inferentia instance update the driver: aws-neuronx-dkms 2.21 or newer."
            return Availability(state="absent", reason="no Neuron device with a power file here", remedy=remedy)
        if self._argument is None:
            reason = f"{len(files)} Neuron devices give a percentage of an unpublished maximum, no watts"
            return Availability(state="absent", reason=reason, remedy=_REMEDY)
        max_w = _watts(self._argument)
        if max_w is None:
            return Availability(state="broken", reason=f"{self._argument!r} is no positive number", remedy=_REMEDY)
        self._max_w = max_w
        self._devices = tuple(_device(file, max_w) for file in files)
        faults = [r.error for r in self.read() if r.error is not None]
        if len(faults) == len(files):
            self.close()
            remedy = "Wait a minute after the driver's start; if the file is not readable, run as root."
            return Availability(state="broken", reason=faults[0], remedy=remedy)
        self.channels = tuple(device.channel for device in self._devices)
        reason = f"{len(files)} devices, percent of {max_w:g} W declared, one figure a minute"
        return Availability(state="present", reason=reason)

    def read(self) -> tuple[Reading, ...]:
        """Return the last whole minute's average of every device, in watts, with the driver's own time stamp."""
        return tuple(_read(device, self._max_w, self._now_s()) for device in self._devices)

    def close(self) -> None:
        """Forget the devices."""
        self._devices = ()


def _watts(text: str) -> float | None:
    try:
        watts = float(text)
    except ValueError:
        return None
    return watts if 0 < watts < math.inf else None


def _device(file: Path, max_w: float) -> _Device:
    name = file.parents[2].name  # neuron0/stats/power/utilization
    channel = ChannelRecord(
        id=f"neuron:{name}",
        sampler="neuron",
        group=f"neuron:{name}",
        scope="board",
        kind="power",
        provenance="declared",
        unit="W",
        covers=f"neuron:{name.removeprefix('neuron')}",
        resolution=max_w / 10_000,  # hundredths of a percent
        update_period_s=_PERIOD_S,
        averaging_window_s=_PERIOD_S,
        lag_s=_PERIOD_S,  # the middle of the shown minute lies 30 to 90 s back
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=max_w,
        accuracy_rel=None,
        accuracy_basis=_BASIS.format(max_w=max_w),
    )
    return _Device(file=file, channel=channel)


def _read(device: _Device, max_w: float, now_s: float) -> Reading:
    name, file = device.channel.id, device.file
    try:
        status, stamp_s, (least, most, percent) = _parse(read_word(file), file)
    except SensorError as exc:
        return Reading(channel=name, value=None, error=f"{exc.what}: {exc.why}")
    if status != _VALID:
        return Reading(channel=name, value=None, error=f"{file} says {status}")
    if now_s - stamp_s > _STALE_S:
        return Reading(channel=name, value=None, error=f"{file} has not changed for {now_s - stamp_s:.0f} s")
    if now_s - stamp_s < -_PERIOD_S:
        return Reading(channel=name, value=None, error=f"{file} is of {stamp_s - now_s:.0f} s from now")
    if not 0 <= percent <= 100:
        return Reading(channel=name, value=None, error=f"{file} says {percent} %")
    if not least - _ROUNDED <= percent <= most + _ROUNDED:
        return Reading(channel=name, value=None, error=f"{file} says {percent} % between {least} and {most} %")
    return Reading(channel=name, value=percent / 100 * max_w, sensor_ns=stamp_s * 10**9)


def _parse(text: str, file: Path) -> tuple[str, int, tuple[float, float, float]]:
    """Return status, epoch in s, and percents of "STATUS,EPOCH,MIN,MAX,AVERAGE". Raises SensorError."""
    try:
        status, stamp_s, least, most, average = text.split(",")
        return status, int(stamp_s), (float(least), float(most), float(average))
    except ValueError as exc:
        raise SensorError(f"{file} holds no power statistics", repr(text[:60])) from exc
