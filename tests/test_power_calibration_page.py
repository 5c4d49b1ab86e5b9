"""The comparison figures of docs/calibration.md's worked example follow from the line that stands there."""

import math
import re
from pathlib import Path

from wattbench.harness.power.calibration import u_ratio_rel
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord

PAGE = (Path(__file__).parents[1] / "docs" / "calibration.md").read_text()
STUDENT_95 = 3.182
"""For the 3 degrees of freedom of 5 levels (JCGM 100:2008, table G.2)."""


def shown_line() -> CalibrationRecord:
    """Return the calibration that the page shows."""
    number = r"([-+]?[0-9.]+)"
    gain, gain_low, gain_high = map(float, re.findall(rf"gain +{number} +\[{number} \.\. {number}\]", PAGE)[0])
    offset, low, high = map(float, re.findall(rf"offset +{number} W +\[{number} \.\. {number}\]", PAGE)[0])
    rows = re.findall(rf"^ +[0-9]+% +[0-9]+% +{number} +{number} +{number}$", PAGE, flags=re.MULTILINE)
    levels = tuple(
        CalibrationLevel(
            name="x",
            busy_share=0.5,
            duration_s=2.0,
            sensor_w=float(sensor),
            u_sensor_w=0.0,
            meter_w=float(meter),
            u_meter_w=0.0,
        )
        for sensor, meter, _ in rows
    )
    return CalibrationRecord(
        device="x",
        device_name=None,
        driver=None,
        sampler="replay",
        group="replay:board",
        scope="board",
        boundary="board",
        calibrated_at="2026-01-02T03:04:05Z",
        meter=MeterRecord(
            identity="x", source="sampler", scope="board", accuracy_rel=0.002, accuracy_basis="", resolution_w=None
        ),
        gain=gain,
        u_gain=(gain_high - gain_low) / 2 / STUDENT_95,
        gain_interval=(gain_low, gain_high),
        offset_w=offset,
        u_offset_w=(high - low) / 2 / STUDENT_95,
        offset_interval_w=(low, high),
        covariance_w=0.0,
        residual_rms_w=float(re.findall(rf"residual +{number} W", PAGE)[0]),
        levels=levels,
    )


def test_the_page_says_what_a_ratio_is_unsure_by() -> None:
    """Between 100 and 250 W the offset leaves 3.5 %; the two runs state that together, and one at 153 W 0.5 %."""
    record = shown_line()
    low, high = u_ratio_rel(record, 100.0), u_ratio_rel(record, 250.0)
    left = record.u_offset_w / record.gain * (1 / 100 - 1 / 250)

    assert 5 == len(record.levels)
    assert f"the line counts {u_ratio_rel(record, 153.0):.1%} at 153 W".replace("%", " %") in PAGE
    assert f"{record.u_offset_w:.2f} W / {record.gain} x (1/100 W - 1/250 W) = {left:.1%} of".replace("%", " %") in PAGE
    assert f"state {low:.1%} and {high:.1%}, which are {math.hypot(low, high):.1%}".replace("%", " %") in PAGE
