"""`bench calibrate` end to end: replayed sensor and meter, typed readings, and a later run that uses the result."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import SOON, own_environment, run_here

MOCK = ("--backend", "mock", "--load", "tiny-decoder/tiny")
FAST = (*MOCK, "--settle", "0.1", "--level", "0.6")
GAIN, OFFSET_W, HOST_W = 0.93, 8.0, 70.0
STAIRS_W = (60.0, 130.0, 200.0, 270.0, 340.0)
TRIES = 5
STARVED = ("two samples lie", "do not cover the window", "do not lie on a line")
"""What is rightly said where a busy machine kept a level's polls away: it is measured again then, so often at most."""


class Desk:
    """A folder with recordings, data and cache of its own, and `bench` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = own_environment(WATTBENCH_DATA=str(folder / "data"), WATTBENCH_CACHE=str(folder / "cache"))

    def bench(self, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run_here(*arguments, environment=self.environment, typed=typed)

    def trace(self, name: str, gain: float, offset_w: float, *, scope: str = "board", accuracy: float = 0.046) -> str:
        """Record what a sensor with this gain and offset shows of a power that rises from 50 to 350 W in 12 s."""
        facts = ("# update_period_s: 0.02", "# averaging_window_s: 0.02", "# lag_s: 0", "# seen_share: 1")
        rows = [f"{i / 50},{gain * (50 + i / 2) + offset_w:.4f},{scope}" for i in range(601)]
        head = (f"# accuracy_rel: {accuracy}", "# accuracy_basis: a test's", *facts, "time_s,power_w,scope")
        path = self.folder / f"{name}.csv"
        path.write_text("\n".join([*head, *rows]) + "\n")
        return f"replay:{path}"

    def stairs(self) -> str:
        """Record what the sensor shows of a power that rises by a step with every level of 1.5 s, and then stays."""
        shown = [GAIN * watts + OFFSET_W for watts in (*STAIRS_W, STAIRS_W[-1], STAIRS_W[-1])]
        rows = [f"{1.5 * i + at},{watts},board" for i, watts in enumerate(shown) for at in (0.0, 1.499)]
        path = self.folder / "stairs.csv"
        path.write_text("\n".join(("# update_period_s: 0.02", "# lag_s: 0", "time_s,power_w,scope", *rows)) + "\n")
        return f"replay:{path}"

    def calibrate(self, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        """Calibrate the sensor with short levels."""
        return self.level("--power", self.trace("sensor", GAIN, OFFSET_W), *FAST, *arguments, typed=typed)

    def level(self, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        """Calibrate, again where a busy machine cost a level its polls."""
        for _ in range(TRIES):
            ended = self.bench("calibrate", *arguments, typed=typed)
            if not any(words in ended.stderr for words in STARVED):
                break
        return ended

    def run(self, name: str) -> dict[str, Any]:  # any: a JSON document
        """Measure a constant power with the same sensor and return the result."""
        path = self.folder / "constant.csv"
        head = ("# accuracy_rel: 0.046", "# accuracy_basis: a test's", "# update_period_s: 0.02", "# seen_share: 1")
        watts = GAIN * 200 + OFFSET_W
        rows = ("# lag_s: 0", "time_s,power_w,scope", f"0,{watts},board", f"60,{watts},board")
        path.write_text("\n".join((*head, *rows)) + "\n")
        short = ("--window", "1", "--repeats", "1", "--warm-up-min", "0.2", "--warm-up-max", "1", "--idle", "0")
        out = self.folder / f"{name}.json"
        power = ("--power", f"replay:{path}", "--ceilings", "none", "--out", str(out))
        for _ in range(TRIES):
            out.unlink(missing_ok=True)
            ended = self.bench("run", *MOCK, *SOON, *short, *power)
            assert 3 == ended.returncode, ended.stderr
            result: dict[str, Any] = json.loads(out.read_text())
            unknown = [energy for energy in result["repeats"][0]["energy"] if energy["energy_j"] is None]
            assert all(energy["reason"] for energy in unknown)
            if not unknown:
                break
        return result


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class Calibrated:
    """A desk at which the sensor was calibrated once: what `bench calibrate --json` said, and what it left."""

    def __init__(self, folder: Path) -> None:
        desk = Desk(folder)
        meter = ("--meter", desk.trace("meter", 1.0, 0.0, accuracy=0.001), "--meter-name", "WT310 serial 7")
        ended = desk.calibrate(*meter, "--level", "1", "--json")  # well within the 12 s of the recordings
        assert 0 == ended.returncode, ended.stderr
        (self.made,) = json.loads(ended.stdout)
        self._data = folder / "data"

    def leave_to(self, desk: Desk) -> None:
        """Let another desk have the calibration."""
        shutil.copytree(self._data, desk.folder / "data", dirs_exist_ok=True)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """Give the calibration of a known sensor."""
    return Calibrated(tmp_path_factory.mktemp("calibrated"))


def test_a_known_sensor_is_calibrated_and_a_later_run_uses_it(desk: Desk, calibrated: Calibrated) -> None:
    """Replayed sensor and meter give back gain and offset; the next run's joules are true and surer, its own kept."""
    before, made = desk.run("before")["repeats"][0]["energy"][0], calibrated.made
    calibrated.leave_to(desk)
    result = desk.run("after")
    after = result["repeats"][0]["energy"][0]
    seconds = after["energy_j"] / after["mean_power_w"]

    assert made["gain"] == pytest.approx(GAIN, abs=max(0.004, 2 * made["u_gain"]))
    assert made["offset_w"] == pytest.approx(OFFSET_W, abs=max(1.0, 2 * made["u_offset_w"]))
    assert made["gain_interval"][0] <= GAIN <= made["gain_interval"][1]
    assert 5 == len(made["levels"])
    assert after["mean_power_w"] == pytest.approx(200.0, rel=0.005)
    assert after["raw_energy_j"] == pytest.approx(before["mean_power_w"] * seconds, rel=0.001)
    assert after["u_absolute_rel"] < 0.7 * before["u_absolute_rel"]
    assert abs(after["mean_power_w"] / 200 - 1) <= 2 * after["u_absolute_rel"]
    assert [made] == result["power"]["calibrations"]
    shown = desk.bench("show", str(desk.folder / "after.json")).stdout
    assert "calibrated      replay:board: corrected, against WT310 serial 7" in shown


