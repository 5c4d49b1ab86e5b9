"""Counting memory before anything is built, so that a load that cannot fit is refused with both figures."""

from collections.abc import Sequence

import psutil

from wattbench.backends.contract import DeviceInfo
from wattbench.harness.cgroup import memory_headroom_bytes
from wattbench.models.load import Load
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import OutOfMemoryError

__all__ = ["available_bytes", "refuse_if_too_big"]


def available_bytes(device: DeviceInfo) -> int | None:
    """Return the memory that a load may use on a device, in bytes; None when it is not known.

    For the CPU this is what the system says is available, and no more than the cgroup still allows.
    """
    if device.power_covers != "cpu":
        return device.memory_bytes
    available = int(psutil.virtual_memory().available)
    headroom = memory_headroom_bytes()
    return available if headroom is None else min(available, headroom)


def refuse_if_too_big(load: Load, batch: int, precision: str, devices: Sequence[DeviceInfo]) -> None:
    """Raise OutOfMemoryError with the two figures when the load needs more than is available.

    `devices` has the device of each rank that shares the load, or the only one; ranks on one device share its memory.
    """
    needed = memory_needed_bytes(load, batch, precision, len(devices))
    for device in dict.fromkeys(devices):
        here, available = devices.count(device), available_bytes(device)
        if available is None or here * needed <= available:
            continue
        who = "it needs" if len(devices) == 1 else f"each of {len(devices)} ranks needs"
        raise OutOfMemoryError(
            f"{load.name} at batch {batch} in {precision} does not fit in memory",
            f"{who} about {needed / 1e9:.1f} GB (weights, KV cache, activations) and {available / 1e9:.1f} GB are free"
            + (f" for {here} of them on {device.name}" if len(devices) > 1 else ""),
            "Choose a smaller load (`bench list loads`), a smaller --batch, or a narrower --precision.",
        )
