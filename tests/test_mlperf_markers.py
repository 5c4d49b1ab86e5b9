"""`bench run --mlperf-markers`: MLPerf's power director finds the load's span in the files that we write."""

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from command_line import SOON

from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.harness.exchange.mlperf_markers import marker_texts, write_markers
from wattbench.results.document import Result
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.exchange.mlperf_log import read_detail
from wattbench.results.files import read_result

SHORT = ("--window", "0.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0", "--power", "none", *SOON)
TINY = ("run", "--backend", "mock", "--load", "tiny-encoder", "--quiet", *SHORT)


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep results and caches of these tests out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))


def director_finds(folder: Path) -> tuple[float, float] | None:
    """Return the span that the director's client reads from a folder: its own patterns, in UTC, as seconds since 1970.

    After power-dev, ptd_client_server/lib/client.py: of any mlperf_log_detail.txt below the folder, the date in the
    lines with power_begin and power_end in any case; the summary must lie beside it.
    """
    for path in folder.rglob("mlperf_log_detail.txt"):
        found = {}
        for line in path.read_text().splitlines():
            for word in ("power_begin", "power_end"):
                date = re.search(r"(\d*-\d*-\d* \d*:\d*:\d*\.\d*)", line)
                if re.search(word, line.lower()) and date:
                    moment = datetime.strptime(f"{date[0]}+0000", "%m-%d-%Y %H:%M:%S.%f%z")
                    found[word] = moment.timestamp()
        if len(found) == 2 and "mlperf_log_summary.txt" in os.listdir(path.parent):
            return found["power_begin"], found["power_end"]
    return None


def _run(*arguments: str) -> object:
    return CliRunner().invoke(bench, [*TINY, *arguments], standalone_mode=False)


def test_the_director_finds_the_load(tmp_path: Path) -> None:
    """The span lies within the time of the command, and is that of the result's windows to the millisecond."""
    before = time.time()
    _run("--mlperf-markers", str(tmp_path / "logs"), "--out", str(tmp_path / "r.json"))
    after = time.time()
    found = director_finds(tmp_path / "logs")
    result = read_result(tmp_path / "r.json")
    origin = datetime.fromisoformat(result.run.clock.origin_utc).timestamp()
    begin, end = result.repeats[0].window.start_ns / 1e9, result.repeats[-1].window.end_ns / 1e9

    assert found is not None
    assert before < found[0] < found[1] < after
    assert 0 <= found[0] - origin - begin < 0.00101
    assert 0 <= origin + end - found[1] < 0.00101


def test_the_files_are_whole_and_alone(tmp_path: Path) -> None:
    """Exactly two files are left, every line of the detail log is LoadGen's format, and they say whose they are."""
    _run("--mlperf-markers", str(tmp_path / "logs"))
    log = read_detail((tmp_path / "logs" / "mlperf_log_detail.txt").read_text())

    assert ["mlperf_log_detail.txt", "mlperf_log_summary.txt"] == sorted(os.listdir(tmp_path / "logs"))
    assert log.power_begin_ns is not None
    assert "not by LoadGen" in str(log.values["generic_message"])
    assert "result_validity" not in log.values
    assert "no MLPerf result" in (tmp_path / "logs" / "mlperf_log_summary.txt").read_text()


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    """The director runs its command twice into one folder: the second run's span stands there then."""
    _run("--mlperf-markers", str(tmp_path / "logs"))
    first = director_finds(tmp_path / "logs")
    _run("--mlperf-markers", str(tmp_path / "logs"))
    second = director_finds(tmp_path / "logs")

    assert first is not None
    assert second is not None
    assert first[1] < second[0]


def test_a_partial_run_marks_what_it_measured(factories: ModuleType, tmp_path: Path) -> None:
    """A run that was interrupted marks the windows that it has; one without a window marks nothing."""
    partial: Result = factories.make_result(status="partial", repeats=factories.make_result().repeats[:2])
    none: Result = factories.make_result(status="partial", repeats=(), summary=None)

    assert write_markers(partial, tmp_path)
    assert director_finds(tmp_path) == (
        datetime(2026, 1, 2, 3, 5, 5, 500000, tzinfo=UTC).timestamp(),
        datetime(2026, 1, 2, 3, 5, 27, 500000, tzinfo=UTC).timestamp(),
    )
    assert marker_texts(none) is None
    assert not write_markers(none, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_unusable_folder_is_refused_before_the_run(tmp_path: Path) -> None:
    """A place where no log could lie is found out before anything is measured."""
    (tmp_path / "file").write_text("")
    ended = _run("--mlperf-markers", str(tmp_path / "file"))

    assert isinstance(ended.exception, UsageError)
    assert not (tmp_path / "data").exists()


def test_a_folder_lost_meanwhile_names_the_result(factories: ModuleType, tmp_path: Path) -> None:
    """When the logs cannot be written any more, the error says so, and nothing half-written stays."""
    (tmp_path / "logs").write_text("")
    with pytest.raises(StorageError, match="Cannot write"):
        write_markers(factories.make_result(), tmp_path / "logs")
    assert [tmp_path / "logs"] == list(tmp_path.iterdir())


def test_our_markers_are_no_run_of_mlperf(factories: ModuleType, tmp_path: Path) -> None:
    """Whoever imports our markers as an MLPerf run is told which command is for them."""
    write_markers(factories.make_result(), tmp_path)
    with pytest.raises(UsageError, match=r"power markers of our own run[\s\S]*bench attach-power"):
        import_mlperf(tmp_path)
