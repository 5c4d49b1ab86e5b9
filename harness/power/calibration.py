"""A sensor's calibration as mathematics: the line through compared levels, what it refuses, and its use."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wattbench.harness.power.budget import combined, ratio_share_rel
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.energy import BudgetTerm, ChannelEnergy
from wattbench.results.errors import SensorError

__all__ = [
    "LEVELS_MIN",
    "Line",
    "calibrated",
    "calibrated_terms",
    "corrected_j",
    "fit_line",
    "misfit_reason",
    "range_facts",
    "refuse_meter",
    "refuse_poor_fit",
    "seen_at_boundary",
    "u_line_w",
    "u_ratio_rel",
]

LEVELS_MIN = 4
"""A line has two unknowns; two levels more let the residuals speak (our choice)."""

SPAN_MIN = 0.3
"""The levels must span this share of the highest one: closer together, the gain is mostly noise (our choice)."""

RESIDUAL_MAX = 0.02
"""The root mean square residual over the span: real boards are linear within R^2 >= 0.995 (arXiv 2312.02741)."""

RESOLUTION_MAX = 0.02
"""The meter's least step over the span: 50 steps make 0.6 % of the span (rectangular; our choice)."""

RANGE_MARGIN = 0.1
"""A power further outside the levels than this share of their span was not calibrated (our choice)."""

_ITERATIONS = 20

