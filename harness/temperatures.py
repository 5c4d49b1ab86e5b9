"""The temperature of the device under test: an NVIDIA board's, or the processor's where Linux tells."""

import threading
from collections.abc import Callable

import psutil

from wattbench.harness.contention import read_device_state
from wattbench.results.covers import devices_of

__all__ = ["TemperatureLog", "read_temperature_c"]

CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Names of the kernel's drivers for processor temperatures (Documentation/hwmon of Linux)."""

PERIOD_S = 1.0


def read_temperature_c(covers: str | None) -> float | None:
    """Return the temperature of the hottest device under test in degrees C; None where none has a thermometer."""
    if covers is not None and covers.split(":")[0] == "cpu":
        return _cpu_c()
    states = [state for one in devices_of(covers) if (state := read_device_state(one)) is not None]
    return max((s.temperature_c for s in states if s.temperature_c is not None), default=None)


def _cpu_c() -> float | None:
    """Return the hottest sensor of the processor."""
    read = getattr(psutil, "sensors_temperatures", None)  # only where psutil knows them: Linux, FreeBSD
    chips = read() if read is not None else {}
    found = [entry.current for name in CPU_CHIPS for entry in chips.get(name, ())]
    return max(found, default=None)


class TemperatureLog:
    """Reads a temperature every second in a thread of its own, between `start` and `stop`; times are the clock's."""

    def __init__(
        self, covers: str | None, now_ns: Callable[[], int], read: Callable[[str | None], float | None] | None = None
    ) -> None:
        self._covers = covers
        self._now_ns = now_ns
        self._read = read or read_temperature_c
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="temperature", daemon=True)
        self.points: list[tuple[int, float]] = []

    def __enter__(self) -> "TemperatureLog":
        if self._note():  # where there is no thermometer, nobody looks again
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(2 * PERIOD_S)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self._note()

    def _note(self) -> bool:
        celsius = self._read(self._covers)
        if celsius is not None:
            self.points.append((self._now_ns(), celsius))
        return celsius is not None
