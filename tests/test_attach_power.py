"""`bench attach-power`: an external meter's recording becomes a channel of a finished result, in a new document."""

import json
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Ended
from command_line import SOON

from wattbench.harness.cli.figures import result_lines
from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.attach import CLOCK_UNCERTAINTY_S, device_of
from wattbench.results.document import Result
from wattbench.results.energy import PowerRecord
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result, stored_id, write_result
from wattbench.results.recheck import summary_differences

ORIGIN = datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)
"""The origin of the made-up run's clock; its windows are 60..70, 72..82, ... 108..118 s later, idle is 1..31 s."""

WINDOW_S = 10.0


def load_w(at_s: float) -> float:
    """Return 250 W under the made-up run's load (warm-up and windows) and 100 W in the rest of the time."""
    return 250.0 if 40 <= at_s < 119 else 100.0


def csv_of(watts: Callable[[float], float], *, step_s: float = 0.5, late_s: float = 0.0) -> str:
    """Return a meter's recording from 20 s before the run to 20 s after it; its clock is `late_s` behind."""
    times = [i * step_s - 20 for i in range(int(160 / step_s))]
    rows = (f"{(ORIGIN + timedelta(seconds=t - late_s)).isoformat()},{watts(t):.6f}" for t in times)
    return "time,power_w\n" + "\n".join(rows) + "\n"


@pytest.fixture
def bare(factories: ModuleType) -> Result:
    """Return a finished run that had no sensor."""
    result: Result = factories.make_result()
    nothing = PowerRecord(samplers=(), channels=(), health=(), polls=(), unavailable_reason="no sensor was found")
    return replace(
        result,
        power=nothing,
        repeats=tuple(replace(r, energy=()) for r in result.repeats),
        idle=tuple(replace(i, energy=()) for i in result.idle),
    )


def call(*arguments: str | Path) -> Ended:
    """Call `bench attach-power` in this process."""
    words = ["attach-power", *map(str, arguments)]
    return CliRunner().invoke(bench, words, standalone_mode=False)


def attached(original: Result, text: str, folder: Path, *flags: str, kind: str = "--csv") -> Result:
    """Write a result and a recording, attach the one to the other, and return the new document."""
    write_result(original, folder / "run.json")
    (folder / "meter.txt").write_text(text)
    ended = call(folder / "run.json", kind, folder / "meter.txt", "--out", folder / "new.json", *flags)
    if ended.exception is not None:
        raise ended.exception
    return read_result(folder / "new.json")


def facts(result: Result, code: str) -> str:
    """Return the facts of all doubts of a code."""
    return "; ".join(doubt.facts for doubt in result.doubts if doubt.code == code)


def joules(result: Result) -> list[float | None]:
    """Return what the attached meter saw in each window."""
    return [repeat.energy[-1].energy_j for repeat in result.repeats]


def test_every_window_gets_its_energy(bare: Result, tmp_path: Path) -> None:
    """A steady 250 W are 2500 J in each window of 10 s, at the wall, with idle and net power beside them."""
    result = attached(bare, csv_of(load_w), tmp_path)
    power, net = result.summary.metric("power.mean"), result.summary.metric("power.net")

    assert [pytest.approx(2500)] * 5 == joules(result)
    assert (pytest.approx(250), "wall") == (power.value, power.scope)
    assert "whole machine at the wall socket" in power.boundary
    assert pytest.approx(150) == net.value
    assert pytest.approx(2500 / 20) == result.summary.metric("energy.per_request").value


def test_the_original_is_named_and_never_touched(bare: Result, tmp_path: Path) -> None:
    """The new document carries the old one's digest and the recording's; the old file keeps its bytes."""
    write_result(bare, tmp_path / "run.json")
    before = (tmp_path / "run.json").read_bytes()
    result = attached(bare, csv_of(load_w), tmp_path)
    (record,) = result.attachments

    assert before == (tmp_path / "run.json").read_bytes()
    assert stored_id(tmp_path / "run.json") == record.original
    assert ("meter:wall", "meter.txt", "ISO 8601 with its offset") == (
        record.channel,
        record.file,
        record.time_reference,
    )
    assert () == bare.attachments
    assert (bare.run, bare.plan, bare.environment) == (result.run, result.plan, result.environment)


