"""Calibrations put to use: by group, at the sensor's own scope or beside it at a wider one, in windows and phases."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.harness.power.corrections import corrected, own_calibration, wider
from wattbench.harness.power.derive import Derived, derive, source_energies
from wattbench.harness.power.phases import phase_energy
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.energy import ChannelRecord, Polls, PowerRecord
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
WINDOW = Window(start_ns=10 * SECOND, end_ns=20 * SECOND)


@pytest.fixture(name="channel")
def _channel(factories: ModuleType) -> ChannelRecord:
    """Give a board's power field."""
    counter: ChannelRecord = factories.make_power().channels[0]
    return replace(counter, id="p", kind="power", unit="W", update_period_s=0.1, averaging_window_s=0.1, lag_s=0.0)


def polls_of(channel: ChannelRecord, watts: float) -> Polls:
    """Return 30 s of a constant power at 20 Hz."""
    times = tuple(i * SECOND // 20 for i in range(601))
    value = (watts,) * len(times)
    return Polls(channel=channel.id, before_ns=times, after_ns=times, value=value, sensor_ns=None, errors={})


def calibration(channel: ChannelRecord, *, wide: bool = False) -> CalibrationRecord:
    """Return sensor = 0.95 power + 6 W."""
    levels = tuple(
        CalibrationLevel(
            name="x", busy_share=0.5, duration_s=20.0, sensor_w=0.95 * w + 6, u_sensor_w=0, meter_w=w, u_meter_w=0
        )
        for w in (60.0, 120.0, 240.0, 300.0)
    )
    meter = MeterRecord(
        identity="WT310", source="typed", scope="board", accuracy_rel=0.001, accuracy_basis="stated", resolution_w=None
    )
    return CalibrationRecord(
        device="GPU-00000000",
        device_name=None,
        driver=None,
        sampler=channel.sampler,
        group=channel.group,
        scope="board",
        boundary="wall" if wide else "board",
        calibrated_at="2026-01-02T03:04:05Z",
        meter=meter,
        gain=0.95,
        u_gain=0.001,
        gain_interval=(0.94, 0.96),
        offset_w=6.0,
        u_offset_w=0.1,
        offset_interval_w=(5.5, 6.5),
        covariance_w=0.0,
        residual_rms_w=0.0,
        levels=levels,
    )


def test_net_energy_counts_from_corrected_idle(channel: ChannelRecord, factories: ModuleType) -> None:
    """Gross and idle are both corrected, so that their difference is one of true watts."""
    record = calibration(channel)
    raw = factories.make_channel_energy(3000.0)
    found = corrected(raw, record, 10.0, 100.0)

    assert 2940 / 0.95 == pytest.approx(found.energy_j)
    assert 2940 / 0.95 - 1000 == pytest.approx(found.energy_net_j)
    assert corrected(raw, record, 10.0, None).energy_net_j is None
    assert raw == corrected(raw, None, 10.0, 100.0)


def test_a_calibration_is_its_groups_alone(channel: ChannelRecord, factories: ModuleType) -> None:
    """Another source is not corrected, and a calibration at the own scope gives nothing wider."""
    records = [calibration(channel)]

    assert records[0] == own_calibration(records, channel.group)
    assert own_calibration(records, "another") is None
    assert wider(records, channel.group, factories.make_channel_energy(3000.0), 10.0) is None


def test_a_wider_boundary_leaves_the_sensors_energy_alone(channel: ChannelRecord) -> None:
    """The board's joules stay as they are, and the wall's stand beside them."""
    records = [calibration(channel, wide=True)]
    board, wall = source_energies(
        [channel], [polls_of(channel, 300.0)], WINDOW, rate_hz=20, calibrations=records, covers=channel.covers
    )

    assert own_calibration(records, channel.group) is None
    assert (3000.0, None) == (pytest.approx(board.energy_j), board.raw_energy_j)
    assert ("wall", "modelled") == (wall.scope, wall.provenance)
    assert (3000 - 60) / 0.95 == pytest.approx(wall.energy_j)


def test_a_wider_boundary_gives_way_to_a_sensor_of_its_own(channel: ChannelRecord) -> None:
    """Where a wall meter is read, no line from the board stands for it; nor for a device that the sensor cannot see."""
    records = [calibration(channel, wide=True)]
    meter = replace(channel, id="w", group="w", scope="wall", covers=None)
    logs = [polls_of(channel, 300.0), polls_of(meter, 400.0)]
    beside = source_energies([channel, meter], logs, WINDOW, rate_hz=20, calibrations=records, covers=channel.covers)
    foreign = source_energies([channel], logs, WINDOW, rate_hz=20, calibrations=records, covers="GPU-ffffffff")

    assert ["p", "w"] == [energy.channel for energy in beside]
    assert ["p"] == [energy.channel for energy in foreign]


def test_phases_are_corrected_like_windows(channel: ChannelRecord) -> None:
    """A phase's joules lose the offset over their own time, and its uncertainty is that of a window as long."""
    log, record = [polls_of(channel, 300.0)], calibration(channel)
    phase = phase_energy([channel], log, [WINDOW], rate_hz=20, calibration=record)
    (window,) = source_energies([channel], log, WINDOW, rate_hz=20, calibrations=[record])

    assert (3000 - 6 * 10) / 0.95 == pytest.approx(phase.energy_j)
    assert (window.energy_j, window.u_absolute_rel) == (phase.energy_j, pytest.approx(phase.u_absolute_rel))
    assert window.u_comparison_rel == pytest.approx(phase.u_comparison_rel)


def test_a_phase_below_the_offset_is_unknown(channel: ChannelRecord) -> None:
    """A calibration that would leave nothing of a phase does not fit, and says so."""
    phase = phase_energy([channel], [polls_of(channel, 5.0)], [WINDOW], rate_hz=20, calibration=calibration(channel))

    assert phase.energy_j is None
    assert "does not fit" in str(phase.reason)


def test_a_run_is_corrected_from_its_own_record(channel: ChannelRecord, factories: ModuleType) -> None:
    """Idle windows, repeats and net energy follow from polls and calibrations of the record alone."""
    result = factories.make_result()

    def derived(*records: CalibrationRecord) -> Derived:
        idle = replace(result.idle[0], state="loaded", window=Window(start_ns=SECOND, end_ns=9 * SECOND))
        power: PowerRecord = replace(
            result.power,
            channels=(channel,),
            polls=(polls_of(channel, 300.0),),
            polls_file=None,
            covers=channel.covers,
            calibrations=records,
        )
        return derive(power, [idle], [replace(result.repeats[0], window=WINDOW)], rate_hz=20)

    raw, true = derived(), derived(calibration(channel))
    before, after = raw.repeats[0].energy[0], true.repeats[0].energy[0]

    assert 300.0 == pytest.approx(raw.idle[0].energy[0].mean_power_w)
    assert 294 / 0.95 == pytest.approx(true.idle[0].energy[0].mean_power_w)
    assert (before.energy_j, 2940 / 0.95) == (after.raw_energy_j, pytest.approx(after.energy_j))
    assert 0.0 == pytest.approx(after.energy_net_j)
