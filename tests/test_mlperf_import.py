"""`bench import mlperf`: a published run gives MLPerf's own figures, and ours; damaged logs are reported as such."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.mlperf_import import Stated, import_mlperf
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.files import read_document, read_result, write_result
from wattbench.results.imported import ImportedResult

POWER_W = 27.4726166667
"""The published averages of the run (mlcommons/inference_results_v5.1, summary), to the digits that they have."""

MJ_PER_QUERY = 329.1075441106
MJ_PER_QUERY_MULTISTREAM = 2632.8603528846


@pytest.fixture
def run(mlperf_run: ModuleType, tmp_path: Path) -> Path:
    """Return the session folder of the published run."""
    folder: Path = mlperf_run.unpack(tmp_path)
    return folder


def _codes(result: ImportedResult, severity: str = "") -> set[str]:
    return {doubt.code for doubt in result.doubts if severity in ("", doubt.severity)}


def _facts(result: ImportedResult, code: str) -> str:
    return "; ".join(doubt.facts for doubt in result.doubts if doubt.code == code)


def _moment(text: str) -> datetime:
    return datetime.strptime(f"{text}+0000", "%m-%d-%Y %H:%M:%S.%f%z")


def _official_mean_w(run: Path) -> float:
    """Return the mean by an independent reading of the two logs, as the submission checker's source has it."""
    lines = (run / "run_1" / "mlperf_log_detail.txt").read_text().splitlines()
    records = [json.loads(line.removeprefix(":::MLLOG")) for line in lines if line.startswith(":::MLLOG")]
    marks = {r["key"]: r["value"] for r in records if r["key"] in ("power_begin", "power_end")}
    begin, end = (_moment(marks[key]) for key in ("power_begin", "power_end"))
    watts = []
    for line in (run / "run_1" / "spl.txt").read_text().splitlines():
        words = line.split(",")
        if words[0] == "Time" and begin < _moment(words[1]) < end:
            watts += [float(words[3])] if float(words[3]) > 0 else []
    return sum(watts) / len(watts)


def test_the_official_figures_are_mlperfs(run: Path) -> None:
    """Mean power, samples per joule and energy per query are the published ones, of every scenario."""
    figures = {figure.scenario: figure for figure in import_mlperf(run).official}

    assert pytest.approx(POWER_W, rel=1e-9) == figures["Offline"].power_w
    assert pytest.approx(3.03951, abs=5e-6) == figures["Offline"].efficiency
    assert pytest.approx(83.5032 / POWER_W, rel=1e-9) == figures["Offline"].efficiency
    assert pytest.approx(MJ_PER_QUERY, rel=1e-9) == 1000 * figures["SingleStream"].energy_per_query_j
    assert pytest.approx(MJ_PER_QUERY_MULTISTREAM, rel=1e-9) == 1000 * figures["MultiStream"].energy_per_query_j
    assert [False, True, True] == [figures[name].inferred for name in ("SingleStream", "Offline", "MultiStream")]


def test_the_official_mean_is_exact(run: Path) -> None:
    """The mean is to the last digit what an independent reading of the logs by the official formula gives."""
    assert _official_mean_w(run) == import_mlperf(run).official[0].power_w


def test_our_integral_stands_beside_it(run: Path) -> None:
    """Our mean power is an integral with coverage and budget, on the system's clock, and close to the official one."""
    result = import_mlperf(run)
    power = result.metric("power.mean")

    assert pytest.approx(POWER_W, rel=1e-3) == power.value
    assert ("wall", 1.0) == (power.scope, result.energy.coverage)
    assert {"gain", "edges", "lag", "resolution", "part_time", "clock"} == {term.name for term in result.energy.budget}
    assert 0.006 < power.u_absolute_rel < 0.01
    assert pytest.approx(power.value * 600.016 / 50087) == result.metric("energy.per_request").value
    assert pytest.approx(0.2537, abs=1e-3) == result.clock.meter_offset_s