def test_what_is_stored_is_shown_and_forgotten(desk: Desk, calibrated: Calibrated) -> None:
    """--show tells whose, against what and how well; --forget deletes it, and an unknown device is refused."""
    calibrated.leave_to(desk)
    shown = desk.bench("calibrate", "--show")
    unknown = desk.bench("calibrate", "--forget", "GPU-7")
    gone = desk.bench("calibrate", "--forget", "all")
    empty = desk.bench("calibrate", "--show")

    assert "WT310 serial 7" in shown.stdout
    assert "boundary   board: joules of this sensor are corrected" in shown.stdout
    assert (2, 0) == (unknown.returncode, gone.returncode)
    assert "forgotten" in gone.stdout
    assert "No calibration is stored" in empty.stdout


def test_a_sensor_is_no_meter_for_itself(desk: Desk) -> None:
    """The same source on both sides agrees with itself, whatever accuracy is claimed for it."""
    ended = desk.calibrate("--meter", f"replay:{desk.folder / 'sensor.csv'}", "--meter-accuracy", "0.1")

    assert 2 == ended.returncode
    assert "A sensor is no meter for itself" in ended.stderr


def test_a_wall_meter_keeps_the_boards_joules_and_adds_the_walls(desk: Desk) -> None:
    """The offset absorbs the host; the board's figure stays the sensor's, the wall's stands beside it."""
    meter = desk.trace("meter", 1.0, HOST_W, scope="wall", accuracy=0.001)
    ended = desk.calibrate("--meter", meter)
    result = desk.run("after")
    board, wall = result["repeats"][0]["energy"]

    assert "taken as constant" in ended.stdout
    assert result["power"]["calibrations"][0]["meter"]["identity"].startswith("replay:")
    assert ("board", None) == (board["scope"], board["raw_energy_j"])
    assert board["mean_power_w"] == pytest.approx(GAIN * 200 + OFFSET_W, rel=0.001)
    assert ("wall", "replayed") == (wall["scope"], wall["provenance"])
    assert wall["mean_power_w"] == pytest.approx(200 + HOST_W, rel=0.01)


TYPED = ("--meter-name", "P3 Kill A Watt", "--meter-accuracy", "0.2", "--boundary", "board")


