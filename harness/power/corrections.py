"""Calibrations put to use: which one corrects a source, and which gives its energy at a wider boundary."""

from collections.abc import Sequence
from dataclasses import replace

from wattbench.harness.power.calibration import calibrated, seen_at_boundary
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.energy import ChannelEnergy

__all__ = ["corrected", "own_calibration", "wider"]


def corrected(
    raw: ChannelEnergy, record: CalibrationRecord | None, duration_s: float, idle_power_w: float | None
) -> ChannelEnergy:
    """Return a source's energy corrected by its own calibration, or as it is without one (None)."""
    if record is None:
        return raw
    found = calibrated(raw, record, duration_s)
    if found.energy_j is None or idle_power_w is None:
        return found
    return replace(found, energy_net_j=found.energy_j - idle_power_w * duration_s)


def wider(
    calibrations: Sequence[CalibrationRecord], group: str, raw: ChannelEnergy, duration_s: float
) -> ChannelEnergy | None:
    """Return the energy at the wider boundary of a source's calibration; None without such a calibration."""
    record = next((c for c in calibrations if c.group == group and c.boundary != c.scope), None)
    return None if record is None else seen_at_boundary(raw, record, duration_s)


def own_calibration(calibrations: Sequence[CalibrationRecord], group: str) -> CalibrationRecord | None:
    """Return the calibration of a source at the sensor's own scope, which corrects its energies; None without one."""
    return next((c for c in calibrations if c.group == group and c.boundary == c.scope), None)