def test_what_is_stated_is_kept(run: Path) -> None:
    """Meter, session, work and files are those of the logs; what nobody states is null."""
    result = import_mlperf(run)
    spl = next(file for file in result.source.files if file.path == "run_1/spl.txt")

    assert ("SingleStream", 50087, "VALID") == (result.work.scenario, result.work.requests, result.work.tool_verdict)
    assert "YokogawaWT210, YOKOGAWA;760401;0;F1.12, PTDaemon 1.11.1-462c978e-20240907" == result.system.meter
    assert (None, None, None) == (result.work.model, result.work.precision, result.system.n_devices)
    assert ("2025-07-13_02-04-14", 74534) == (result.source.session, spl.size_bytes)
    assert {"sampling_gap", "low_coverage", "truncated_log", "altered_log"}.isdisjoint(_codes(result))


def test_the_meters_own_uncertainty_is_reported(run: Path) -> None:
    """555 of the 611 samples were above SPEC's limit of 1 %, as the daemon's own log says 555 times."""
    log = (run / "power" / "ptd_logs.txt").read_text(errors="replace")

    assert 555 == log.count("which is above 1.00% limit for the last sample!")
    assert "555 of 611 samples" in _facts(import_mlperf(run), "meter_uncertainty")


def test_latencies(run: Path) -> None:
    """Latency quantiles are LoadGen's, in seconds, its early-stopping estimates being the bounds."""
    (latency,) = import_mlperf(run).latencies
    p90 = next(q for q in latency.quantiles if q.q == 0.9)

    assert (50087, 0.011975593, 0.012037591, 0.012038866) == (latency.count, latency.mean, p90.value, p90.bound)


def test_flags_state_what_the_folder_does_not(run: Path) -> None:
    """Model, system, precision, devices and published scenario come from the user where the files are silent."""
    stated = Stated(system="mini-PC", model="mobilenet-v1-224", precision="fp32", devices=0, scenario="offline")
    result = import_mlperf(run, stated)

    assert ("mini-PC", "mobilenet-v1-224", "fp32") == (result.system.name, result.work.model, result.work.precision)
    assert ("Offline", "Offline") == (result.work.scenario_published, result.official[0].scenario)
    assert "inferred_scenario" in _codes(result, "note")
    with pytest.raises(UsageError, match="Unknown scenario"):
        import_mlperf(run, Stated(scenario="batch"))


def test_the_place_in_a_round_states_the_rest(run: Path, tmp_path: Path) -> None:
    """In a round's layout, names of folders, the system's description and the measurements' file are read."""
    home = tmp_path / "open" / "Org"
    place = home / "results" / "box8" / "resnet" / "Offline" / "performance"
    place.parent.mkdir(parents=True)
    run.rename(place)
    described = {"system_name": "Box 8", "accelerator_model_name": "X1", "accelerators_per_node": 4}
    described |= {"number_of_nodes": "2", "host_processor_model_name": "Y", "host_processors_per_node": 2}
    (home / "systems").mkdir()
    (home / "systems" / "box8.json").write_text(json.dumps(described))
    measured = home / "measurements" / "box8" / "resnet" / "Offline"
    measured.mkdir(parents=True)
    (measured / "box8.json").write_text(json.dumps({"weight_data_types": "int8"}))
    result = import_mlperf(tmp_path / "open")

    assert ("Box 8", "Org", "open") == (result.system.name, result.system.submitter, result.system.division)
    assert (8, 2, 4, "X1") == (
        result.system.n_devices,
        result.system.nodes,
        result.system.processors,
        result.system.accelerator,
    )
    assert ("resnet", "int8", "Offline") == (
        result.work.model,
        result.work.precision,
        result.work.scenario_published,
    )


def test_a_truncated_power_log_is_reported(run: Path, mlperf_run: ModuleType) -> None:
    """A power log that breaks off has no integral, and is called truncated; the official mean does not notice."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: text[: len(text) // 2])
    result = import_mlperf(run)

    assert "truncated_log" in _codes(result, "severe")
    assert "before the end of the run" in _facts(result, "truncated_log")
    assert (None, "invalid") == (result.metric("power.mean").value, result.verdict.standing)
    assert "do not cover the window" in result.metric("power.mean").reason
    assert result.official[0].power_w is not None


@pytest.mark.parametrize(("cut", "why"), [(5, "has no end"), (60, "breaks off"), (95, "breaks off")])
def test_a_log_cut_within_its_last_line_is_truncated(run: Path, mlperf_run: ModuleType, cut: int, why: str) -> None:
    """A line without its end is told, and half of it is no sample, although the samples before it suffice."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: text.rstrip()[:-cut])
    result = import_mlperf(run)

    assert why in _facts(result, "truncated_log")
    assert min(value for value in result.power.polls[0].value if value is not None) > 5