def test_it_is_judged_anew(bare: Result, tmp_path: Path) -> None:
    """What follows from energies is drawn anew, what only the run saw stays, and the summary can be recomputed."""
    result = attached(bare, csv_of(load_w), tmp_path)
    codes = [doubt.code for doubt in result.doubts]

    assert {"mock", "attached_power"} <= set(codes)
    assert "unmeasured_scope" not in codes
    assert () == summary_differences(result)
    assert result.power.unavailable_reason is None


def test_the_ladder_gets_a_rung(factories: ModuleType, tmp_path: Path) -> None:
    """A result with a sensor of its own keeps it as the headline; the wall stands beside it."""
    original: Result = factories.make_result()
    result = attached(original, csv_of(load_w), tmp_path)
    scopes = [metric.scope for metric in result.summary.metrics if metric.name == "power.mean"]

    assert ["board", "wall"] == scopes
    assert original.summary.metric("power.mean").value == result.summary.metric("power.mean").value
    assert pytest.approx(250) == result.summary.metric("power.mean", "wall").value
    assert 2 == len(result.power.channels)


def test_kilowatts_taken_for_watts_are_doubted(factories: ModuleType, tmp_path: Path) -> None:
    """A machine of 3 kW in a column of watts passes as 3 W, which is less than its own board draws."""
    result = attached(factories.make_result(), csv_of(lambda at_s: load_w(at_s) * 12 / 1000), tmp_path)

    assert "wall shows 3 W (accuracy not stated), less than board:GPU-00000000" in facts(result, "scope_contradiction")


def test_a_recording_that_freezes_is_doubted(bare: Result, tmp_path: Path) -> None:
    """A meter that repeats one value from the third window on, after noise, is named with when."""
    drawn = random.Random(3)
    noise = {step: drawn.gauss(0, 3) for step in range(-100, 500)}

    def watts(at_s: float) -> float:
        shown_s = min(at_s, 86.0)
        return load_w(shown_s) + noise[round(2 * shown_s)]

    assert "meter:wall gave" in facts(attached(bare, csv_of(watts), tmp_path), "sensor_frozen")


def test_it_is_shown(factories: ModuleType, bare: Result, tmp_path: Path) -> None:
    """The meter has its power beside that of the run's own sensor, or the figures are said to be its own."""
    beside = "\n".join(result_lines(attached(factories.make_result(), csv_of(load_w), tmp_path, "--accuracy", "0.5")))
    (tmp_path / "new.json").unlink()
    alone = "\n".join(result_lines(attached(bare, csv_of(load_w), tmp_path)))
    (tmp_path / "new.json").unlink()
    early = "".join(csv_of(load_w).splitlines(keepends=True)[: 1 + 2 * 100])
    part = "\n".join(result_lines(attached(factories.make_result(), early, tmp_path)))

    assert "meter           meter:wall (meter.txt, attached): 250.0 W, 125 J/query, +/-" in beside
    assert "meter           meter:wall (meter.txt, attached): the figures above" in alone
    assert "250.0 W, 125 J/query, accuracy not stated, none in 4 of 5 windows (meter:wall: " in part


def test_a_counter_gives_the_same(bare: Result, tmp_path: Path) -> None:
    """A counter of joules gives the energy of the power that it counts."""
    rows = [f"{ORIGIN.timestamp() + t:.3f},{250.0 * (t + 20):.3f}" for t in range(-20, 140)]
    result = attached(bare, "time,joules\n" + "\n".join(rows) + "\n", tmp_path)

    assert [pytest.approx(2500)] * 5 == joules(result)
    assert "counter" == result.repeats[0].energy[-1].method


