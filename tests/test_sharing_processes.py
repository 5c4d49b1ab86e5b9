"""`bench push` and `run --push` as processes: killed in the middle, several at once, full disks, exit codes."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from command_line import SOON

from wattbench.results.files import read_result, write_result
from wattbench.results.store.layout import id_of_log_key
from wattbench.results.store.open import init_store, open_store
from wattbench.results.store.read import log_keys, read_stored

BENCH = (sys.executable, "-P", "-m", "wattbench.harness.cli.main")
RUN = ("run", "--backend", "mock", "--load", "tiny-encoder", "--window", "0.2", "--repeats", "2", "--quiet")
SHORT = ("--warm-up-min", "0", "--warm-up-max", "0.1", "--idle", "0", "--power", "none", *SOON)
DOCUMENTS = 16
TRIES = 5


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose folders are the test's own."""
    own = {name: str(tmp_path / name.lower()) for name in ("WATTBENCH_STATE", "WATTBENCH_DATA", "WATTBENCH_CACHE")}
    return {**os.environ, **own}


@pytest.fixture(name="results")
def _results(factories: ModuleType, tmp_path: Path) -> list[Path]:
    """Return the paths of many results that differ in their run's id alone."""
    made = factories.make_result()
    paths = [tmp_path / f"r{n:02}.json" for n in range(DOCUMENTS)]
    for n, path in enumerate(paths):
        write_result(replace(made, run=replace(made.run, id=f"run-{n}")), path)
    return paths


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start `bench`."""
    return subprocess.Popen(
        [*BENCH, *arguments], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def call(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `bench` to its end."""
    return subprocess.run(
        [*BENCH, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def logged(store: str) -> list[str]:
    """Return the ids in a store's log, with repetitions."""
    return [str(id_of_log_key(key)) for key in log_keys(open_store(store))]


class EndedBefore(AssertionError):
    """A process ended before what was waited for."""


def wait_for(process: subprocess.Popen[str], store: Path, count: int) -> None:
    """Wait until a store's log has some entries; fails when the process ends before."""
    deadline_s = time.monotonic() + 60
    while len(list((store / "v1" / "log").rglob("*.json"))) < count:
        if process.poll() is not None:
            raise EndedBefore(process.communicate())
        assert time.monotonic() < deadline_s, "nothing was uploaded in 60 s"
        time.sleep(0.002)


def kill_thrice(environment: dict[str, str], results: list[Path], store: str) -> int:
    """Kill a push of results in mid-upload, and twice the one that goes on; return how often that came in time."""
    chance = random.Random(6)
    arguments = ["push", *map(str, results), "--to", store]
    killed = 0
    for _ in range(3):
        process = start(environment, *arguments)
        with contextlib.suppress(EndedBefore):
            wait_for(process, Path(store), len(logged(store)) + chance.randint(1, 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        arguments = ["push"]
    return killed


def test_a_killed_push_goes_on_where_it_was(environment: dict[str, str], results: list[Path], tmp_path: Path) -> None:
    """Killed in mid-upload, again and again, loses nothing and doubles nothing: in the end each is logged once."""
    for attempt in range(TRIES):
        environment["WATTBENCH_STATE"] = str(tmp_path / f"state-{attempt}")
        store = init_store(str(tmp_path / f"store-{attempt}"))[0].uri
        killed = kill_thrice(environment, results, store)
        if killed == 3:  # else this process had no turn before the other had ended, on a busy machine
            break
    pending = json.loads(call(environment, "push", "--pending", "--json").stdout)
    ended = call(environment, "push")

    assert 3 == killed
    assert 0 < len(pending) < DOCUMENTS
    assert 0 == ended.returncode, ended.stderr
    assert DOCUMENTS == len(logged(store)) == len(set(logged(store)))
    assert {f"run-{n}" for n in range(DOCUMENTS)} == {
        document.run.id for result_id in logged(store) if (document := read_stored(open_store(store), result_id))
    }
    assert [] == json.loads(call(environment, "push", "--pending", "--json").stdout)


def test_two_spools_and_four_pushers_make_one_log(
    environment: dict[str, str], results: list[Path], tmp_path: Path
) -> None:
    """Two machines push the same and different results by two processes each, one is killed: nothing is lost."""
    store = init_store(str(tmp_path / "store"))[0].uri
    other = {**environment, "WATTBENCH_STATE": str(tmp_path / "other-state")}
    halves = [(environment, results[:12]), (other, results[4:])]
    for own, _ in halves:  # the same key, so that both spool the same bytes of what they share
        Path(own["WATTBENCH_STATE"]).mkdir(exist_ok=True)
        (Path(own["WATTBENCH_STATE"]) / "privacy.key").write_text("ab" * 32)
    first = [start(own, "push", *map(str, mine), "--to", store) for own, mine in halves]
    wait_for(first[0], Path(store), 3)
    first[0].send_signal(signal.SIGKILL)
    second = [start(own, "push") for own, _ in halves]
    ended = [(process.communicate(timeout=120), process.returncode) for process in (*first, *second)]

    assert [-signal.SIGKILL, 0, 0, 0] == [code for _, code in ended], ended
    assert 0 == call(environment, "push").returncode
    assert DOCUMENTS >= len(logged(store)) == len(set(logged(store)))
    spooled = [json.loads(path.read_text())["item"]["id"] for path in tmp_path.rglob("spool/done/*.json")]
    assert set(spooled) == set(logged(store))


def run_and_push(environment: dict[str, str], out: Path, store: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Measure the mock backend and push the result."""
    return call(environment, *RUN, *SHORT, "--out", str(out), "--push", store, *flags)


def test_a_run_is_uploaded_and_keeps_its_exit_code(environment: dict[str, str], tmp_path: Path) -> None:
    """`bench run --push` measures, keeps the file where --out says, and uploads it without identifiers."""
    store = init_store(str(tmp_path / "store"))[0].uri
    ended = run_and_push(environment, tmp_path / "r.json", store)
    (result_id,) = logged(store)

    assert 3 == ended.returncode, ended.stderr  # a mock's result is invalid
    assert f"uploaded        {result_id} to {store}" in ended.stderr.splitlines()
    assert read_result(tmp_path / "r.json").run.id == read_stored(open_store(store), result_id).run.id
    assert str(tmp_path) not in b"".join(path.read_bytes() for path in Path(store).rglob("*.json")).decode()


def test_a_run_that_cannot_be_uploaded_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    """Measured but not uploaded is exit code 4, with the command that goes on, which then does."""
    store = init_store(str(tmp_path / "store"))[0].uri
    (tmp_path / "store" / "v1" / "objects").write_text("in the way")
    ended = run_and_push(environment, tmp_path / "r.json", store)

    assert 4 == ended.returncode, ended.stderr
    assert "go on           bench push" == ended.stderr.splitlines()[-1]
    assert "complete" == read_result(tmp_path / "r.json").status
    (tmp_path / "store" / "v1" / "objects").unlink()
    assert 0 == call(environment, "push").returncode
    assert 1 == len(logged(store))


def test_a_run_for_no_store_is_not_started(environment: dict[str, str], tmp_path: Path) -> None:
    """A store that is none is told before anything is measured."""
    ended = run_and_push(environment, tmp_path / "r.json", str(tmp_path / "none"))
    unknown = run_and_push(environment, tmp_path / "r.json", "nosuch://bucket")

    assert (1, 2) == (ended.returncode, unknown.returncode)
    assert not (tmp_path / "r.json").exists()


def test_a_run_without_a_place_for_its_spool_keeps_its_file(environment: dict[str, str], tmp_path: Path) -> None:
    """Where neither key nor spool can be kept the run ends with 4, the result whole, and says what to do."""
    store = init_store(str(tmp_path / "store"))[0].uri
    (tmp_path / "file").write_text("in the way")
    ended = run_and_push({**environment, "WATTBENCH_STATE": str(tmp_path / "file/x")}, tmp_path / "r.json", store)

    assert 4 == ended.returncode, ended.stderr
    assert "WATTBENCH_STATE" in ended.stderr
    assert "complete" == read_result(tmp_path / "r.json").status
    assert "Traceback" not in ended.stderr


def test_a_full_disk_of_the_spool_is_an_error(environment: dict[str, str], results: list[Path], tmp_path: Path) -> None:
    """Where the disk takes no more the push says so, leaves no half item, and the store is as it was."""
    store = init_store(str(tmp_path / "store"))[0].uri
    assert 0 == call(environment, "push", str(results[0]), "--dry-run").returncode  # makes the key
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash", *BENCH, "push", str(results[0]), "--to", store]
    ended = subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert 1 == ended.returncode
    assert "Cannot keep the upload" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [] == os.listdir(Path(environment["WATTBENCH_STATE"]) / "spool" / "pending")
    assert [] == logged(store)


def test_a_sweep_uploads_its_points(environment: dict[str, str], tmp_path: Path) -> None:
    """`bench sweep --push` uploads every complete point, and again finds them there."""
    store = init_store(str(tmp_path / "store"))[0].uri
    flags = ("--window", "0.2", "--repeats", "2", *SHORT, "--backend", "mock", "--load", "tiny-encoder", "--quiet")
    sweep = ("sweep", *flags, "--batch", "1,2", "--out", str(tmp_path / "s"), "--push", store)
    ended, again = call(environment, *sweep), call(environment, *sweep[:-2], "--resume", "--push", store)

    assert (3, 3) == (ended.returncode, again.returncode), (ended.stderr, again.stderr)
    assert 2 == len(logged(store))
    assert 2 == again.stderr.count("there already")