def test_missing_samples_are_counted(run: Path, mlperf_run: ModuleType) -> None:
    """Of 600 expected samples 531 are there: 88.5 %, which the official formula accepts and we report."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: mlperf_run.thin(text, 529, 598))
    result = import_mlperf(run)

    assert (531, 600) == (result.official[0].samples, result.official[0].samples_expected)
    assert "531 of 600 samples are there: 88.5 %" == _facts(result, "low_coverage")
    assert "doubtful" == result.verdict.standing
    assert "run_1/spl.txt" in _facts(result, "altered_log")


def test_a_gap_leaves_no_integral(run: Path, mlperf_run: ModuleType) -> None:
    """Where the meter was silent for ten seconds, the integral is unknown and both coverages say so."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: mlperf_run.lose(text, 100, 109))
    result = import_mlperf(run)

    assert {"sampling_gap", "low_coverage"} <= _codes(result)
    assert (None, 590) == (result.energy.energy_j, result.official[0].samples)


def test_bad_samples_are_told(run: Path, mlperf_run: ModuleType) -> None:
    """A sample without a valid reading is left out by the official formula; we say how many there are."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: text.replace("Watts,33.280000", "Watts,-1.000000"))
    result = import_mlperf(run)

    assert "no valid reading" in _facts(result, "sensor_failed")
    assert _official_mean_w(run) == result.official[0].power_w


def test_a_rising_load_parts_the_two(run: Path, mlperf_run: ModuleType) -> None:
    """Where lost samples are those of high power, the unweighted mean is off and the doubt says by how much."""

    def pulses(text: str) -> str:
        lines = text.splitlines(keepends=True)
        high = [line.replace("Watts,2", "Watts,9") if i % 4 == 1 else line for i, line in enumerate(lines)]
        return "".join(line for i, line in enumerate(high) if i < 3 or i > 600 or i % 4 != 2)

    mlperf_run.rewrite(run / "run_1" / "spl.txt", pulses)
    result = import_mlperf(run)

    assert "official_differs" in _codes(result, "doubt")


def test_local_times_are_found_out(run: Path, mlperf_run: ModuleType) -> None:
    """A power log in local time lies outside the session's own phases and leaves no official figure."""

    def summer(text: str) -> str:
        lines = []
        for line in text.splitlines(keepends=True):
            words = line.split(",")
            if words[0] == "Time":
                moved = _moment(words[1]) + timedelta(hours=1)
                words[1] = f"{moved:%m-%d-%Y %H:%M:%S.%f}"[:-3]
            lines.append(",".join(words))
        return "".join(lines)

    mlperf_run.rewrite(run / "run_1" / "spl.txt", summer)
    result = import_mlperf(run)

    assert "clock_unsynchronised" in _codes(result, "severe")
    assert result.official[0].power_w is None
    assert "no sample of spl.txt lies within" in _facts(result, "unmeasured_scope")


def test_without_a_session_the_clock_is_unknown(run: Path) -> None:
    """Without the director's files, offset and uncertainty are unknown: null, with notes, never zero."""
    for name in ("client.json", "server.json", "client.log", "server.log", "ptd_logs.txt"):
        (run / "power" / name).unlink()
    result = import_mlperf(run)

    assert (None, None) == (result.clock.meter_offset_s, result.metric("power.mean").u_absolute_rel)
    assert {"clock_unsynchronised", "meter_uncertainty"} <= _codes(result, "note")


def test_a_run_without_power_has_no_power(run: Path) -> None:
    """Performance logs alone give throughput and latency; power is null with the reason."""
    (run / "run_1" / "spl.txt").unlink()
    result = import_mlperf(run)

    assert (83.5032, None) == (result.metric("throughput.requests").value, result.metric("power.mean").value)
    assert "no spl.txt" in result.metric("power.mean").reason
    assert ("unmeasured_scope" in _codes(result, "note"), None) == (True, result.energy)


