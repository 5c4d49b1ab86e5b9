"""An unknown offset of one sensor in a comparison: of two runs whose powers are known, less of it is left."""

import math
from dataclasses import dataclass

from wattbench.results.document import Result
from wattbench.results.energy import ChannelEnergy, ChannelRecord, PowerRecord

__all__ = ["OffsetShare", "left_of_offsets", "offset_share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetShare:
    """What the offset of a sensor makes a run's energy unsure by in comparisons.

    `line` is one for two runs that share the offset (the same source, uncalibrated or by the same calibration),
    `offset_u_w` its standard uncertainty in watts, `power_w` the run's mean power, `counted_rel` what the run's own
    comparison uncertainty holds of it without knowing the other's power.
    """

    line: str
    offset_u_w: float
    power_w: float
    counted_rel: float


def offset_share(result: Result, scope: str | None) -> OffsetShare | None:
    """Return the share at a scope; None where no offset is counted, or several sensors are added there.

    Of the repeats the one in which least is counted is taken.
    """
    shares = []
    for repeat in result.repeats:
        seen = [energy for energy in repeat.energy if energy.scope == scope and energy.energy_j is not None]
        share = _share(result.power, seen[0]) if len(seen) == 1 else None
        if share is None:
            return None
        shares.append(share)
    return min(shares, key=lambda share: share.counted_rel, default=None)


def left_of_offsets(first: OffsetShare | None, other: OffsetShare | None) -> tuple[float, float, float] | None:
    """Return what to take off each side's comparison uncertainty, and what to put in the ratio's instead (as squares).

    An offset b leaves b (1/P1 - 1/P2) in a ratio of one sensor's powers. None where the two share no offset.
    """
    if first is None or other is None or first.line != other.line:
        return None
    pair = first.offset_u_w * abs(1 / first.power_w - 1 / other.power_w)
    return first.counted_rel, other.counted_rel, pair


def _share(power: PowerRecord, energy: ChannelEnergy) -> OffsetShare | None:
    channel = next((c for c in power.channels if c.id == energy.channel), None)
    if channel is None or not energy.mean_power_w:
        return None
    if energy.raw_energy_j is not None:
        return _calibrated(power, channel, energy, energy.mean_power_w)
    counted = sum(term.compared_rel for term in energy.budget if term.name == "offset")
    if channel.offset_u_w is None or counted <= 0:
        return None
    return OffsetShare(
        line=f"{channel.group}, as it comes",
        offset_u_w=channel.offset_u_w,
        power_w=energy.mean_power_w,
        counted_rel=counted,
    )


def _calibrated(
    power: PowerRecord, channel: ChannelRecord, energy: ChannelEnergy, power_w: float
) -> OffsetShare | None:
    """Return the share of a calibration's offset: what its line counts, less the residuals, which stay."""
    records = [c for c in power.calibrations if c.group == channel.group and c.boundary == c.scope == energy.scope]
    if len(records) != 1:
        return None
    record = records[0]
    counted = sum(term.compared_rel for term in energy.budget if term.name == "calibration")
    residual_rel = record.residual_rms_w / power_w / record.gain
    return OffsetShare(
        line=f"{channel.group}, calibrated at {record.calibrated_at}",
        offset_u_w=record.u_offset_w / record.gain,
        power_w=power_w,
        counted_rel=math.sqrt(max(0.0, counted**2 - residual_rel**2)),
    )
