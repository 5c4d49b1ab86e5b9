"""`bench sweep` as a user runs it: points in turns, every end a valid one, going on, stepping back."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from command_line import SOON

from wattbench.harness.cli.sweep import command
from wattbench.harness.recompute import recompute
from wattbench.harness.sweep.folder import MANIFEST
from wattbench.results.document import Result
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result
from wattbench.results.sidecar import with_polls

PLUGINS = (Path(__file__).parent / "plugins_sweep", Path(__file__).parent / "plugins")
SHORT = ("--window", "0.1", "--warm-up-max", "0.1", "--idle", "0", "--ceilings", "none")
LIMIT_S = 180


class Sweep:
    """Runs `bench sweep` in a folder of its own, on a mock device of little memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        path = [*map(str, PLUGINS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WATTBENCH_", "COV_", "SMALL_"))},
            "PYTHONPATH": os.pathsep.join(path),
            "WATTBENCH_DATA": str(folder / "data"),
            "WATTBENCH_CACHE": str(folder / "cache"),
        }

    def start(self, *flags: str) -> subprocess.Popen[str]:
        """Start `bench sweep`."""
        call = (sys.executable, "-P", "-m", "wattbench.harness.cli.main", "sweep", *flags)
        return subprocess.Popen(
            call, env=self.environment, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def measure(self, *flags: str, repeats: int = 2) -> subprocess.Popen[str]:
        """Start a short sweep over one load into the folder."""
        load = () if any(flag.startswith("--load") for flag in flags) else ("--load", "tiny-decoder/tiny")
        power = () if "--power" in flags else ("--power", "none")
        base = ("--backend", "small", *load, *power, *SHORT, "--repeats", str(repeats), "--out", str(self.out))
        return self.start(*base, *flags)

    def end(self, process: subprocess.Popen[str]) -> "Ended":
        """Wait for the end and return what happened."""
        stdout, stderr = process.communicate(timeout=LIMIT_S)
        return Ended(process.returncode, stdout, stderr)

    def run(self, *flags: str, repeats: int = 2) -> "Ended":
        """Run a short sweep to its end."""
        return self.end(self.measure(*flags, *SOON, repeats=repeats))

    def resume(self, *flags: str) -> "Ended":
        """Go on with the sweep in the folder."""
        return self.end(self.start("--resume", "--out", str(self.out), *flags))

    def manifest(self) -> dict[str, object]:
        """Return the manifest as plain JSON."""
        return json.loads((self.out / MANIFEST).read_bytes())

    def statuses(self) -> list[str]:
        """Return the points' statuses in their order."""
        return [point["status"] for point in self.manifest()["points"]]

    def results(self) -> list[Result]:
        """Return the result of every point that has one, with its polls and through every check, in their order."""
        files = [self.out / point["file"] for point in self.manifest()["points"]]
        return [with_polls(read_result(path), path) for path in files if path.exists()]

    def wait_for(self, process: subprocess.Popen[str], status: str, count: int) -> None:
        """Wait until so many points have a status."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and process.poll() is None:
            if (self.out / MANIFEST).exists() and self.statuses().count(status) >= count:
                return
            time.sleep(0.02)
        raise AssertionError(f"no {count} points became {status}")

    def wait_for_repeat(self, process: subprocess.Popen[str], index: int) -> None:
        """Wait until a point's file holds a repeat."""
        path = self.out / self.manifest()["points"][index]["file"]
        while process.poll() is None:
            if path.exists() and read_result(path).repeats:
                return
            time.sleep(0.02)
        raise AssertionError("the sweep ended before")


class Ended:
    """A finished command."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr


@pytest.fixture(name="sweep")
def _sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


@pytest.fixture(name="ended", scope="module")
def _ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, "Ended"]:
    """Give an ended sweep over two batches, one at a time, and what it printed: for tests that only read it."""
    sweep = Sweep(tmp_path_factory.mktemp("ended"))
    return sweep, sweep.run("--batch", "1,2", "--together", "1", "--slo-latency-s", "5")


def starts_of(results: list[Result]) -> list[tuple[int, int]]:
    """Return the start of every window of every result on the common clock, with the result's number, in order."""
    found = [(repeat.window.start_ns, number) for number, result in enumerate(results) for repeat in result.repeats]
    return sorted(found)


def test_every_point_is_a_whole_result_and_their_repeats_alternate(sweep: Sweep) -> None:
    """Four points, three repeats: in each round of windows every point has its turn, in an order that changes."""
    ended = sweep.run("--batch", "1,2", "--precision", "float32,bfloat16", repeats=3)
    results = sweep.results()
    rounds = [[number for _, number in starts_of(results)][i : i + 4] for i in (0, 4, 8)]
    windows = sorted((r.window.start_ns, r.window.end_ns) for result in results for r in result.repeats)
    names = [sweep.manifest()["points"][number]["name"] for turns in rounds for number in turns]

    assert 3 == ended.code, ended.stderr
    assert ["complete"] * 4 == sweep.statuses()
    assert [("float32", 1), ("float32", 2), ("bfloat16", 1), ("bfloat16", 2)] == [
        (r.plan.precision, r.plan.batch) for r in results
    ]
    assert [list(range(4))] * 3 == [sorted(turns) for turns in rounds]
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]
    assert all(before[1] <= after[0] for before, after in pairwise(windows))
    assert [True] == [group["interleaved"] for group in sweep.manifest()["groups"]]
    assert names == sweep.manifest()["groups"][0]["turns"]
    assert "bfloat16, batch 2" in ended.stdout


def test_points_measured_one_at_a_time_do_not_alternate_and_say_so(ended: tuple[Sweep, Ended]) -> None:
    """With --together 1 each point's windows stay together, and the manifest tells why."""
    sweep, _ = ended

    assert [0, 0] == [n for _, n in starts_of([sweep.results()[0]])]
    assert [False, False] == [group["interleaved"] for group in sweep.manifest()["groups"]]
    assert {"--together 1"} == {group["reason"] for group in sweep.manifest()["groups"]}


def test_a_shared_recorder_gives_each_point_its_own_joules_and_polls(sweep: Sweep) -> None:
    """A constant 100 W gives 100 J/s in every window; no poll of a point lies in another one's windows."""
    sweep.run("--batch", "1,2", "--power", "steady", repeats=3)
    first, second = sweep.results()
    joules = [r.energy[0].energy_j / r.window.duration_s for result in (first, second) for r in result.repeats]
    strangers = [
        poll
        for result, other in ((first, second), (second, first))
        for poll in result.power.polls[0].before_ns
        for repeat in other.repeats
        if repeat.window.start_ns <= poll < repeat.window.end_ns
    ]

    assert [100.0] * 6 == pytest.approx(joules, rel=1e-6)
    assert [] == strangers
    assert 2 == len(list(sweep.out.glob("*.polls.parquet")))
    assert [(), ()] == [recompute(result, result.power.polls).differences for result in (first, second)]
    assert [False, False] == [health.silent for result in (first, second) for health in result.power.health]


def test_ctrl_c_keeps_what_was_measured_and_going_on_measures_the_rest(sweep: Sweep) -> None:
    """The open points end partial, the finished one stays as it is; the message says how to go on, and it works."""
    process = sweep.measure("--batch", "1,2,4", "--together", "1", repeats=2)
    sweep.wait_for(process, "complete", 1)
    sweep.wait_for(process, "started", 1)
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "worker" in " ".join(p.cmdline())]
    process.send_signal(signal.SIGINT)
    ended = sweep.end(process)
    kept = (sweep.out / "tiny-decoder-tiny_batch-1.json").read_bytes()
    before = sweep.statuses()
    resumed = sweep.resume()
    _, alive = psutil.wait_procs(workers, timeout=10)

    assert (1, "complete", "partial", "pending") == (ended.code, *before)
    assert f"bench sweep --resume --out {sweep.out}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [] == alive
    assert 3 == resumed.code, resumed.stderr
    assert ["complete"] * 3 == sweep.statuses()
    assert kept == (sweep.out / "tiny-decoder-tiny_batch-1.json").read_bytes()
    assert "partial" == read_result(sweep.out / "tiny-decoder-tiny_batch-2.old1.json").status