def test_an_invalid_run_stays_invalid(run: Path, mlperf_run: ModuleType) -> None:
    """What LoadGen called INVALID is invalid here, whatever its watts."""
    mlperf_run.rewrite(
        run / "run_1" / "mlperf_log_detail.txt", lambda text: text.replace('"value": "VALID"', '"value": "INVALID"')
    )
    result = import_mlperf(run)

    assert {"imported_invalid", "altered_log"} <= _codes(result, "severe")
    assert "invalid" == result.verdict.standing


def test_a_detail_log_that_ends_early_is_partial(run: Path, mlperf_run: ModuleType) -> None:
    """A log without LoadGen's verdict is a partial run."""
    mlperf_run.rewrite(run / "run_1" / "mlperf_log_detail.txt", lambda text: text[: text.index("result_validity")])
    result = import_mlperf(run)

    assert ("partial", "invalid") == (result.status, result.verdict.standing)
    assert "truncated_log" in _codes(result, "severe")


def test_low_power_against_the_ranging_run_is_told(run: Path, mlperf_run: ModuleType) -> None:
    """A tested run below 95 % of the ranging run's power breaks MLPerf's rule."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: text.replace("Watts,2", "Watts,1"))

    assert "in the ranging run" in _facts(import_mlperf(run), "official_differs")


def test_a_folder_needs_exactly_one_run(run: Path, tmp_path: Path) -> None:
    """No run, several runs and no folder are refused with what to name instead."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no run in it"):
        import_mlperf(tmp_path / "empty")
    with pytest.raises(UsageError, match="not a folder"):
        import_mlperf(run / "run_1" / "spl.txt")
    (run / "run_2").mkdir()
    (run / "run_2" / "mlperf_log_detail.txt").write_text("x")
    with pytest.raises(UsageError, match="it has 2 runs: run_1, run_2"):
        import_mlperf(run)
    assert POWER_W == pytest.approx(import_mlperf(run / "run_1").official[0].power_w, rel=1e-9)


def test_logs_that_are_none_are_refused_by_name(run: Path) -> None:
    """A file that holds no line of its kind is refused, and the message names it."""
    (run / "run_1" / "spl.txt").write_text("no samples\n")
    with pytest.raises(DocumentError, match=r"spl\.txt: This is no power log"):
        import_mlperf(run)
    (run / "run_1" / "mlperf_log_detail.txt").write_text("nothing\n")
    with pytest.raises(DocumentError, match=r"mlperf_log_detail\.txt: This is no log of LoadGen"):
        import_mlperf(run)


def test_broken_session_files_are_refused_by_name(run: Path) -> None:
    """A session file that is no JSON is refused by name."""
    (run / "power" / "client.json").write_text("{")
    with pytest.raises(DocumentError, match=r"client\.json is not JSON"):
        import_mlperf(run)


def test_the_document_is_kept_and_read_again(run: Path, tmp_path: Path) -> None:
    """The same logs give the same document; it is read back as it was, and never taken for a run's result."""
    result = import_mlperf(run)
    write_result(result, tmp_path / "imported.json")

    assert result == import_mlperf(run) == read_document(tmp_path / "imported.json")
    with pytest.raises(DocumentError, match="not the result of a run"):
        read_result(tmp_path / "imported.json")


def test_the_command_prints_both_figures(run: Path, tmp_path: Path) -> None:
    """`bench import mlperf` writes the document and prints what `bench show` prints of it; a second one is refused."""
    out = str(tmp_path / "m.json")
    ended = CliRunner().invoke(bench, ["import", "mlperf", str(run), "--out", out], standalone_mode=False)
    shown = CliRunner().invoke(bench, ["show", out], standalone_mode=False)
    again = CliRunner().invoke(bench, ["import", "mlperf", str(run), "--out", out], standalone_mode=False)

    assert 0 == ended.return_value
    assert "27.47261667 W  (mean of 600 samples, 600 expected)" in shown.output
    assert "329.1075441 mJ/query" in shown.output
    assert shown.output.strip() in ended.output
    assert isinstance(again.exception, UsageError)


