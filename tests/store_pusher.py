"""Pushes results in processes of its own that die where they are told to, by signal 9.

A helper of tests: it reads one line of JSON a round from standard input, a list of jobs, forks a process for each at
once, waits for all, and answers with one line: what each was told to be stored before it ended. Forking spares the
tests dozens of starts of Python; the store is opened, and everything sent, by the process that dies.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.open import open_store
from wattbench.results.store.publish import Package, package_of, publish

__all__ = ["DyingStore"]


class DyingStore:
    """A store whose process dies before or after its n-th write, or while that is under way."""

    def __init__(self, store: ObjectStore, when: str, write: int, delay_s: float) -> None:
        self.uri = store.uri
        self._store = store
        self._when, self._left, self._delay_s = when, write, delay_s

    def create(self, key: str, data: bytes) -> bool:
        """Write, or die."""
        self._left -= 1
        if self._left != 0:
            return self._store.create(key, data)
        if self._when == "after":
            self._store.create(key, data)
        if self._when == "during":
            threading.Thread(target=self._store.create, args=(key, data), daemon=True).start()
            time.sleep(self._delay_s)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody outlives signal 9")

    def get(self, key: str) -> bytes:
        """Read."""
        return self._store.get(key)

    def stamp(self, key: str) -> datetime:
        """Ask for the time."""
        return self._store.stamp(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """List."""
        return self._store.keys(prefix)

    def close(self) -> None:
        """Let go."""
        self._store.close()


def main() -> None:
    """Answer rounds until standard input ends."""
    for line in sys.stdin:
        jobs = json.loads(line)
        for path in [path for job in jobs for path in job["paths"]]:
            _package(path)  # read before the forks, which inherit it
        answers = [_ended(pid, pipe) for pid, pipe in [_begun(job) for job in jobs]]
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


@cache
def _package(path: str) -> Package:
    return package_of(Path(path))


def _begun(job: dict[str, Any]) -> tuple[int, int]:  # any: JSON
    """Fork a process that does a job; return its number and the end of a pipe by which it acknowledges."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        os.close(reading)
        _push(job, writing)
        os._exit(0)
    except BaseException as exc:  # noqa: BLE001 # a fork must never return into the parent's loop
        os.write(writing, json.dumps({"error": f"{type(exc).__name__}: {exc}"}).encode() + b"\n")
        os._exit(1)


def _push(job: dict[str, Any], writing: int) -> None:  # any: JSON
    os.environ.update(job["environment"])
    store: ObjectStore = open_store(job["store"])
    if job.get("die"):
        store = DyingStore(store, *job["die"])
    for path in job["paths"]:
        done = publish(store, _package(path), uploader=job["who"], wattbench="0.1.0")
        told = {"path": path, "id": done.id, "log_key": done.log_key, "standing": done.standing}
        os.write(writing, json.dumps(told).encode() + b"\n")


def _ended(pid: int, pipe: int) -> dict[str, Any]:  # any: JSON
    """Wait for a process; return what it acknowledged and how it ended."""
    with open(pipe, "rb") as told:
        lines = [json.loads(line) for line in told.read().splitlines()]
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    stored = [each for each in lines if "id" in each]
    return {"code": code, "stored": stored, "errors": [each["error"] for each in lines if "error" in each]}


if __name__ == "__main__":
    main()