def test_ctrl_c_ends_every_open_point_in_a_valid_document(sweep: Sweep) -> None:
    """Points that take turns all end partial, with the repeats that they had, and leave no worker."""
    process = sweep.measure("--batch", "1,2", repeats=50)
    sweep.wait_for(process, "started", 2)
    sweep.wait_for_repeat(process, 0)
    sweep.wait_for_repeat(process, 1)
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "worker" in " ".join(p.cmdline())]
    process.send_signal(signal.SIGTERM)
    ended = sweep.end(process)
    _, alive = psutil.wait_procs(workers, timeout=10)

    assert (1, ["partial", "partial"]) == (ended.code, sweep.statuses())
    assert all("SIGTERM" in result.error.why and result.summary is not None for result in sweep.results())
    assert 2 == len(workers)
    assert [] == alive


def test_a_killed_sweep_can_go_on(sweep: Sweep) -> None:
    """After kill -9 the open points' files are put aside and measured again."""
    process = sweep.measure("--batch", "1,2", repeats=2)
    sweep.wait_for(process, "started", 2)
    process.kill()
    sweep.end(process)
    resumed = sweep.resume("--quiet")

    assert 3 == resumed.code, resumed.stderr
    assert ["complete", "complete"] == sweep.statuses()


def test_going_on_with_another_plan_is_refused(ended: tuple[Sweep, Ended]) -> None:
    """The difference is named, nothing is measured."""
    resumed = ended[0].resume("--load", "tiny-decoder/tiny", "--batch", "1,2,4")

    assert 2 == resumed.code
    assert "batch was 1,2 and is now 1,2,4" in resumed.stderr
    assert ["complete"] * 2 == ended[0].statuses()