def test_a_power_log_of_the_director(bare: Result, tmp_path: Path) -> None:
    """An spl.txt is read as UTC, and says so; with a zone stated, it is moved."""

    def line(moment: datetime) -> str:
        return f"Time,{moment:%m-%d-%Y %H:%M:%S}.{moment.microsecond // 1000:03d},Watts,250.0,Volts,230.0,Amps,1.1\n"

    moments = [ORIGIN + timedelta(seconds=t) for t in range(-20, 140)]
    utc = attached(bare, "".join(map(line, moments)), tmp_path, kind="--spl")
    (tmp_path / "new.json").unlink()
    text = "".join(line(moment + timedelta(hours=2)) for moment in moments)
    moved = attached(bare, text, tmp_path, "--time-zone", "+02:00", kind="--spl")

    assert [pytest.approx(2500)] * 5 == joules(utc) == joules(moved)
    assert "read as UTC by power-dev's convention" in utc.attachments[0].time_reference
    assert "UTC+02:00 as stated" in moved.attachments[0].time_reference


def test_a_gap_costs_the_window_that_it_is_in(bare: Result, tmp_path: Path) -> None:
    """Where the meter was silent within a window, that energy is unknown with the reason; the others stand."""
    text = "".join(
        line
        for i, line in enumerate(csv_of(load_w).splitlines(keepends=True))
        if not 20 + 74 <= (i - 1) / 2 < 20 + 79 or i == 0
    )
    result = attached(bare, text, tmp_path)

    assert [False, True, False, False, False] == [energy is None for energy in joules(result)]
    assert "two samples lie 5.500 s apart" in facts(result, "sampling_gap")
    assert "repeat 2, meter:wall: energy unknown" in facts(result, "sampling_gap")


def test_a_recording_that_ends_early(bare: Result, tmp_path: Path) -> None:
    """Windows after the recording's end are unknown, never extrapolated."""
    text = "".join(csv_of(load_w).splitlines(keepends=True)[: 1 + 2 * 100])
    result = attached(bare, text, tmp_path)

    assert [False, True, True, True, True] == [energy is None for energy in joules(result)]
    assert "the last sample lies" in facts(result, "sampling_gap")


def test_a_recording_of_another_time_is_refused(bare: Result, tmp_path: Path) -> None:
    """A recording that does not reach the windows is refused with both spans, and with the zone that would mend it."""
    with pytest.raises(UsageError, match=r"2026-01-02T03:05:05\.500Z to [\s\S]*moved by \+1 h: state its --time-zone"):
        attached(bare, csv_of(load_w, late_s=3600), tmp_path)
    with pytest.raises(UsageError, match="does not reach the run") as caught:
        attached(bare, csv_of(load_w, late_s=40000), tmp_path)
    assert "moved by" not in caught.value.remedy


@pytest.mark.parametrize("late_s", [-11.4, 3.2, 47.0])
def test_a_clock_that_is_off_is_found(bare: Result, tmp_path: Path, late_s: float) -> None:
    """The edges of the load give the offset within its uncertainty; it is reported and doubted, but not applied."""
    noise = random.Random(1)
    text = csv_of(lambda t: load_w(t) + noise.uniform(-5, 5), late_s=late_s)
    result = attached(bare, text, tmp_path)
    (record,) = result.attachments

    assert 0.0 == record.clock_offset_s
    assert abs(record.fitted_offset_s - late_s) < max(3 * record.fitted_uncertainty_s, 0.2)
    assert record.fitted_correlation > 0.95
    assert "fit meter.txt best when it is moved" in facts(result, "clock_unsynchronised")


def test_the_fitted_offset_is_applied_on_request(bare: Result, tmp_path: Path) -> None:
    """With --clock-offset auto the recording is moved by what its edges say, and no doubt about the clock is left."""
    result = attached(bare, csv_of(load_w, late_s=47.0), tmp_path, "--clock-offset", "auto")

    assert [pytest.approx(2500, rel=1e-3)] * 5 == joules(result)
    assert "fitted to the edges" in result.attachments[0].clock_basis
    assert "" == facts(result, "clock_unsynchronised")


