"""Our side of one peer's process: start it, hear what it counts or why not, collect its rows, end it."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from wattbench.results.crosscheck import PeerPart, PeerRecord
from wattbench.results.errors import SensorError, UsageError

__all__ = ["PEERS", "PeerClient", "PeerRow", "check_peers"]

PEERS = {"codecarbon": "codecarbon", "zeus": "zeus"}
"""The tools that can be run beside a run, with the packages that have them."""

PeerRow = tuple[int, int, list[float | None]]
"""Before and after one question (ns), and the peer's joules of each part since its start."""

START_TIMEOUT_S = 120.0
"""Zeus alone was seen to take 7 s to import on a busy machine."""

ANSWER_TIMEOUT_S = 10.0
ANSWER = "wattbench-peer"
"""How a Python's answer begins, so that anything else is told from one."""

CHILD = Path(__file__).with_name("child.py")


def check_peers(names: tuple[str, ...], python: str | None) -> None:
    """Raise UsageError when a peer is not installed where it is looked for; nothing of it is imported or left running.

    `python` is the interpreter of the environment that has the peers, None for this one.
    """
    for name in names:
        path = "sys.path[:] = [p for p in sys.path if p]"  # a folder of that name here is no installed peer
        find = f"u.find_spec({name!r}) is not None"
        said = _said(_interpreter(python), f"import importlib.util as u, sys; {path}; print({ANSWER!r}, {find})")
        if not said.endswith("True"):
            raise _missing(name, python)


def _said(python: str, code: str) -> str:
    """Return the last line that a Python prints of some code. Raises UsageError where it is none."""
    what = f"The Python {python} of --cross-check-python cannot be used"
    remedy = "Name the python of the environment that has the peers."
    try:
        command = [python, "-c", code]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=START_TIMEOUT_S, check=False
        )
    except OSError as exc:
        raise UsageError(what, exc.strerror or str(exc), remedy) from exc
    except subprocess.TimeoutExpired as exc:
        raise UsageError(what, f"it did not answer within {START_TIMEOUT_S:.0f} s", "Is it a Python?") from exc
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if not last.startswith(ANSWER):
        words = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise UsageError(what, f"it is no Python: it ended with {done.returncode} and said {words!r:.80}", remedy)
    return last


def _interpreter(python: str | None) -> str:
    return python or sys.executable


def _missing(name: str, python: str | None) -> UsageError:
    remedy = (
        f"Install it there (pip install {PEERS[name]}), or name the Python that has it: --cross-check-python PATH "
        "(an environment of its own keeps its packages away from what is measured)."
    )
    return UsageError(
        f"--cross-check {name} cannot be used", f"{name} is not installed in {_interpreter(python)}", remedy
    )


class PeerClient:
    """One peer's process, from its making until `close`.

    Raises UsageError when the peer is not installed, SensorError when it sees nothing here or cannot start.
    """

    def __init__(self, name: str, python: str | None, covers: str | None) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="wattbench-peer-")  # noqa: SIM115 (closed by close)
        # the peers count by index, which this variable would reorder; ours go by UUID
        environment = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "PYTHONSTARTUP")}
        self._process = subprocess.Popen(
            [_interpreter(python), str(CHILD), name, covers or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        self._pending = b""
        self.rows: list[PeerRow] = []
        self.lost: str | None = None
        try:
            self.record = self._hello(name, python)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Return the peer's name."""
        return self.record.name

    def collect(self) -> None:
        """Fetch the rows since the last time; a peer that is gone is `lost`, with why, and keeps the rows it gave."""
        if self.lost is not None:
            return
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(b"\n")
            self.rows += [(int(b), int(a), list(joules)) for b, a, joules in self._line(ANSWER_TIMEOUT_S)["rows"]]
        except (OSError, ValueError, KeyError, TypeError, SensorError) as exc:
            self.lost = f"{self.name}'s process failed: {exc}"

    def close(self) -> None:
        """End the process; safe to call twice."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _hello(self, name: str, python: str | None) -> PeerRecord:
        what = f"--cross-check {name} cannot be used"
        try:
            said = self._line(START_TIMEOUT_S)
        except (OSError, ValueError) as exc:
            raise SensorError(what, f"its process failed: {exc}; {self._last_words()}", "Leave it out.") from exc
        if said.get("error") == "missing":
            raise _missing(name, python)
        if "error" in said:
            raise SensorError(what, said["error"], f"Leave it out, or let {name} see a sensor first.")
        parts = tuple(PeerPart(**part) for part in said["parts"])
        return PeerRecord(name=name, version=str(said["version"]), period_s=float(said["period_s"]), parts=parts)

    def _line(self, timeout_s: float) -> dict[str, Any]:  # any: the child's JSON
        """Return the child's next line. Raises OSError when it is gone or too slow, ValueError when it is no JSON."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise OSError(f"no answer within {timeout_s:.0f} s")
                chunk = os.read(self._process.stdout.fileno(), 1 << 20)
                if not chunk:
                    raise OSError("it has ended")
                self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _last_words(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        lines = os.pread(self._log.fileno(), 2000, max(0, size - 2000)).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