def test_a_batch_that_is_too_big_ends_its_series(sweep: Sweep, tmp_path: Path) -> None:
    """Out of memory when alone: recorded with its error, larger ones of the series skipped; smaller ones stay."""
    (tmp_path / "room").mkdir()
    sweep.environment |= {"SMALL_ROOM": str(tmp_path / "room"), "SMALL_REQUESTS": "3"}
    ended = sweep.run("--batch", "auto:16", "--precision", "float32,bfloat16", "--together", "1", repeats=1)
    points = sweep.manifest()["points"]

    assert 3 == ended.code, ended.stderr
    assert ["complete", "complete", "out_of_memory", "skipped", "skipped"] * 2 == sweep.statuses()
    assert "4 requests, room for 3" in points[2]["reason"]
    assert "larger than batch 4" in points[3]["reason"]
    assert "OutOfMemoryError" == read_result(sweep.out / points[2]["file"]).error.kind


def test_tuning_that_finds_no_room_ends_its_series(sweep: Sweep, tmp_path: Path) -> None:
    """Every level's trial runs out of memory: the point says so, and larger ones of the series are skipped."""
    (tmp_path / "room").mkdir()
    sweep.environment |= {"SMALL_ROOM": str(tmp_path / "room"), "SMALL_REQUESTS": "3", "SMALL_LEVELS": "eager,quick"}
    ended = sweep.run("--batch", "4,8,16", "--tuning", "auto", repeats=1)
    points = sweep.manifest()["points"]

    assert 0 == ended.code, ended.stderr
    assert ["out_of_memory", "skipped", "skipped"] == sweep.statuses()
    assert points[0]["reason"].startswith("None of the candidates could run the load")
    assert 2 == points[0]["reason"].count("4 requests, room for 3")


def test_a_point_that_found_no_room_beside_others_is_measured_alone(sweep: Sweep, tmp_path: Path) -> None:
    """Room for four requests: batch 4 fails beside 1 and 2, is measured again alone, and its first file is kept."""
    (tmp_path / "room").mkdir()
    sweep.environment |= {"SMALL_ROOM": str(tmp_path / "room"), "SMALL_REQUESTS": "4"}
    sweep.run("--batch", "1,2,4")
    groups = sweep.manifest()["groups"]

    assert ["complete"] * 3 == sweep.statuses()
    assert [True, False] == [group["interleaved"] for group in groups]
    assert "it ran out of memory beside others" == groups[1]["reason"]
    assert "error" == read_result(sweep.out / "tiny-decoder-tiny_batch-4.old1.json").status


def test_a_lost_device_keeps_the_finished_points_and_names_the_others(sweep: Sweep, tmp_path: Path) -> None:
    """The points open at the loss end in error, later ones are not tried; going on measures them."""
    lost = tmp_path / "lost"
    sweep.environment |= {"SMALL_LOST": str(lost)}
    process = sweep.measure("--batch", "1,2,4,8", "--together", "1", repeats=2)
    sweep.wait_for(process, "complete", 1)
    sweep.wait_for(process, "started", 1)
    sweep.wait_for_repeat(process, 1)
    lost.write_text("")
    ended = sweep.end(process)
    statuses = sweep.statuses()
    lost.unlink()
    resumed = sweep.resume()

    assert (1, ["complete", "error", "error", "pending"]) == (ended.code, statuses)
    assert "The device was lost" in ended.stderr
    assert "not measured: the device was lost" in ended.stdout
    assert (3, ["complete"] * 4) == (resumed.code, sweep.statuses())


