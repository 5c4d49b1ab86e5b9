"""A sensor's calibration: the line is recovered, poor ones are refused, and energies are corrected with a budget."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.calibration import (
    calibrated,
    corrected_j,
    fit_line,
    range_facts,
    refuse_meter,
    refuse_poor_fit,
    seen_at_boundary,
    u_line_w,
    u_ratio_rel,
)
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.energy import BudgetTerm, ChannelEnergy
from wattbench.results.errors import SensorError

METER = MeterRecord(
    identity="WT310 91N123456",
    source="sampler",
    scope="board",
    accuracy_rel=0.001,
    accuracy_basis="certificate of 2026",
    resolution_w=0.1,
)


def level(meter_w: float, sensor_w: float, *, u_sensor_w: float = 0.0, u_meter_w: float = 0.0) -> CalibrationLevel:
    """Return a compared level of 20 s."""
    return CalibrationLevel(
        name="level",
        busy_share=0.5,
        duration_s=20.0,
        sensor_w=sensor_w,
        u_sensor_w=u_sensor_w,
        meter_w=meter_w,
        u_meter_w=u_meter_w,
    )


def levels_on(
    gain: float, offset_w: float, watts: Sequence[float] = (60, 120, 180, 240, 300)
) -> list[CalibrationLevel]:
    """Return levels exactly on a line."""
    return [level(w, gain * w + offset_w) for w in watts]


def record_of(levels: Sequence[CalibrationLevel], **changes: Any) -> CalibrationRecord:  # any: values of any field
    """Return the calibration that levels make."""
    line = fit_line(levels)
    record = CalibrationRecord(
        device="GPU-00000000",
        device_name="Made-up board",
        driver="550.0",
        sampler="nvml",
        group="nvml:GPU-00000000",
        scope="board",
        boundary="board",
        calibrated_at="2026-01-02T03:04:05Z",
        meter=METER,
        gain=line.gain,
        u_gain=line.u_gain,
        gain_interval=line.gain_interval,
        offset_w=line.offset_w,
        u_offset_w=line.u_offset_w,
        offset_interval_w=line.offset_interval_w,
        covariance_w=line.covariance_w,
        residual_rms_w=line.residual_rms_w,
        levels=tuple(levels),
    )
    return replace(record, **changes)


@pytest.fixture(name="raw")
def _raw(factories: ModuleType) -> ChannelEnergy:
    """Give a sensor's energy of 3000 J over 10 s with a budget of gain 4.6 %, an offset, and edges 1 %."""
    terms = (
        BudgetTerm(name="gain", kind="B", u_rel=0.046, absolute_only=True, basis="table"),
        BudgetTerm(name="offset", kind="B", u_rel=0.02, absolute_only=False, basis="table", comparison_rel=0.03),
        BudgetTerm(name="edges", kind="B", u_rel=0.01, absolute_only=False, basis="edges"),
    )
    return replace(factories.make_channel_energy(3000.0), budget=terms, u_absolute_rel=math.hypot(0.046, 0.01))


@given(
    gain=st.floats(0.5, 2.0), offset_w=st.floats(-40.0, 40.0), top_w=st.floats(100.0, 900.0), low=st.floats(0.0, 0.6)
)
def test_a_known_line_is_recovered(gain: float, offset_w: float, top_w: float, low: float) -> None:
    """Whatever gain and offset a sensor has, exact levels give them back, and corrected joules are the meter's."""
    watts = [top_w * (low + (1 - low) * i / 4) for i in range(5)]
    levels = [level(w, max(gain * w + offset_w, 0.0)) for w in watts if gain * w + offset_w >= 0]
    if len(levels) < 4:
        return
    line = fit_line(levels)

    assert gain == pytest.approx(line.gain, rel=1e-6)
    assert offset_w == pytest.approx(line.offset_w, abs=1e-6 * top_w)
    found_j = corrected_j(record_of(levels), levels[-1].sensor_w * 20.0, 20.0)
    assert levels[-1].meter_w * 20.0 == pytest.approx(found_j, rel=1e-6)


