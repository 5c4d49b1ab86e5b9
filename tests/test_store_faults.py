"""Whatever dies in the middle of a push, and whoever races, a store ends with each result once and none lost."""

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from store_results import result_files
from store_servers import LosingProxy, Served, azurite, seaweed, served

from wattbench.results.errors import StoreAccessError
from wattbench.results.store.check import check_store
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.local import LocalStore
from wattbench.results.store.open import init_store, open_store
from wattbench.results.store.publish import package_of, publish
from wattbench.results.store.read import entries, log_keys, read_object, read_stored
from wattbench.results.store.sync import sync

pytest.importorskip("obstore", reason="needs obstore: pip install 'wattbench[store]'")

__all__ = ["azurite", "seaweed", "served"]

WRITES = 4  # the polls, the document, the agreed entry, the log entry
Answer = dict[str, Any]  # any: JSON
Push = Callable[[list[Answer]], list[Answer]]


@pytest.fixture(scope="module")
def push() -> Iterator[Push]:
    """Give a function that runs jobs of tests/store_pusher.py, each in a process of its own, all at once."""
    program = Path(__file__).with_name("store_pusher.py")
    with subprocess.Popen(
        [sys.executable, "-P", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:

        def ask(jobs: list[Answer]) -> list[Answer]:
            assert running.stdin is not None
            assert running.stdout is not None
            running.stdin.write(json.dumps(jobs) + "\n")
            running.stdin.flush()
            answers = json.loads(running.stdout.readline())
            assert isinstance(answers, list)
            return answers

        yield ask
        running.kill()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, factories: ModuleType) -> list[Path]:
    """Write results that can be pushed, each with a file of polls."""
    return result_files(tmp_path_factory.mktemp("results"), factories, 18)


def job(served: Served, part: str, paths: list[Path], **more: Any) -> Answer:  # any: JSON
    """Return what a process has to do."""
    words = {"store": served.name(part), "environment": served.environment, "paths": [str(path) for path in paths]}
    return {"who": "a", **words, **more}


def found(store: ObjectStore) -> dict[str, int]:
    """Return what a check finds wrong, by code."""
    return check_store(store, wattbench="0.1.0").counts


def test_a_push_may_die_at_every_step(served: Served, push: Push, files: list[Path]) -> None:
    """Killed before or after any write, a push leaves nothing that readers take for a result; the next ends well."""
    store = served.new_store("steps")
    deaths = [(when, write, 0.0) for write in range(1, WRITES + 1) for when in ("before", "after")]
    jobs = [job(served, "steps", [path], die=death) for path, death in zip(files, deaths, strict=False)]
    killed = push(jobs)

    assert [-9] * len(deaths) == [each["code"] for each in killed]
    assert [] == [line for each in killed for line in each["stored"]]
    assert {package_of(files[7]).id} == {entry.id for entry in entries(store)}  # after the last write it is there
    assert {"push_unfinished"} == set(found(store))

    again = push([each | {"die": None} for each in jobs])

    assert [0] * len(deaths) == [each["code"] for each in again]
    assert {package_of(path).id for path in files[: len(deaths)]} == {entry.id for entry in entries(store)}
    assert {} == found(store)


def test_what_died_is_completed_by_repair(served: Served, push: Push, files: list[Path]) -> None:
    """A document that never came into the log, or only its agreed entry, is brought there by a repair, once."""
    store = served.new_store("repair")
    push([job(served, "repair", [files[n]], die=("after", n + 2, 0.0)) for n in range(2)])

    repaired = check_store(store, wattbench="0.1.0", repair=True)

    assert (2, {}) == (repaired.repaired, repaired.counts)
    assert ({}, 2) == (found(store), len(list(log_keys(store))))
    assert {None, "a"} == {entry.uploader for entry in entries(store)}


def test_twelve_processes_race_for_one_document(served: Served, push: Push, files: list[Path]) -> None:
    """Twelve processes that push one result at once all succeed, and the log has it once."""
    store = served.new_store("race")
    told = push([job(served, "race", files[:1], who=f"writer {n}") for n in range(12)])

    assert [0] * 12 == [each["code"] for each in told], told
    assert list(log_keys(store)) == list({line["log_key"] for each in told for line in each["stored"]})
    assert 1 >= [line["standing"] for each in told for line in each["stored"]].count("new")
    assert {} == found(store)


def test_two_spools_push_through_kills_and_races(served: Served, push: Push, files: list[Path]) -> None:
    """Two spools, killed at random over and over, lose nothing that was acknowledged, and log each document once."""
    draw, part = random.Random(served.uri), "spools"
    store = served.new_store(part)
    pending = [files[:12], files[6:]]  # six of them are in both
    acknowledged: set[str] = set()
    rounds = 0
    while any(pending):
        rounds += 1
        deaths = [(draw.choice(("before", "during", "after")), draw.randint(1, 8), draw.random() * 0.01) for _ in "ab"]
        jobs = [job(served, part, paths, die=death) for paths, death in zip(pending, deaths, strict=True)]
        for number, told in enumerate(push(jobs)):
            assert told["code"] in (0, -9), told
            acknowledged |= {line["id"] for line in told["stored"]}
            done = {line["path"] for line in told["stored"]}
            pending[number] = [path for path in pending[number] if str(path) not in done]
            draw.shuffle(pending[number])
        assert rounds < 500
    report = check_store(store, wattbench="0.1.0")

    assert rounds >= 6
    assert {package_of(path).id for path in files} == acknowledged == {entry.id for entry in entries(store)}
    assert (18, 18, {}) == (report.documents, report.entries, report.counts), report.findings


def test_a_sync_carries_results_from_one_service_to_another(
    seaweed: Served, azurite: Served, tmp_path: Path, files: list[Path]
) -> None:
    """From S3 to Azure to a folder and back: the same bytes everywhere, each document logged once in each."""
    stores = [seaweed.new_store("origin"), azurite.new_store("copy"), init_store(str(tmp_path / "store"))[0]]
    for path in files[:5]:
        publish(stores[0], package_of(path), uploader="a", wattbench="0.1.0")
    done = [sync(source, target) for source, target in pairwise([*stores, stores[0]])]

    assert [(5, 0), (5, 0), (0, 5)] == [(each.copied, each.present) for each in done]
    assert [(5, {})] * 3 == [(len(list(log_keys(store))), found(store)) for store in stores]
    assert 1 == len({tuple(sorted(read_object(store, entry.id) for entry in entries(store))) for store in stores})


def test_a_lost_answer_ends_well(seaweed: Served, files: list[Path]) -> None:
    """When the answer to each write gets lost after the write was done, the push succeeds and the log has it once."""
    with closing(LosingProxy(seaweed.port)) as proxy:
        store = seaweed.new_store("lost", AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}")
        for step, path in enumerate(files[:WRITES]):
            proxy.passing, proxy.losing = step, 1
            publish(store, package_of(path), uploader=None, wattbench="0.1.0")
        proxy.passing, proxy.losing = 0, 3
        publish(store, package_of(files[WRITES]), uploader=None, wattbench="0.1.0")

        assert WRITES + 3 == proxy.lost
        assert (WRITES + 1, {}) == (len(list(log_keys(store))), found(store))


def test_a_read_only_key_stops_a_push_with_the_reason(seaweed: Served, push: Push, files: list[Path]) -> None:
    """A push by somebody who may not write fails at its first write, and leaves nothing."""
    store = seaweed.new_store("closed")
    empty = list(store.keys(""))
    reader = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader-secret"}
    (told,) = push([job(seaweed, "closed", files[:1]) | {"environment": seaweed.environment | reader}])

    assert 1 == told["code"]
    assert "StoreAccessError" in told["errors"][0]
    assert "may not do this" in told["errors"][0]
    assert empty == list(store.keys(""))


PUSH = """
import sys
from pathlib import Path
from wattbench.results.store.open import open_store
from wattbench.results.store.publish import package_of, publish
print(publish(open_store(sys.argv[1]), package_of(Path(sys.argv[2])), uploader=None, wattbench="0.1.0").log_key)
"""


def pushed(name: str, path: Path, *, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Push one result in a process with an environment of its own; `before` is what it runs first."""
    words = [sys.executable, "-P", "-c", before + PUSH, name, str(path)]
    return subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def wrong_clock() -> dict[str, str]:
    """Return the environment of a process whose clock is two days ahead."""
    faketime = pytest.importorskip("libfaketime", reason="libfaketime sets the clock of one process")
    library = next(Path(faketime.__file__).parent.rglob("libfaketime*.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": "+2d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


def test_a_writers_wrong_clock_is_named_by_the_service(
    seaweed: Served, files: list[Path], wrong_clock: dict[str, str]
) -> None:
    """S3 refuses a request that is signed two days ahead; the error says that the clock is to be set."""
    store = seaweed.new_store("clock")
    done = pushed(seaweed.name("clock"), files[0], **seaweed.environment, **wrong_clock)

    assert 0 != done.returncode
    assert "clock differs too much" in done.stderr
    assert [] == list(log_keys(store))


def test_a_writers_wrong_clock_does_not_bend_a_folders_log(
    tmp_path: Path, files: list[Path], wrong_clock: dict[str, str]
) -> None:
    """The time of an entry is the file system's, and two writers with unlike clocks agree on one entry."""
    store = init_store(str(tmp_path / "store"))[0]
    done = pushed(store.uri, files[0], **wrong_clock)
    again = publish(store, package_of(files[0]), uploader=None, wattbench="0.1.0")

    assert 0 == done.returncode, done.stderr
    assert [done.stdout.strip()] == [again.log_key] == list(log_keys(store))
    (entry,) = entries(store)
    assert entry.pushed_at[:10] > done.stdout.removeprefix("v1/log/")[:10]  # the writer's own clock is told beside it


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_failing_disk_leaves_nothing_half_written(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A disk that fills up while a document is flushed is named; the same push ends well when there is room."""
    store = init_store(str(tmp_path / "store"))[0]
    empty = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    package = package_of(files[0])

    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreAccessError, match=os.strerror(code)):
            publish(store, package, uploader=None, wattbench="0.1.0")
    assert empty == [path for path in (tmp_path / "store").rglob("*") if path.is_file()]

    publish(store, package, uploader=None, wattbench="0.1.0")

    assert {} == found(store)


def test_a_full_disk_is_named(tmp_path: Path, files: list[Path]) -> None:
    """A file that may not grow (a real limit of the process) ends the push with what to do, and leaves no part."""
    store = init_store(str(tmp_path / "store"))[0]
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    done = pushed(store.uri, files[0], before=limit)

    assert "Free some space" in done.stderr
    assert [] == list(tmp_path.rglob("*.part"))
    assert [] == list(log_keys(store))


def test_a_folder_that_is_read_only_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without permission to write says so."""
    store = LocalStore(tmp_path)

    def forbidden(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.open", forbidden)
    with pytest.raises(StoreAccessError, match="Permission denied"):
        store.create("v1/log/a.json", b"")


def test_what_was_acknowledged_outlives_the_reader_too(seaweed: Served, push: Push, files: list[Path]) -> None:
    """A result that one process pushed is read, checked, by another opening of the store."""
    seaweed.new_store("read")
    (told,) = push([job(seaweed, "read", files[:1])])
    with seaweed.credentials():
        store = open_store(seaweed.name("read"))

    assert package_of(files[0]).data == read_object(store, told["stored"][0]["id"])
    assert read_stored(store, told["stored"][0]["id"]).power.polls_file is not None