def test_a_flat_recording_cannot_be_fitted(bare: Result, tmp_path: Path) -> None:
    """Without an edge nothing is fitted: auto is refused, and otherwise the clock stays unchecked."""
    assert attached(bare, csv_of(lambda _: 250.0), tmp_path).attachments[0].fitted_offset_s is None
    (tmp_path / "new.json").unlink()
    with pytest.raises(UsageError, match="cannot be fitted"):
        attached(bare, csv_of(lambda _: 250.0), tmp_path, "--clock-offset", "auto")


@pytest.mark.parametrize("late_s", [-20.0, 0.3, 5.0])
def test_a_stated_offset_undoes_a_late_clock(bare: Result, tmp_path: Path, late_s: float) -> None:
    """Moving a recording by what its clock was late changes nothing of the energies."""
    result = attached(bare, csv_of(lambda t: 200 + t, late_s=late_s), tmp_path, "--clock-offset", str(late_s))

    assert [pytest.approx(WINDOW_S * (200 + 65 + 12 * i)) for i in range(5)] == joules(result)


def test_the_budget_has_the_clock(bare: Result, tmp_path: Path) -> None:
    """The clock's uncertainty is a line of the budget: what the energy changes by when the window is moved by it."""
    ramp = csv_of(lambda t: 200 + t)
    result = attached(bare, ramp, tmp_path)
    (tmp_path / "new.json").unlink()
    wide = attached(bare, ramp, tmp_path, "--clock-uncertainty", "5")
    lines = [{t.name: t.u_rel for t in r.repeats[0].energy[-1].budget}["clock_offset"] for r in (result, wide)]

    assert pytest.approx([CLOCK_UNCERTAINTY_S / 265, 5 / 265]) == lines
    assert result.repeats[0].energy[-1].u_comparison_rel < wide.repeats[0].energy[-1].u_comparison_rel
    assert "+-0.8 s" in result.attachments[0].clock_basis


def test_the_meters_accuracy_is_stated_or_unknown(bare: Result, tmp_path: Path) -> None:
    """Without a stated accuracy the absolute uncertainty is null; limits of 1 % are 1 %/sqrt(3)."""
    unknown = attached(bare, csv_of(load_w), tmp_path)
    (tmp_path / "new.json").unlink()
    stated = attached(bare, csv_of(load_w), tmp_path, "--accuracy", "1", "--accuracy-basis", "data sheet of the WT310E")
    budget = {term.name: term for term in stated.repeats[0].energy[-1].budget}

    assert unknown.repeats[0].energy[-1].u_absolute_rel is None
    assert pytest.approx(0.01 / math.sqrt(3)) == budget["gain"].u_rel
    assert "data sheet of the WT310E" in budget["gain"].basis
    assert stated.repeats[0].energy[-1].u_absolute_rel > budget["gain"].u_rel


def test_two_meters(bare: Result, tmp_path: Path) -> None:
    """A second meter goes onto the first one's document, under another name; the same name is refused."""
    first = attached(bare, csv_of(load_w), tmp_path)
    (tmp_path / "new.json").unlink()
    with pytest.raises(UsageError, match="has a sampler 'meter'"):
        attached(first, csv_of(lambda _: 90.0), tmp_path)
    flags = ("--name", "bmc", "--scope", "node")
    second = attached(first, csv_of(lambda _: 90.0), tmp_path, *flags)

    assert ["meter:wall", "bmc:node"] == [record.channel for record in second.attachments]
    assert ["node", "wall"] == [m.scope for m in second.summary.metrics if m.name == "power.mean"]
    assert stored_id(tmp_path / "run.json") == second.attachments[1].original


def test_what_has_not_ended_is_refused(factories: ModuleType, tmp_path: Path) -> None:
    """A run under way, and one without a window, have nothing that power could be attached to."""
    with pytest.raises(UsageError, match="has not ended"):
        attached(factories.make_result(status="started", doubts=()), csv_of(load_w), tmp_path)
    none = factories.make_result(status="partial", repeats=(), summary=None)
    with pytest.raises(UsageError, match="no measured window"):
        attached(none, csv_of(load_w), tmp_path)