@given(shift=st.permutations(range(5)))
def test_the_order_of_levels_does_not_matter(shift: list[int]) -> None:
    """A line does not depend on which level was compared first."""
    noisy = [
        level(w, 0.95 * w + 6 + e, u_sensor_w=0.5)
        for w, e in zip((60, 120, 180, 240, 300), (1, -1, 0, 2, -1), strict=True)
    ]
    line, mixed = fit_line(noisy), fit_line([noisy[i] for i in shift])

    assert line.gain == pytest.approx(mixed.gain, rel=1e-12)
    assert line.u_offset_w == pytest.approx(mixed.u_offset_w, rel=1e-9)


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 400 noisy calibrations about 95 % have the true gain, and as many the true offset, in their intervals."""
    drawn = random.Random(1)
    gains = offsets = 0
    for _ in range(400):
        levels = [
            level(w + drawn.gauss(0, 0.3), 0.95 * w + 6.3 + drawn.gauss(0, 0.8), u_sensor_w=0.8, u_meter_w=0.3)
            for w in (60, 120, 180, 240, 300)
        ]
        line = fit_line(levels)
        gains += line.gain_interval[0] <= 0.95 <= line.gain_interval[1]
        offsets += line.offset_interval_w[0] <= 6.3 <= line.offset_interval_w[1]

    assert 0.93 <= gains / 400 <= 1.0
    assert 0.93 <= offsets / 400 <= 1.0


def test_levels_that_scatter_widen_the_line() -> None:
    """Where residuals are larger than the stated uncertainties, these are not believed."""
    offs = (2.0, -2.0, 1.0, -3.0, 2.0)
    told = [level(w, w + e, u_sensor_w=0.01) for w, e in zip((60, 120, 180, 240, 300), offs, strict=True)]
    honest = [replace(v, u_sensor_w=3.0) for v in told]

    assert (
        fit_line(told).u_gain > 100 * fit_line([level(w, w, u_sensor_w=0.01) for w in (60, 120, 180, 240, 300)]).u_gain
    )
    assert 0.5 < fit_line(told).u_gain / fit_line(honest).u_gain < 1.5


def test_a_badly_known_level_weighs_less() -> None:
    """The line follows the levels that are known well."""
    levels = [*levels_on(1.0, 0.0), level(400.0, 440.0, u_sensor_w=50.0)]

    assert 1.0 == pytest.approx(fit_line(levels).gain, abs=1e-3)


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        (levels_on(1.0, 0.0, (100, 200, 300)), "3 levels were compared"),
        ([level(100.0, 90.0 + i) for i in range(5)], "the meter showed 100 W at every level"),
    ],
)
def test_too_few_or_equal_levels_make_no_line(levels: list[CalibrationLevel], why: str) -> None:
    """A line needs at least four levels that differ."""
    with pytest.raises(SensorError, match=why):
        fit_line(levels)


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        (levels_on(1.0, 0.0, (200, 210, 220, 230, 240)), "do not span enough"),
        ([level(w, 400.0 - w) for w in (60, 120, 180, 240, 300)], "the sensor falls while the meter rises"),
        ([level(w, w * w / 100) for w in (60, 120, 180, 240, 300)], "do not lie on a line"),
    ],
)
def test_a_poor_fit_is_refused(levels: list[CalibrationLevel], why: str) -> None:
    """Levels too close together, a sensor that falls, and a bent curve give no calibration, with the remedy."""
    with pytest.raises(SensorError, match=why) as caught:
        refuse_poor_fit(fit_line(levels), levels)

    assert caught.value.remedy


def test_a_good_fit_is_not_refused() -> None:
    """Levels on a line, known well by a good meter, pass."""
    levels = levels_on(0.95, 6.3)
    refuse_poor_fit(fit_line(levels), levels)
    refuse_meter(METER, 0.046, levels)
    refuse_meter(replace(METER, accuracy_rel=0.2, resolution_w=None), None, levels)


@pytest.mark.parametrize(
    ("meter", "sensor_rel", "u_meter_w", "why"),
    [
        (replace(METER, accuracy_rel=0.05), 0.046, 0.0, "the meter is coarser than the sensor"),
        (replace(METER, resolution_w=10.0), None, 0.0, "the meter is too coarse"),
        (METER, 0.01, 5.0, "the meter is too slow"),
    ],
)
def test_a_coarse_meter_is_refused(meter: MeterRecord, sensor_rel: float | None, u_meter_w: float, why: str) -> None:
    """A meter must be better than the sensor, fine enough for the span, and fast enough for the levels."""
    levels = [replace(v, u_meter_w=u_meter_w) for v in levels_on(1.0, 0.0)]
    with pytest.raises(SensorError, match=why) as caught:
        refuse_meter(meter, sensor_rel, levels)

    assert caught.value.remedy


def test_an_energy_is_corrected_and_its_own_figure_kept(raw: ChannelEnergy) -> None:
    """3000 J of a sensor with gain 0.95 and offset 6 W over 10 s are (3000 - 60) / 0.95 J."""
    found = calibrated(raw, record_of(levels_on(0.95, 6.0)), 10.0)

    assert found.energy_j is not None
    assert 2940 / 0.95 == pytest.approx(found.energy_j)
    assert (3000.0, 3000.0) == (found.raw_energy_j, found.counter_j)
    assert "corrected by the calibration of 2026-01-02" in found.notes[-1]


def test_the_absolute_uncertainty_shrinks_to_meter_and_line(raw: ChannelEnergy) -> None:
    """4.6 % of a table and its offset become the meter's 0.1 % and the fit's part; the other lines stay."""
    record = record_of([replace(v, u_sensor_w=0.5) for v in levels_on(0.95, 6.0)])
    found = calibrated(raw, record, 10.0)
    terms = {t.name: t.u_rel for t in found.budget}
    power_w = 2940 / 0.95 / 10

    assert {"gain", "calibration", "edges"} == set(terms)
    assert (0.001, 0.01 * 3000 / 2940) == (terms["gain"], pytest.approx(terms["edges"]))
    assert u_line_w(record, power_w) / power_w == pytest.approx(terms["calibration"])
    assert found.u_absolute_rel == pytest.approx(math.hypot(*terms.values()))
    assert found.u_comparison_rel == pytest.approx(math.hypot(terms["edges"], u_ratio_rel(record, power_w)))
    assert (found.u_absolute_rel or 1.0) < 0.3 * (raw.u_absolute_rel or 0.0)


def test_the_line_is_best_known_amid_its_levels() -> None:
    """Beyond the levels the uncertainty of the line grows."""
    record = record_of([replace(v, u_sensor_w=1.0) for v in levels_on(1.0, 0.0)])

    assert u_line_w(record, 180.0) < u_line_w(record, 300.0) < u_line_w(record, 900.0)


def test_a_line_is_compared_with_its_own_runs_best_amid_its_range() -> None:
    """Between the ends of the levels' range both runs together state just what the offset leaves of their ratio."""
    record = record_of([replace(v, u_sensor_w=1.0) for v in levels_on(1.0, 0.0)], residual_rms_w=0.0)
    low, high = u_ratio_rel(record, 60.0), u_ratio_rel(record, 300.0)

    assert 0.0 == pytest.approx(u_ratio_rel(record, 100.0))
    assert record.u_offset_w * (1 / 60 - 1 / 300) == pytest.approx(math.hypot(low, high))


