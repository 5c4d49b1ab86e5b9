"""A corrected result computed again: the same from its own record alone, and an edited calibration is found."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import SOON, run_with_joules

from wattbench.harness.power.calibration import fit_line
from wattbench.harness.power.calibration_file import keep
from wattbench.harness.power.derive import derive
from wattbench.harness.power.identity import machine_name
from wattbench.harness.recompute import recomputation_lines, recompute
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.document import Result
from wattbench.results.files import read_result
from wattbench.results.scopes import Scope
from wattbench.results.sidecar import read_polls, with_polls, write_with_polls

RUN = ("run", "--backend", "mock", "--load", "tiny-decoder", "--window", "2.2", "--repeats", "2", "--quiet")
SHORT = ("--warm-up-min", "0.1", "--warm-up-max", "0.5", "--idle", "0.4", "--ceilings", "none", *SOON)
FACTS = "# update_period_s: 0.05\n# lag_s: 0.0\n# seen_share: 1.0\n# accuracy_rel: 0.02\n# accuracy_basis: a test\n"
WAVE = "".join(f"{n / 20},{200 + 50 * (n % 7)},node\n" for n in range(400))
OFF_W = (0.3, -0.2, 0.1, -0.4, 0.2)
"""How far the levels lie off the line."""


def calibration(boundary: Scope) -> CalibrationRecord:
    """Return a calibration of the recorded sensor by the line through five levels about 0.95 power + 6 W."""
    levels = tuple(
        CalibrationLevel(
            name=f"{watts:.0f} W",
            busy_share=0.5,
            duration_s=20.0,
            sensor_w=0.95 * watts + 6 + off_w,
            u_sensor_w=0.5,
            meter_w=watts,
            u_meter_w=0.1,
        )
        for watts, off_w in zip((150.0, 250.0, 350.0, 450.0, 550.0), OFF_W, strict=True)
    )
    line = fit_line(levels)
    meter = MeterRecord(
        identity="WT310", source="typed", scope=boundary, accuracy_rel=0.001, accuracy_basis="stated", resolution_w=0.1
    )
    return CalibrationRecord(
        device=f"node@{machine_name()}",
        device_name=None,
        driver=None,
        sampler="replay",
        group="replay:node",
        scope="node",
        boundary=boundary,
        calibrated_at="2026-01-02T03:04:05Z",
        meter=meter,
        gain=line.gain,
        u_gain=line.u_gain,
        gain_interval=line.gain_interval,
        offset_w=line.offset_w,
        u_offset_w=line.u_offset_w,
        offset_interval_w=line.offset_interval_w,
        covariance_w=line.covariance_w,
        residual_rms_w=line.residual_rms_w,
        levels=levels,
    )


def run(folder: Path, boundary: Scope) -> Path:
    """Run the mock backend beside a recorded sensor that has a calibration; return the result's path."""
    trace, path = folder / "trace.csv", folder / "r.json"
    trace.write_text(f"{FACTS}time_s,power_w,scope\n{WAVE}")
    own = {"WATTBENCH_DATA": str(folder / "data"), "WATTBENCH_CACHE": str(folder / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_DATA", own["WATTBENCH_DATA"])
        keep(calibration(boundary))
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *RUN, *SHORT]
    command += ["--power", f"replay:{trace}", "--out", str(path)]
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False, "env": {**os.environ, **own}}
    ended = run_with_joules(lambda: subprocess.run(command, **options), path)
    assert 3 == ended.returncode, ended.stderr  # measured but invalid: a mock, and replayed watts
    return path


@pytest.fixture(scope="module", name="measured")
def _measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("corrected"), "node")


def differing(result: Result, path: Path) -> list[str]:
    """Return the paths of all differences of a result with the polls at a path."""
    return [d.path for d in recompute(result, read_polls(result, path)).differences]


def test_a_corrected_result_is_the_same(measured: Path) -> None:
    """Windows, idle power and net energy follow from polls and calibration; the sensor's own joules stand beside."""
    result = read_result(measured)
    energy = result.repeats[0].energy[0]
    assert energy.raw_energy_j is not None
    seconds = result.repeats[0].window.duration_s
    line = result.power.calibrations[0]

    assert energy.energy_j == pytest.approx((energy.raw_energy_j - line.offset_w * seconds) / line.gain)
    lines = recomputation_lines(recompute(result, read_polls(result, measured)))
    assert [True] == [text.endswith("polls: all the same.") for text in lines]


def test_a_result_at_a_wider_boundary_is_the_same(tmp_path: Path) -> None:
    """The energy at the wall that a board's line gives follows too."""
    path = run(tmp_path, "wall")
    result = read_result(path)

    assert ["node", "wall"] == [energy.scope for energy in result.repeats[0].energy]
    assert [] == differing(result, path)


def gain(record: CalibrationRecord) -> CalibrationRecord:
    """Make the sensor look as if it showed too little."""
    return replace(record, gain=record.gain * 0.98)


def meter(record: CalibrationRecord) -> CalibrationRecord:
    """Make the meter better than it is."""
    return replace(record, meter=replace(record.meter, accuracy_rel=record.meter.accuracy_rel / 10))


def level(record: CalibrationRecord) -> CalibrationRecord:
    """Move a level, and leave the line."""
    first, *rest = record.levels
    return replace(record, levels=(replace(first, meter_w=first.meter_w + 1.0), *rest))


def levels_gone(record: CalibrationRecord) -> CalibrationRecord:
    """Take levels away until no line can be drawn."""
    return replace(record, levels=record.levels[:2])


@pytest.mark.parametrize(
    ("edit", "paths"),
    [
        (gain, {"power.calibrations[0].gain", "repeats[0].energy[0].energy_j", "idle[0].energy[0].mean_power_w"}),
        (meter, {"repeats[0].energy[0].u_absolute_rel"}),
        (level, {"power.calibrations[0].gain", "power.calibrations[0].offset_w"}),
        (levels_gone, {"power.calibrations[0].levels"}),
    ],
)
def test_an_edited_calibration_is_found(
    measured: Path, edit: Callable[[CalibrationRecord], CalibrationRecord], paths: set[str]
) -> None:
    """A line, an accuracy or a level that was changed by hand does not fit the figures, or its own levels."""
    result = read_result(measured)
    (record,) = result.power.calibrations
    edited = replace(result, power=replace(result.power, calibrations=(edit(record),)))

    assert paths <= set(differing(edited, measured))


def test_energies_edited_with_their_calibration_are_found(measured: Path, tmp_path: Path) -> None:
    """Whoever draws every energy anew from an edited gain is betrayed by the levels."""
    result = with_polls(read_result(measured), measured)
    (record,) = result.power.calibrations
    power = replace(result.power, calibrations=(gain(record),))
    derived = derive(power, result.idle, result.repeats, rate_hz=result.plan.power_rate_hz)
    path = tmp_path / "r.json"
    write_with_polls(replace(result, power=power, idle=derived.idle, repeats=derived.repeats), path)
    found = [name for name in differing(read_result(path), path) if not name.startswith("summary.")]

    assert ["power.calibrations[0].gain"] == found
