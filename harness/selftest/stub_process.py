"""The stub server in a process of its own, and what it says of itself afterwards."""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from wattbench.harness.selftest.script import StubScript, Truth

__all__ = ["Stub"]


class Stub:
    """A running stub; use as a context. `processor` pins it to one processor.

    `url` is its address on loopback. `truths` gives what happened since it was asked last, each request once.
    """

    def __init__(self, script: StubScript | None = None, *, processor: int | None = None) -> None:
        pinned: Sequence[str] = () if processor is None else ("taskset", "--cpu-list", str(processor))
        command = [*pinned, sys.executable, "-P", "-m", "wattbench.harness.selftest.stub"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        pickle.dump(script or StubScript(), self._process.stdin)
        self._process.stdin.flush()
        self.port: int = self._answer()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    def truths(self) -> dict[int, Truth]:
        """Return what happened, by the calls' numbers."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"t")
        self._process.stdin.flush()
        found: list[Truth] = self._answer()
        return {truth.number: truth for truth in found}

    def _answer(self) -> Any:  # any: what the stub pickled
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)

    def __enter__(self) -> "Stub":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
