"""The IOReport sampler: energy counters of Apple's chips through zeus-apple-silicon, without root."""

from __future__ import annotations

from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.sensors.sdk import hushed, is_installed
from wattbench.results.energy import Scope
from wattbench.results.errors import SensorError

__all__ = ["IoreportSampler"]

_CHIP = ("cpu_total_mj", "gpu_mj", "ane_mj")
"""Side by side on the chip; `gpu_sram_mj` is recorded alone, since whether `gpu_mj` holds it is not published."""

_PARTS = {"cpu_total_mj": "cpu", "gpu_mj": "gpu", "ane_mj": "ane", "gpu_sram_mj": "gpu_sram", "dram_mj": "dram"}
"""Fields of zeus-apple-silicon's AppleEnergyMetrics, in mJ, and our names."""

_BASIS = "Apple's energy model (IOReport, not documented) estimates by counting events and states no accuracy"


class IoreportSampler:
    """Reads the counters of the chip's parts, their sum as a package, and DRAM, as far as this chip has them."""

    name = "ioreport"

    def __init__(self, options: SamplerOptions) -> None:
        self._monitor: Any = None  # any: the extension has no types
        self._chip: tuple[str, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Load the package and see which parts this chip counts."""
        self.close()
        if not is_installed("zeus_apple_silicon"):
            remedy = "On a Mac with an Apple chip: pip install 'wattbench[apple]'"
            return Availability(state="absent", reason="zeus-apple-silicon is not installed", remedy=remedy)
        try:
            with hushed():
                from zeus_apple_silicon import (  # pyright: ignore[reportMissingImports]  # it exists for macOS only
                    AppleEnergyMonitor,
                )

                self._monitor = AppleEnergyMonitor()
            millijoule = self._counters()
        except (ImportError, OSError, RuntimeError, SensorError) as exc:
            self.close()
            remedy = "It works on Macs with an Apple chip; check `python -c 'import zeus_apple_silicon'`."
            return Availability(state="broken", reason=f"zeus-apple-silicon: {exc}", remedy=remedy)
        self._chip = tuple(key for key in _CHIP if key in millijoule)
        if not self._chip:
            self.close()
            reason = "this machine's IOReport counts no part of its chip"
            return Availability(state="absent", reason=reason, remedy="It does so on Macs with an Apple chip.")
        self.channels = (_channel("soc"), *(_channel(_PARTS[key]) for key in millijoule))
        return Availability(state="present", reason=f"counters of {', '.join(_PARTS[key] for key in millijoule)}")

    def read(self) -> tuple[Reading, ...]:
        """Read every counter once, in joules. Raises SensorError when it is closed or the system gives none."""
        if self._monitor is None:
            raise SensorError("Cannot read IOReport", "it is closed")
        millijoule = self._counters()
        joules = {f"ioreport:{_PARTS[key]}": value / 1000 for key, value in millijoule.items()}
        if all(key in millijoule for key in self._chip):
            joules["ioreport:soc"] = sum(millijoule[key] for key in self._chip) / 1000
        return tuple(_reading(channel.id, joules.get(channel.id)) for channel in self.channels)

    def close(self) -> None:
        """Forget the monitor."""
        self._monitor = None

    def _counters(self) -> dict[str, int]:
        """Return the counters that the chip has, in mJ by field. Raises SensorError."""
        try:
            metrics = self._monitor.get_cumulative_energy()
        except (RuntimeError, ValueError) as exc:  # what the extension's C++ exceptions become
            raise SensorError("Cannot read IOReport", str(exc)) from exc
        values = {key: getattr(metrics, key, None) for key in _PARTS}
        return {key: value for key, value in values.items() if value is not None}


def _reading(channel: str, joules: float | None) -> Reading:
    error = None if joules is not None else "IOReport left it out this time"
    return Reading(channel=channel, value=joules, error=error)


def _channel(part: str) -> ChannelRecord:
    scopes: dict[str, Scope] = {"soc": "package", "dram": "dram"}
    return ChannelRecord(
        id=f"ioreport:{part}",
        sampler="ioreport",
        group=f"ioreport:{part}",
        scope=scopes.get(part, "other"),
        kind="counter",
        provenance="measured",
        unit="J",
        covers="soc",
        resolution=0.001,
        update_period_s=None,
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=None,
        accuracy_basis=_BASIS,
    )