def test_a_partial_run_stays_invalid(factories: ModuleType, tmp_path: Path) -> None:
    """An interrupted run gets the power of what it measured, and keeps its verdict."""
    result: Result = factories.make_result()
    partial = factories.make_result(status="partial", repeats=result.repeats[:2])
    found = attached(partial, csv_of(load_w), tmp_path)

    assert ("partial", "invalid", 2) == (found.status, found.verdict.standing, len(joules(found)))


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ([], "neither of --csv and --spl"),
        (["--csv", "A", "--spl", "A"], "both of --csv and --spl"),
        (["--spl", "A", "--unit", "kW"], "Only a CSV file has columns"),
        (["--csv", "none.csv"], "it is no file"),
        (["--csv", "A", "--scope", "board"], "scope board is that of one device"),
        (["--csv", "A", "--scope", "board", "--covers", "device"], "names no device"),
        (["--csv", "A", "--clock-offset", "soon"], "is no offset"),
        (["--csv", "A", "--clock-offset", "nan"], "is no offset"),
        (["--csv", "A", "--clock-uncertainty", "-1"], "out of range"),
        (["--csv", "A", "--accuracy", "101"], "out of range"),
        (["--csv", "A", "--name", "a:b"], "no name of a meter"),
        (["--csv", "A", "--time-zone", "CET"], "is no offset"),
    ],
)
def test_wrong_flags(bare: Result, tmp_path: Path, flags: list[str], why: str) -> None:
    """Wrong and missing options are refused before anything is written."""
    write_result(replace(bare, environment=replace(bare.environment, accelerators=())), tmp_path / "run.json")
    (tmp_path / "A").write_text(csv_of(load_w))
    words = [str(tmp_path / word) if word == "A" else word for word in flags]
    ended = call(tmp_path / "run.json", *words)

    assert isinstance(ended.exception, UsageError)
    assert why in str(ended.exception)
    assert 2 == len(list(tmp_path.iterdir()))


def test_a_board_meter_stands_for_its_board(bare: Result, tmp_path: Path) -> None:
    """A meter of one board is that board's rung; `device` is the run's own."""
    result = attached(bare, csv_of(load_w), tmp_path, "--scope", "board", "--covers", "GPU-00000000")

    assert ("board", "GPU-00000000") == (
        result.summary.metric("power.mean").scope,
        result.repeats[0].energy[-1].covers,
    )


@pytest.mark.parametrize(
    ("device", "mock", "expected"), [("cpu", False, "cpu"), ("cuda:0", False, "GPU-00000000"), ("cpu", True, None)]
)
def test_the_runs_own_device(factories: ModuleType, device: str, mock: bool, expected: str | None) -> None:
    """The device is the CPU, or the one board that the file names; a mock may be any."""
    backend = replace(factories.make_backend(), device=device, mock=mock)
    result: Any = factories.make_result(backend=backend, doubts=() if not mock else factories.make_result().doubts)
    if device == "cpu" and mock:
        result = replace(result, environment=replace(result.environment, accelerators=()))
        result = replace(result, power=replace(result.power, channels=()))

    assert expected == device_of(result)


def test_the_device_that_the_run_names(factories: ModuleType, tmp_path: Path) -> None:
    """The device is the one that the run says its energy is led by, and the new document says so too."""
    original: Result = factories.make_result()
    original = replace(original, power=replace(original.power, covers="GPU-11111111"))

    assert "GPU-11111111" == device_of(original)
    assert "GPU-11111111" == attached(original, csv_of(load_w), tmp_path).power.covers


def test_the_new_file_lies_beside_the_old_one(bare: Result, tmp_path: Path) -> None:
    """Without --out the new document gets the old one's name and the meter's; a second one gets a number."""
    write_result(bare, tmp_path / "run.json")
    (tmp_path / "a.csv").write_text(csv_of(load_w))
    first = call(tmp_path / "run.json", "--csv", tmp_path / "a.csv")
    second = call(tmp_path / "run.json", "--csv", tmp_path / "a.csv", "--json")

    assert 3 == first.return_value == second.return_value  # a mock is invalid
    names = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".polls.parquet")}
    assert {"run.json", "a.csv", "run-meter.json", "run-meter-2.json"} == names
    assert 5 == first.output.count("2500 J  (100.0 % covered, largest gap 0.5 s)")
    assert "attachments" in json.loads(second.output)