def test_a_line_without_a_power_above_zero_has_the_worst_reference() -> None:
    """A record whose levels were all at rest still states a figure."""
    record = record_of([replace(v, u_sensor_w=1.0) for v in levels_on(1.0, 0.0)], residual_rms_w=0.0)
    idle = replace(record, levels=tuple(replace(v, meter_w=0.0) for v in record.levels))

    assert math.sqrt(2) * record.u_offset_w / 100 == pytest.approx(u_ratio_rel(idle, 100.0))


@pytest.mark.parametrize(("one_w", "two_w"), [(100.0, 250.0), (60.0, 300.0), (150.0, 160.0)])
def test_ratios_of_calibrated_runs_hold_as_stated(one_w: float, two_w: float) -> None:
    """Over 400 noisy calibrations the ratio of two powers is off by no more than both runs state, root mean square."""
    drawn = random.Random(2)
    off, stated = [], []
    for _ in range(400):
        levels = [
            level(w + drawn.gauss(0, 0.5), 0.95 * w + 6.3 + drawn.gauss(0, 2.0), u_sensor_w=2.0, u_meter_w=0.5)
            for w in (60, 120, 180, 240, 300)
        ]
        record = record_of(levels, residual_rms_w=0.0)
        one, two = (corrected_j(record, 0.95 * w + 6.3, 1.0) for w in (one_w, two_w))
        off.append((one / two) / (one_w / two_w) - 1)
        stated.append(math.hypot(u_ratio_rel(record, one_w), u_ratio_rel(record, two_w)))
    rms = math.sqrt(math.fsum(e * e for e in off) / len(off))

    assert rms <= math.sqrt(math.fsum(u * u for u in stated) / len(stated))
    assert rms > 0.0005  # a line that cancelled would leave nothing