def test_typed_readings_come_from_a_file_or_a_prompt(desk: Desk) -> None:
    """Readings that fit make a calibration, from a file and from standard input alike; the meter has its limits."""
    lines = "".join(f"{watts:.1f} W\n" for watts in STAIRS_W)
    path = desk.folder / "readings.txt"
    path.write_text(f"# watts, one a level\n{lines}")
    asked = ("--power", desk.stairs(), *MOCK, "--settle", "0.5", "--level", "0.6", *TYPED)
    by_file = desk.level(*asked, "--json", "--typed", str(path))
    by_hand = desk.level(*asked, "--typed", typed=lines)

    assert (0, 0) == (by_file.returncode, by_hand.returncode), by_file.stderr + by_hand.stderr
    (made,) = json.loads(by_file.stdout)
    assert made["gain"] == pytest.approx(GAIN, abs=max(0.001, 2 * made["u_gain"]))
    assert made["offset_w"] == pytest.approx(OFFSET_W, abs=max(0.5, 2 * made["u_offset_w"]))
    assert "P3 Kill A Watt, typed, 0.115 % (k=1): limits of error +-0.2 % as a rectangular bound" in by_hand.stdout
    assert "level 5 of 5 (100%): the meter's mean power" in by_hand.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "No meter is named"),
        (("--meter", "replay", "--typed"), 2, "Two meters are named"),
        (("--meter", "nothing"), 2, "Unknown meter"),
        (("--typed", "/not/there"), 2, "Cannot read the readings"),
        (("--typed",), 2, "has no name"),
        (
            (
                "--meter",
                "",
            ),
            2,
            "is empty",
        ),
        (("--typed", "--meter-accuracy", "0"), 2, "--meter-accuracy is out of range"),
        (("--typed", "--meter-step", "-1"), 2, "--meter-step is out of range"),
        (("--typed", "--boundary", "moon"), 2, "Unknown --boundary"),
        (("--typed", "--level", "0"), 2, "--level is out of range"),
        (
            ("--typed", "--settle", "nan"),
            2,
            "--settle is out of range: got nan, it must be at least 0 and at most 3600",
        ),
        (("--typed", "--meter-step", "inf"), 2, "--meter-step is out of range: got inf, it must be more than 0"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    desk: Desk, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Each wrong option has its own three-part message and code 2."""
    ended = desk.bench("calibrate", *MOCK, "--power", desk.trace("sensor", 1.0, 0.0), *arguments)

    assert code == ended.returncode
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "level 1" not in ended.stderr


def test_a_file_with_other_readings_is_refused(desk: Desk) -> None:
    """Four readings, or one that is no power, are refused before the load runs."""
    path = desk.folder / "readings.txt"
    path.write_text("1\n2\n3\n4\n")
    few = desk.calibrate("--typed", str(path), *TYPED)
    path.write_text("1\n2\nthree\n4\n5\n")
    wrong = desk.calibrate("--typed", str(path), *TYPED)

    assert (2, 2) == (few.returncode, wrong.returncode)
    assert "it has 4 readings, the levels are 0%, 25%, 50%, 75%, 100%" in few.stderr
    assert "level 3" in wrong.stderr


@pytest.mark.parametrize(
    ("meter", "says"),
    [
        ({"gain": 1.0, "offset_w": 0.0, "accuracy": 0.2}, "the meter is coarser than the sensor"),
        ({"gain": 0.0, "offset_w": 200.0}, "No calibration was made"),
        ({"gain": 0.05, "offset_w": 300.0}, "do not span enough"),
    ],
)
def test_a_calibration_that_would_mislead_is_refused(desk: Desk, meter: dict[str, float], says: str) -> None:
    """A coarse meter, one that shows no change, or hardly any, end with code 1 and nothing stored."""
    ended = desk.calibrate("--meter", desk.trace("meter", **({"accuracy": 0.001} | meter)))  # type: ignore[arg-type]

    assert 1 == ended.returncode
    assert says in ended.stderr
    assert "No calibration is stored" in desk.bench("calibrate", "--show").stdout


def test_without_a_sensor_there_is_nothing_to_calibrate(desk: Desk) -> None:
    """--power none, a model, and a recording against a real meter are refused with the reason."""
    meter = desk.trace("meter", 1.0, 0.0, accuracy=0.001)
    none = desk.bench("calibrate", "--power", "none", *FAST, "--meter", meter)
    model = desk.bench("calibrate", "--power", "model:40,180", *FAST, "--typed", *TYPED, typed="1\n")

    assert (1, 2) == (none.returncode, model.returncode)
    assert "There is nothing to calibrate" in none.stderr
    assert "A model is no sensor" in model.stderr


def test_a_damaged_calibration_ends_the_run_before_it_starts(desk: Desk, calibrated: Calibrated) -> None:
    """Measuring on uncorrected would give other figures without a word."""
    calibrated.leave_to(desk)
    (file,) = (desk.folder / "data" / "calibrations").glob("*.json")
    file.write_text("{")
    ended = desk.bench("run", *MOCK, "--power", desk.trace("sensor", GAIN, OFFSET_W), "--out", str(desk.folder))

    assert 1 == ended.returncode
    assert "cannot be read" in ended.stderr
    assert "Delete the file and calibrate again" in ended.stderr