_STUDENT_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom (JCGM 100:2008, table G.2)."""

REMEDY = "Change what it names and calibrate again; nothing was stored."


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """sensor = gain * meter + offset_w, with standard uncertainties (k=1), 95 % intervals and residuals in watts."""

    gain: float
    u_gain: float
    gain_interval: tuple[float, float]
    offset_w: float
    u_offset_w: float
    offset_interval_w: tuple[float, float]
    covariance_w: float
    residuals_w: tuple[float, ...]

    @property
    def residual_rms_w(self) -> float:
        """Return the root mean square of the residuals over the degrees of freedom, in watts."""
        return math.sqrt(math.fsum(r * r for r in self.residuals_w) / (len(self.residuals_w) - 2))


def fit_line(levels: Sequence[CalibrationLevel]) -> Line:
    """Return the weighted least-squares line through the levels, both axes uncertain.

    Each level weighs 1 / (u_sensor^2 + gain^2 u_meter^2), with the gain found anew until it stands (effective variance,
    Orear 1982). Where the levels scatter more than their uncertainties say, these grow with the scatter (Birge ratio,
    never below 1). Raises SensorError for fewer than `LEVELS_MIN` levels or meter readings that do not differ.
    """
    if len(levels) < LEVELS_MIN:
        raise _refused(f"{len(levels)} levels were compared, a line with residuals needs {LEVELS_MIN}")
    x, y = [level.meter_w for level in levels], [level.sensor_w for level in levels]
    if max(x) - min(x) <= 0:
        raise _refused(f"the meter showed {x[0]:g} W at every level")
    gain = 1.0
    for _ in range(_ITERATIONS):
        gain, _ = _solve(x, y, _weights(levels, gain))
    weights = _weights(levels, gain)
    gain, offset_w = _solve(x, y, weights)
    residuals_w = tuple(b - gain * a - offset_w for a, b in zip(x, y, strict=True))
    freedom = len(levels) - 2
    chi2 = math.fsum(w * r * r for w, r in zip(weights, residuals_w, strict=True))
    birge2 = max(1.0, chi2 / freedom)
    total, mean = math.fsum(weights), _mean(x, weights)
    spread = math.fsum(w * (a - mean) ** 2 for w, a in zip(weights, x, strict=True))
    u_gain = math.sqrt(birge2 / spread)
    u_offset_w = math.sqrt(birge2 * (1 / total + mean**2 / spread))
    t = _STUDENT_95[min(freedom, len(_STUDENT_95)) - 1]
    return Line(
        gain=gain,
        u_gain=u_gain,
        gain_interval=(gain - t * u_gain, gain + t * u_gain),
        offset_w=offset_w,
        u_offset_w=u_offset_w,
        offset_interval_w=(offset_w - t * u_offset_w, offset_w + t * u_offset_w),
        covariance_w=-birge2 * mean / spread,
        residuals_w=residuals_w,
    )


def refuse_meter(meter: MeterRecord, sensor_accuracy_rel: float | None, levels: Sequence[CalibrationLevel]) -> None:
    """Raise SensorError for a meter that is coarser than the sensor that it should correct.

    Its accuracy must be better than the sensor's stated one, and its least step at most `RESOLUTION_MAX` of the span
    of its readings; a level that it knows worse than the sensor's accuracy is too short for it.
    """
    if sensor_accuracy_rel is not None and meter.accuracy_rel >= sensor_accuracy_rel:
        why = f"{meter.identity} is known to {meter.accuracy_rel:.2%}, the sensor to {sensor_accuracy_rel:.2%} (k=1)"
        raise _refused(f"the meter is coarser than the sensor: {why}", "Use a better meter.")
    readings = [level.meter_w for level in levels]
    span_w = max(readings) - min(readings)
    if meter.resolution_w is not None and meter.resolution_w > RESOLUTION_MAX * span_w:
        why = f"steps of {meter.resolution_w:g} W over a span of {span_w:.4g} W; {RESOLUTION_MAX:.0%} is the most"
        raise _refused(f"the meter is too coarse: {why}", "Use a meter with finer steps, or a load that draws more.")
    worst = max(level.u_meter_w / max(level.meter_w, 1e-9) for level in levels)
    if sensor_accuracy_rel is not None and worst >= sensor_accuracy_rel:
        why = f"a level is known to {worst:.2%} by it, the sensor's own accuracy is {sensor_accuracy_rel:.2%} (k=1)"
        raise _refused(f"the meter is too slow for levels this short: {why}", "Raise --level.")


def refuse_poor_fit(line: Line, levels: Sequence[CalibrationLevel]) -> None:
    """Raise SensorError for levels that do not span enough, or a line that they do not follow."""
    readings = [level.meter_w for level in levels]
    span_w = max(readings) - min(readings)
    if span_w < SPAN_MIN * max(readings):
        why = f"from {min(readings):.4g} to {max(readings):.4g} W, {SPAN_MIN:.0%} of the highest is the least"
        raise _refused(f"the levels do not span enough: {why}", "Use a load that draws more, or a larger --batch.")
    if line.gain <= 0:
        raise _refused("the sensor falls while the meter rises", "Does the meter see this device?")
    share = line.residual_rms_w / (line.gain * span_w)
    if share > RESIDUAL_MAX:
        why = f"{share:.2%} of the span off the line (root mean square), {RESIDUAL_MAX:.0%} is the most"
        advice = "Quieten the machine, raise --settle and --level, and see that the meter sees only this machine."
        raise _refused(f"the levels do not lie on a line: {why}", advice)


def corrected_j(record: CalibrationRecord, joules: float, duration_s: float) -> float:
    """Return the energy at the calibration's boundary that a sensor's joules over a time stand for."""
    return (joules - record.offset_w * duration_s) / record.gain


def u_line_w(record: CalibrationRecord, power_w: float) -> float:
    """Return how well the line is known at a power of its boundary, in watts (k=1): the fit, and what lies off it.

    From power = (sensor - offset) / gain: u^2 = (u_offset^2 + power^2 u_gain^2 + 2 power cov) / gain^2 (JCGM 100:2008,
    5.2.2), and the residuals' root mean square for what is not linear.
    """
    variance = record.u_offset_w**2 + (power_w * record.u_gain) ** 2 + 2 * power_w * record.covariance_w
    return math.hypot(math.sqrt(max(variance, 0.0)), record.residual_rms_w) / record.gain


def u_ratio_rel(record: CalibrationRecord, power_w: float) -> float:
    """Return what the line makes the ratio to another run unsure by, this run's share of it (relative, k=1).

    A power P is off by -(d_offset + P d_gain) / gain: in the ratio of two runs under one calibration the gain's error
    cancels with all of its covariance, and the offset's is left (`ratio_share_rel`). The reference is the middle of 1/P
    over the levels, where the worst of them is least. What lies off the line differs from power to power, and is added.
    """
    per_w = [1 / level.meter_w for level in record.levels if level.meter_w > 0] or [0.0]
    offset_rel = ratio_share_rel(record.u_offset_w, power_w, (min(per_w) + max(per_w)) / 2)
    return math.hypot(offset_rel, record.residual_rms_w / power_w) / record.gain


def calibrated(raw: ChannelEnergy, record: CalibrationRecord, duration_s: float) -> ChannelEnergy:
    """Return an energy corrected by its calibration, with the sensor's own figure kept and the budget remade.

    The gain's line becomes the meter's accuracy, the line `calibration` stands for the offset too and says how well the
    fit is known at this power, and how far that leaves a ratio unsure. The other lines, being shares of the raw energy,
    become shares of the corrected one.
    """
    if raw.energy_j is None:
        return raw
    reason = misfit_reason(record, raw.channel, raw.energy_j, duration_s)
    if reason is not None:
        return _unknown(raw, reason)
    energy_j = corrected_j(record, raw.energy_j, duration_s)
    terms = calibrated_terms(record, raw.budget, raw.energy_j, duration_s)
    u = combined(terms)
    return replace(
        raw,
        energy_j=energy_j,
        energy_net_j=None,
        mean_power_w=energy_j / duration_s,
        u_absolute_rel=u.absolute_rel,
        u_comparison_rel=u.comparison_rel,
        budget=terms,
        notes=(*raw.notes, f"corrected by the calibration of {record.calibrated_at} against {record.meter.identity}"),
        raw_energy_j=raw.energy_j,
    )


def misfit_reason(record: CalibrationRecord, channel: str, joules: float, duration_s: float) -> str | None:
    """Return why a calibration cannot correct a sensor's joules, since they would be none or negative; else None."""
    if corrected_j(record, joules, duration_s) > 0:
        return None
    why = f"{joules:.4g} J less an offset of {record.offset_w:.4g} W over {duration_s:.4g} s is not positive"
    return f"{channel}: the calibration of {record.calibrated_at} does not fit: {why}"