def test_an_unknown_energy_stays_unknown(raw: ChannelEnergy) -> None:
    """There is nothing to correct in an energy that is not known."""
    unknown = replace(raw, energy_j=None, reason="the sensor went silent")

    assert unknown == calibrated(unknown, record_of(levels_on(0.95, 6.0)), 10.0)


def test_a_calibration_that_cannot_fit_refuses_the_energy(raw: ChannelEnergy) -> None:
    """An offset larger than the reading leaves no energy, with the reason, and never a negative one."""
    found = calibrated(raw, record_of(levels_on(1.0, 350.0)), 10.0)

    assert found.energy_j is None
    assert 3000.0 == found.raw_energy_j
    assert "does not fit" in (found.reason or "")


def test_a_wall_meter_gives_the_wall_beside_the_sensors_own(raw: ChannelEnergy) -> None:
    """A constant host of 80 W goes into the offset; the board's joules with it back are the wall's, as a model."""
    record = record_of([level(w + 80.0, 0.95 * w + 6.0) for w in (60, 120, 180, 240, 300)], boundary="wall")
    found = seen_at_boundary(raw, record, 10.0)

    assert (300.0 - 6.0) / 0.95 + 80.0 == pytest.approx(found.mean_power_w)
    assert ("wall", None, "modelled") == (found.scope, found.covers, found.provenance)
    assert "taken to draw what it drew then" in found.notes[-1]


def test_a_replayed_sensor_stays_replayed_at_the_wall(raw: ChannelEnergy) -> None:
    """A recording is never taken for a model of this machine."""
    found = seen_at_boundary(replace(raw, provenance="replayed"), record_of(levels_on(1, 0), boundary="wall"), 10.0)

    assert "replayed" == found.provenance


@pytest.mark.parametrize(("power_w", "inside"), [(60.0, True), (320.0, True), (330.0, False), (30.0, False)])
def test_powers_beyond_the_levels_are_named(power_w: float, inside: bool) -> None:
    """A tenth of the span beyond the levels is allowed, more is not calibrated."""
    facts = range_facts(record_of(levels_on(1.0, 0.0)), power_w)

    assert inside == (facts is None)


def test_records_refuse_what_cannot_be() -> None:
    """A gain of zero, a share above one and a line of one level are refused."""
    record: Callable[..., CalibrationRecord] = lambda **c: replace(record_of(levels_on(1.0, 0.0)), **c)  # noqa: E731
    for wrong in ({"gain": 0.0}, {"levels": ()}, {"u_gain": -1.0}):
        with pytest.raises(ValueError, match=r"gain|level|u_gain"):
            record(**wrong)
    with pytest.raises(ValueError, match="busy_share"):
        replace(level(1.0, 1.0), busy_share=1.5)