def test_the_integrals_lines_stand_under_the_power(run: Path, tmp_path: Path) -> None:
    """What the power was integrated from follows the power, not the latency."""
    ended = CliRunner().invoke(
        bench, ["import", "mlperf", str(run), "--out", str(tmp_path / "m.json")], standalone_mode=False
    )
    lines = ended.output.splitlines()
    power = next(i for i, line in enumerate(lines) if line.startswith("power "))
    latency = next(i for i, line in enumerate(lines) if line.startswith("latency "))

    assert "integral of 600 samples" in lines[power + 1]
    assert "scope wall" in lines[power + 2]
    assert "" == lines[latency + 1]


def test_the_command_says_invalid_by_its_exit_code(run: Path, tmp_path: Path, mlperf_run: ModuleType) -> None:
    """A damaged run is still written, with exit code 3 and JSON on request."""
    mlperf_run.rewrite(run / "run_1" / "spl.txt", lambda text: text[: len(text) // 2])
    arguments = ["import", "mlperf", str(run), "--out", str(tmp_path), "--json"]
    ended = CliRunner().invoke(bench, arguments, standalone_mode=False)

    assert 3 == ended.return_value
    assert "imported" == json.loads(ended.output)["kind"]
    assert 1 == len(list(tmp_path.glob("mlperf-*.json")))


def test_too_much_is_not_read(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log larger than any of MLPerf's, and a folder of a whole round, are refused before they are read."""
    monkeypatch.setattr("wattbench.harness.exchange.mlperf_folder.SIZE_MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="more than 1000 bytes"):
        import_mlperf(run)
    monkeypatch.setattr("wattbench.harness.exchange.mlperf_folder.ENTRIES_MAX", 3)
    with pytest.raises(UsageError, match="more than 3 files"):
        import_mlperf(tmp_path)


@pytest.mark.parametrize("folder", ["Batch", "Offline"])
def test_a_place_is_only_what_the_rules_name(run: Path, tmp_path: Path, folder: str) -> None:
    """Folders that only look like a round's state nothing; broken files beside it add nothing."""
    place = tmp_path / "a" / "Org" / "results" / "box" / "resnet" / folder / "performance"
    place.parent.mkdir(parents=True)
    run.rename(place)
    (place.parent / "measurements.json").write_text("{broken")
    (tmp_path / "a" / "Org" / "systems").mkdir()
    (tmp_path / "a" / "Org" / "systems" / "box.json").write_text(
        '{"number_of_nodes": "N/A", "accelerators_per_node": true}'
    )
    result = import_mlperf(place)

    assert ("resnet" if folder == "Offline" else None, None) == (result.work.model, result.work.precision)
    assert (None, None) == (result.system.nodes, result.system.accelerators)


def test_a_ranging_run_that_cannot_be_read_is_no_obstacle(run: Path) -> None:
    """The ranging run only serves as a comparison: broken logs of it leave that out."""
    (run / "ranging" / "spl.txt").write_text("x\n")

    assert POWER_W == pytest.approx(import_mlperf(run).official[0].power_w, rel=1e-9)


def test_a_window_that_ends_before_it_begins_has_no_power(run: Path, mlperf_run: ModuleType) -> None:
    """Markers in the wrong order give no power, with the reason."""
    swap = {"power_begin": "power_stop", "power_end": "power_begin", "power_stop": "power_end"}

    def exchange(text: str) -> str:
        for old, new in swap.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        return text

    mlperf_run.rewrite(run / "run_1" / "mlperf_log_detail.txt", exchange)
    result = import_mlperf(run)

    assert "does not lie after power_begin" in _facts(result, "unmeasured_scope")
    assert result.official[0].power_w is None


def test_the_text_of_a_run_without_power(run: Path, tmp_path: Path) -> None:
    """Without power the text says why, and the published scenario stands beside the one that ran."""
    (run / "run_1" / "spl.txt").unlink()
    arguments = ["import", "mlperf", str(run), "--out", str(tmp_path / "m.json"), "--scenario", "multi-stream"]
    ended = CliRunner().invoke(bench, arguments, standalone_mode=False)

    assert "no power figure" in ended.output
    assert "SingleStream, published under MultiStream" in ended.output
    assert "not known: the folder has no spl.txt" in ended.output
