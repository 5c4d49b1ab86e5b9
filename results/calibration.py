"""The records of a sensor's calibration: the meter, the levels that were compared, and the line between them."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_finite, require_not_negative
from wattbench.results.scopes import Scope

__all__ = ["CalibrationLevel", "CalibrationRecord", "MeterRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecord:
    """The trusted meter: what it is, how it was read, what it sees, and how well it is known.

    `accuracy_rel` is its relative standard uncertainty (k=1), `accuracy_basis` who says so, `resolution_w` its least
    step in watts (None: finer than matters).
    """

    identity: str
    source: Literal["sampler", "typed"]
    scope: Scope
    accuracy_rel: float
    accuracy_basis: str
    resolution_w: float | None

    def __post_init__(self) -> None:
        require_not_negative(accuracy_rel=self.accuracy_rel, resolution_w=self.resolution_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLevel:
    """One level of load: the mean powers of sensor and meter over the same window, in watts, with their k=1.

    The uncertainties are those that differ from level to level (edges, lag, resolution), not the gains.
    """

    name: str
    busy_share: float
    duration_s: float
    sensor_w: float
    u_sensor_w: float
    meter_w: float
    u_meter_w: float

    def __post_init__(self) -> None:
        require(0 <= self.busy_share <= 1, "busy_share lies within 0..1")
        require_not_negative(sensor_w=self.sensor_w, meter_w=self.meter_w)
        require_not_negative(u_sensor_w=self.u_sensor_w, u_meter_w=self.u_meter_w, duration_s=self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRecord:
    """The line sensor = gain * power + offset_w of one physical source, found by comparing it with a meter.

    `device` is a UUID, or what the sensor covers and the machine it is in; `group` the sensor's source, `scope` what
    the sensor sees. `boundary` is what the meter sees: where it is wider than `scope`, the offset holds the constant
    share of everything else, and corrected watts are those of the boundary. `u_*` and `covariance_w` are standard
    uncertainties (k=1), the intervals are at 95 %; `residual_rms_w` is how far the levels lie from the line.
    """

    device: str
    device_name: str | None
    driver: str | None
    sampler: str
    group: str
    scope: Scope
    boundary: Scope
    calibrated_at: str
    meter: MeterRecord
    gain: float
    u_gain: float
    gain_interval: tuple[float, float]
    offset_w: float
    u_offset_w: float
    offset_interval_w: tuple[float, float]
    covariance_w: float
    residual_rms_w: float
    levels: tuple[CalibrationLevel, ...]

    def __post_init__(self) -> None:
        require(self.gain > 0, "a gain is positive")
        require_finite(offset_w=self.offset_w, covariance_w=self.covariance_w)
        require_not_negative(u_gain=self.u_gain, u_offset_w=self.u_offset_w, residual_rms_w=self.residual_rms_w)
        require(len(self.levels) >= 2, "a line needs two levels")