def test_a_power_folder_beside_it_tells_its_offset(bare: Result, tmp_path: Path, mlperf_run: ModuleType) -> None:
    """The session's own clock offset is told, and left to the user to apply."""
    run = mlperf_run.unpack(tmp_path)
    origin = datetime(2025, 7, 13, 1, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    moved = replace(bare, run=replace(bare.run, clock=replace(bare.run.clock, origin_utc=origin)))
    write_result(moved, tmp_path / "run.json")
    ended = call(tmp_path / "run.json", "--spl", run / "run_1" / "spl.txt")

    assert "power/client.json beside it says +0.254 s (not applied by itself)" in ended.output


def test_a_meter_beside_a_real_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a meter wrote while a run went on, on the wall clock, is placed on the run's own clock."""
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))
    for attempt in range(5):
        (tmp_path / str(attempt)).mkdir()
        result = metered(tmp_path / str(attempt))
        if None not in joules(result):  # else a busy machine kept the meter from writing for a while
            break

    assert [pytest.approx(123.4 * r.window.duration_s) for r in result.repeats] == joules(result)
    assert all(repeat.energy[-1].coverage == 1.0 for repeat in result.repeats)


def metered(folder: Path) -> Result:
    """Return the result of a run with what a meter wrote beside it, once it was attached."""
    rows: list[str] = []
    stop = threading.Event()

    def record() -> None:
        while not stop.wait(0.4):  # gaps of 1.2 s can be bridged, and windows of 0.8 s filled, on a busy machine
            rows.append(f"{time.time():.6f},123.4")

    meter = threading.Thread(target=record)
    meter.start()
    short = ("--window", "1.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0.5", "--power", "none", *SOON)
    arguments = [
        "run",
        "--backend",
        "mock",
        "--load",
        "tiny-encoder",
        "--quiet",
        *short,
        "-o",
        str(folder / "r.json"),
    ]
    CliRunner().invoke(bench, arguments, standalone_mode=False)
    stop.set()
    meter.join(timeout=10)
    (folder / "m.csv").write_text("\n".join(["time,watts", *rows]) + "\n")
    call(folder / "r.json", "--csv", folder / "m.csv", "--out", folder / "n.json")
    return read_result(folder / "n.json")


def test_a_file_that_cannot_be_a_recording(bare: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no text, or larger than a recording can be, is refused by name."""
    write_result(bare, tmp_path / "run.json")
    (tmp_path / "m.csv").write_bytes(b"time,power_w\n\xff\xfe\n")
    broken = call(tmp_path / "run.json", "--csv", tmp_path / "m.csv")
    monkeypatch.setattr("wattbench.harness.exchange.recordings.SIZE_MAX_BYTES", 5)
    large = call(tmp_path / "run.json", "--csv", tmp_path / "m.csv")

    assert "m.csv: it is not UTF-8" in str(broken.exception)
    assert "it is too large" in str(large.exception)


def test_a_power_log_that_breaks_off_is_doubted(bare: Result, tmp_path: Path) -> None:
    """A power log without its end is attached as far as it goes, and said to be cut."""
    rows = [
        f"Time,{ORIGIN + timedelta(seconds=t):%m-%d-%Y %H:%M:%S}.500,Watts,250.0,Volts,230.0\n" for t in range(-20, 140)
    ]
    result = attached(bare, "".join(rows)[:-30], tmp_path, kind="--spl")

    assert [pytest.approx(2500)] * 5 == joules(result)
    assert "meter.txt is not whole" in facts(result, "truncated_log")


def test_samples_without_time_between_them_are_refused(bare: Result, tmp_path: Path) -> None:
    """A recording whose clock stood still cannot be integrated."""
    rows = [f"{(ORIGIN + timedelta(seconds=65)).isoformat()},250"] * 5
    with pytest.raises(UsageError, match="no time between them"):
        attached(bare, "time,power_w\n" + "\n".join(rows) + "\n", tmp_path)
