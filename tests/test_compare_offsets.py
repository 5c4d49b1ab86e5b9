"""The offset of one sensor in a comparison: with both powers known, only what is left of it counts."""

import math
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.compare import ComparisonOptions, compare
from wattbench.results.compare_offsets import OffsetShare, left_of_offsets, offset_share
from wattbench.results.compare_sides import Side, side_of
from wattbench.results.document import Result
from wattbench.results.energy import BudgetTerm

BOARD = "GPU-00000000"
OFFSET_W = 10.7
MIDDLE_W = 199.0

watts = st.floats(20.0, 700.0)


def counted(power_w: float) -> float:
    """Return what a run by itself counts of the offset (harness.power.budget.ratio_share_rel, docs/uncertainty.md)."""
    return math.sqrt(2) * OFFSET_W * abs(1 / power_w - 1 / MIDDLE_W)


def share(power_w: float, line: str = "nvml:GPU-00000000, as it comes") -> OffsetShare:
    """Return the share of a run at a power."""
    return OffsetShare(line=line, offset_u_w=OFFSET_W, power_w=power_w, counted_rel=counted(power_w))


def measured(factories: ModuleType, power_w: float) -> Result:
    """Return a run on a board with a published offset, every repeat at that power."""
    term = BudgetTerm(
        name="offset",
        kind="B",
        u_rel=counted(power_w) / math.sqrt(2),
        absolute_only=False,
        basis="published",
        comparison_rel=counted(power_w),
    )
    energy = replace(factories.make_channel_energy(10 * power_w), budget=(term,), u_comparison_rel=counted(power_w))
    backend = replace(factories.make_backend(), mock=False, device="cuda:0", device_name="NVIDIA A100")
    power = factories.make_power()
    channel = replace(power.channels[0], offset_u_w=OFFSET_W, offset_at_w=MIDDLE_W)
    power = replace(power, covers=BOARD, channels=(channel,))
    repeats = tuple(factories.make_repeat(index, energy=(energy,)) for index in range(5))
    found: Result = factories.make_result(backend=backend, doubts=(), power=power, repeats=repeats)
    return found


def side(factories: ModuleType, name: str, power_w: float) -> Side:
    """Return such a run as a side whose energies state exactly what the offset makes them unsure by."""
    made = side_of(measured(factories, power_w), f"sha256:{name}", name)
    metrics = tuple(
        m if m.scope is None else replace(m, u_comparison_rel=math.hypot(0.004, counted(power_w))) for m in made.metrics
    )
    return replace(made, metrics=metrics)


def width(first: Side, other: Side) -> float:
    """Return the relative width of the interval of the ratio of joules per request."""
    found = compare([first, other], ComparisonOptions())
    row = next(row for row in found.rows if row.metric == "energy.per_request")
    assert row.low is not None
    assert row.high is not None
    assert row.ratio is not None
    return (row.high - row.low) / row.ratio


@given(watts, watts)
def test_what_is_left_is_never_more_than_both_counted(one_w: float, two_w: float) -> None:
    """Not knowing the other's power costs width, and knowing it never does."""
    left = left_of_offsets(share(one_w), share(two_w))
    assert left is not None

    assert (counted(one_w), counted(two_w)) == left[:2]
    assert left[2] <= math.hypot(counted(one_w), counted(two_w)) * (1 + 1e-9)
    assert pytest.approx(OFFSET_W * abs(1 / one_w - 1 / two_w)) == left[2]


def test_two_offsets_do_not_cancel() -> None:
    """Another sensor, another calibration, or none on one side: nothing is known of the difference."""
    assert left_of_offsets(share(250), share(260, "nvml:GPU-11111111, as it comes")) is None
    assert left_of_offsets(share(250), None) is None


def test_runs_of_like_power_are_told_apart(factories: ModuleType) -> None:
    """At 250 and 260 W the offset of 10.7 W leaves 0.16 % of the ratio, where the runs alone count 1.5 and 1.8 %."""
    first, other = side(factories, "a", 250.0), side(factories, "b", 260.0)
    known, unknown = width(first, other), width(first, replace(other, offsets={}))
    expected = 2 * 1.96 * math.hypot(0.004, 0.004, OFFSET_W * (1 / 250 - 1 / 260))

    assert pytest.approx(expected, rel=0.02) == known
    assert known < unknown / 2


def test_runs_of_unlike_power_are_as_unsure_as_they_are(factories: ModuleType) -> None:
    """At 150 and 300 W the same offset makes the ratio unsure by 3.6 %, whatever the board."""
    found = width(side(factories, "a", 150.0), side(factories, "b", 300.0))

    assert pytest.approx(2 * 1.96 * math.hypot(0.004, 0.004, OFFSET_W / 300), rel=0.03) == found


def test_several_sensors_at_a_scope_have_no_one_offset(factories: ModuleType) -> None:
    """The sum of two boards' energies is not read by one sensor."""
    result = measured(factories, 250.0)
    energy = result.repeats[0].energy[0]
    both = replace(result.repeats[0], energy=(energy, replace(energy, channel="nvml:GPU-1:energy")))

    assert offset_share(result, "board") is not None
    assert offset_share(replace(result, repeats=(both, *result.repeats[1:])), "board") is None
    assert offset_share(result, "wall") is None


def test_a_calibrations_residuals_stay(factories: ModuleType) -> None:
    """Of the line `calibration` the offset's part is taken out, and what lies off the line is left in."""
    result = measured(factories, 250.0)
    record = calibration()
    offset_rel, residual_rel = 0.01, record.residual_rms_w / 250.0 / record.gain
    term = BudgetTerm(
        name="calibration",
        kind="A",
        u_rel=0.02,
        absolute_only=False,
        basis="made up",
        comparison_rel=math.hypot(offset_rel, residual_rel),
    )
    repeats = tuple(
        replace(r, energy=tuple(replace(e, budget=(term,), raw_energy_j=2400.0) for e in r.energy))
        for r in result.repeats
    )
    found = offset_share(replace(result, repeats=repeats, power=replace(result.power, calibrations=(record,))), "board")
    assert found is not None

    assert pytest.approx(offset_rel) == found.counted_rel
    assert pytest.approx(record.u_offset_w / record.gain) == found.offset_u_w
    assert found.line.endswith("calibrated at 2026-01-01T00:00:00Z")
    assert offset_share(replace(result, repeats=repeats), "board") is None  # the record is gone


def calibration() -> CalibrationRecord:
    """Return the line of the made-up board."""
    levels = tuple(
        CalibrationLevel(
            name=f"{watt:.0f} W",
            busy_share=0.5,
            duration_s=10.0,
            sensor_w=0.95 * watt + 2,
            u_sensor_w=0.1,
            meter_w=watt,
            u_meter_w=0.1,
        )
        for watt in (100.0, 200.0, 300.0)
    )
    meter = MeterRecord(
        identity="a meter",
        source="typed",
        scope="board",
        accuracy_rel=0.001,
        accuracy_basis="made up",
        resolution_w=None,
    )
    return CalibrationRecord(
        device=BOARD,
        device_name=None,
        driver=None,
        sampler="nvml",
        group="nvml:GPU-00000000",
        scope="board",
        boundary="board",
        calibrated_at="2026-01-01T00:00:00Z",
        meter=meter,
        gain=0.95,
        u_gain=0.001,
        gain_interval=(0.948, 0.952),
        offset_w=2.0,
        u_offset_w=0.3,
        offset_interval_w=(1.4, 2.6),
        covariance_w=0.0,
        residual_rms_w=0.2,
        levels=levels,
    )
