"""`bench push` to a real S3 server: killed in mid-upload, without the right to write, and while the server is gone."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from store_servers import Served, seaweed

from wattbench.results.files import write_result
from wattbench.results.store.check import check_store
from wattbench.results.store.layout import id_of_log_key
from wattbench.results.store.open import open_store
from wattbench.results.store.read import log_keys

__all__ = ["seaweed"]

BENCH = (sys.executable, "-P", "-m", "wattbench.harness.cli.main")
DOCUMENTS = 10


@pytest.fixture(name="results")
def _results(factories: ModuleType, tmp_path: Path) -> list[Path]:
    """Return the paths of some results that differ in their run's id alone."""
    made = factories.make_result()
    paths = [tmp_path / f"r{n:02}.json" for n in range(DOCUMENTS)]
    for n, path in enumerate(paths):
        write_result(replace(made, run=replace(made.run, id=f"run-{n}")), path)
    return paths


def environment(served: Served, tmp_path: Path, **others: str) -> dict[str, str]:
    """Return what a writer's process needs, with a spool of its own."""
    return {**os.environ, **served.environment, "WATTBENCH_STATE": str(tmp_path / "state"), **others}


def push(own: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `bench push` to its end."""
    command = [*BENCH, "push", *arguments]
    return subprocess.run(command, env=own, capture_output=True, text=True, timeout=120, check=False)


def logged(served: Served, part: str) -> list[str]:
    """Return the ids in the log of a store."""
    with served.credentials():
        return [str(id_of_log_key(key)) for key in log_keys(open_store(served.name(part)))]


def test_a_push_that_was_killed_is_finished_later(seaweed: Served, results: list[Path], tmp_path: Path) -> None:
    """Kill -9 in mid-upload to S3, twice; the next `bench push` ends it: each document once, and the store is sound."""
    seaweed.new_store("killed")
    own = environment(seaweed, tmp_path)
    arguments = [*map(str, results), "--to", seaweed.name("killed")]
    for count in (1, 3):
        process = subprocess.Popen([*BENCH, "push", *arguments], env=own, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 60
        while len(logged(seaweed, "killed")) < count:
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert -signal.SIGKILL == process.wait()
        arguments = []
    pending = json.loads(push(own, "--pending", "--json").stdout)
    ended = push(own)
    with seaweed.credentials():
        report = check_store(open_store(seaweed.name("killed")), wattbench="0.1.0")

    assert 0 < len(pending) < DOCUMENTS
    assert 0 == ended.returncode, ended.stderr
    assert DOCUMENTS == len(logged(seaweed, "killed")) == len(set(logged(seaweed, "killed")))
    assert (True, DOCUMENTS) == (report.sound, report.documents)


def test_without_the_right_to_write_nothing_is_tried_again(
    seaweed: Served, results: list[Path], tmp_path: Path
) -> None:
    """A key that may only read ends the push at once with 4; the right key goes on from the spool."""
    seaweed.new_store("readonly")
    reader = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader-secret"}
    began_s = time.monotonic()
    flags = (str(results[0]), "--to", seaweed.name("readonly"), "--push-timeout", "600")
    denied = push(environment(seaweed, tmp_path, **reader), *flags)

    assert 4 == denied.returncode, denied.stderr
    assert time.monotonic() - began_s < 60
    assert "tries" not in denied.stderr
    assert 0 == push(environment(seaweed, tmp_path)).returncode
    assert 1 == len(logged(seaweed, "readonly"))


def test_a_server_that_is_gone_leaves_the_result_in_the_spool(
    seaweed: Served, results: list[Path], tmp_path: Path
) -> None:
    """Nobody answers: 4 within the time asked for; when the server is back `bench push` goes on."""
    seaweed.new_store("gone")
    nobody = environment(seaweed, tmp_path, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    gone = push(nobody, str(results[0]), "--to", seaweed.name("gone"), "--push-timeout", "1")

    assert 4 == gone.returncode, gone.stderr
    assert "go on           bench push" == gone.stderr.splitlines()[-1]
    assert 0 == push(environment(seaweed, tmp_path)).returncode
    assert 1 == len(logged(seaweed, "gone"))