def calibrated_terms(
    record: CalibrationRecord, terms: Sequence[BudgetTerm], joules: float, duration_s: float
) -> tuple[BudgetTerm, ...]:
    """Return the budget of a sensor's joules after their correction, as `calibrated` describes it."""
    energy_j = corrected_j(record, joules, duration_s)
    share = joules / (record.gain * energy_j)
    power_w = energy_j / duration_s
    meter = record.meter
    fitted = f"{len(record.levels)} levels up to {max(v.meter_w for v in record.levels):.4g} W, at {power_w:.4g} W"
    kept = [_scaled(term, share) for term in terms if term.name not in ("gain", "offset")]
    gain = BudgetTerm(
        name="gain",
        kind="B",
        u_rel=meter.accuracy_rel,
        absolute_only=True,
        basis=f"calibrated on {record.calibrated_at} against {meter.identity}: {meter.accuracy_basis}",
    )
    fit = BudgetTerm(
        name="calibration",
        kind="A",
        u_rel=u_line_w(record, power_w) / power_w,
        absolute_only=False,
        basis=f"the line through {fitted}; in ratios to runs at other powers its gain cancels, its offset does not",
        comparison_rel=u_ratio_rel(record, power_w),
    )
    return (gain, fit, *kept)


def seen_at_boundary(raw: ChannelEnergy, record: CalibrationRecord, duration_s: float) -> ChannelEnergy:
    """Return what a sensor stands for at the wider boundary that its meter saw, as an energy of its own.

    It rests on everything else at the boundary drawing what it drew at the calibration, so it is a model's.
    """
    wide = calibrated(raw, record, duration_s)
    note = f"a line from {raw.channel}; everything else at the {record.boundary} is taken to draw what it drew then"
    return replace(
        wide,
        channel=f"{raw.channel}@{record.boundary}",
        scope=record.boundary,
        covers=None,
        provenance="replayed" if raw.provenance == "replayed" else "modelled",
        notes=(*wide.notes, note),
    )


def range_facts(record: CalibrationRecord, raw_power_w: float) -> str | None:
    """Return in words that a sensor's power lies outside what was calibrated, or None when it lies within."""
    seen = [level.sensor_w for level in record.levels]
    low, high = min(seen), max(seen)
    margin = RANGE_MARGIN * (high - low)
    if low - margin <= raw_power_w <= high + margin:
        return None
    return f"the sensor showed {raw_power_w:.4g} W, its calibration reaches from {low:.4g} to {high:.4g} W"


def _scaled(term: BudgetTerm, share: float) -> BudgetTerm:
    compared = None if term.comparison_rel is None else term.comparison_rel * share
    return replace(term, u_rel=term.u_rel * share, comparison_rel=compared)


def _unknown(raw: ChannelEnergy, reason: str) -> ChannelEnergy:
    return replace(
        raw,
        energy_j=None,
        energy_net_j=None,
        mean_power_w=None,
        method=None,
        u_absolute_rel=None,
        u_comparison_rel=None,
        budget=(),
        reason=reason,
        raw_energy_j=raw.energy_j,
    )


def _weights(levels: Sequence[CalibrationLevel], gain: float) -> list[float]:
    """Return the levels' weights; one without a stated uncertainty weighs as much as any other, not infinitely."""
    floor_w = 1e-6 * max(*(v.meter_w for v in levels), *(v.sensor_w for v in levels))
    return [1 / (floor_w**2 + v.u_sensor_w**2 + (gain * v.u_meter_w) ** 2) for v in levels]


def _solve(x: Sequence[float], y: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """Return gain and offset of the weighted line, from centred sums."""
    mean_x, mean_y = _mean(x, weights), _mean(y, weights)
    products = math.fsum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True))
    squares = math.fsum(w * (a - mean_x) ** 2 for w, a in zip(weights, x, strict=True))
    gain = products / squares
    return gain, mean_y - gain * mean_x


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(w * v for w, v in zip(weights, values, strict=True)) / math.fsum(weights)


def _refused(why: str, remedy: str = REMEDY) -> SensorError:
    return SensorError("No calibration was made", why, remedy)