def test_a_bug_ends_its_own_point_only(sweep: Sweep) -> None:
    """The others are measured whole; the table comes, then the traceback."""
    sweep.environment |= {"SMALL_BUG": "1"}
    ended = sweep.run("--batch", "1,2")

    assert ["error", "complete"] == sweep.statuses()
    assert "KeyError: 'a bug in the backend'" in ended.stderr
    assert "batch 2" in ended.stdout
    assert "Bug" == sweep.results()[0].error.kind


def test_lengths_are_points_of_their_own(sweep: Sweep) -> None:
    """--input-tokens varies the load's own shape; every length has its table. A plan file's length holds for all."""
    plan = sweep.folder / "plan.toml"
    plan.write_text("output_tokens = 3\n")
    ended = sweep.run("--input-tokens", "8,16", "--plan", str(plan), repeats=1)

    assert [(8, 3), (16, 3)] == [(result.load.input_tokens, result.load.output_tokens) for result in sweep.results()]
    assert "tiny-decoder/tiny@8x3\n" in ended.stdout


def test_the_table_can_be_shown_again(ended: tuple[Sweep, Ended]) -> None:
    """--show measures nothing and prints the same table; --json gives its figures."""
    sweep, measured = ended
    shown = sweep.end(sweep.start("--show", str(sweep.out), "--slo-latency-s", "5"))
    plain = json.loads(sweep.end(sweep.start("--show", str(sweep.out), "--json")).stdout)

    assert (0, measured.stdout) == (shown.code, shown.stdout)
    assert ["complete", "complete"] == [row["status"] for row in plain["rows"]]
    assert "invalid" == plain["rows"][0]["verdict"]
    assert [["tiny-decoder/tiny, batch 1", "tiny-decoder/tiny, batch 2"]] == [
        load["left_out"] for load in plain["loads"]
    ]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--batch", "1,,2"), "--batch has an empty item"),
        (("--batch", "one"), "--batch is no list of numbers"),
        (("--batch", "auto:"), "--batch has an empty item"),
        (("--batch", "auto:4,auto:64"), "--batch says auto more than once"),
        (("--threads", "0"), "--threads is no list of numbers above 0"),
        (("--output-tokens", "8"), "--output-tokens needs --input-tokens"),
        (("--precision", "float23"), "float23"),
        (("--load", "tiny-decodr"), "Did you mean"),
        (("--power-limit", "250"), "--i-may-change-the-power-limit"),
        (("--i-may-change-the-power-limit",), "--power-limit names none"),
        (("--power-limit", "250", "--i-may-change-the-power-limit"), "needs one NVIDIA board"),
        (("--slo-latency-s", "nan"), "--slo-latency-s is out of range"),
        (("--slo-latency-s", "inf"), "--slo-latency-s is out of range: got inf"),
        (("--window", "nan"), "--window is out of range: got nan, it must be more than 0 and at most 86400 s"),
        (("--idle", "inf"), "--idle is out of range: got inf, it must be at least 0 and at most 86400 s"),
        (("--power", "walll"), "Unknown power source"),
    ],
)
def test_nonsense_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], says: str
) -> None:
    """A wrong value is a usage error that names it, and no folder is made."""
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    with pytest.raises(UsageError) as caught:
        command.main(["--backend", "mock", *SHORT, "--out", str(out), *flags], standalone_mode=False)

    assert says in str(caught.value)
    assert not out.exists()


def test_a_folder_that_holds_a_sweep_is_not_measured_into(ended: tuple[Sweep, Ended]) -> None:
    """Without --resume a second sweep is refused, and says what to do."""
    again = ended[0].run("--batch", "1,2")

    assert 2 == again.code
    assert "--resume" in again.stderr


def test_a_sweep_that_is_not_there_cannot_be_shown_or_gone_on_with(sweep: Sweep) -> None:
    """Both name the folder; --resume without a folder asks for one."""
    shown = sweep.end(sweep.start("--show", str(sweep.folder)))
    resumed = sweep.resume()
    nowhere = sweep.end(sweep.start("--resume"))

    assert (1, 1, 2) == (shown.code, resumed.code, nowhere.code)
    assert "There is no sweep in" in shown.stderr
    assert "Add --out FOLDER" in nowhere.stderr
