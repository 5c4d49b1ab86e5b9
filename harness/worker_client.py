"""The measuring process's side of the worker: start it, ask, notice its death and its cause, never leave an orphan."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from wattbench.harness.messages import Close, Failure, from_line, to_line
from wattbench.results import errors
from wattbench.results.errors import OutOfMemoryError, WattbenchError, WorkerError

__all__ = ["WorkerClient"]

T = TypeVar("T")

LOG_TAIL_BYTES = 4000
CLOSE_TIMEOUT_S = 20.0


class WorkerClient:
    """A worker process; use it as a context manager so that it never outlives its user."""

    def __init__(self) -> None:
        start = time.perf_counter()
        self._oom_kills = _oom_kills()
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="wattbench-worker-")  # noqa: SIM115 (closed by close)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONSTARTUP"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wattbench.harness.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            bufsize=0,
            process_group=0 if sys.platform != "win32" else None,
        )
        self._pending = b""
        self.last_words: str | None = None
        self.start_s = time.perf_counter() - start

    @property
    def pid(self) -> int:
        """Return the worker's process id."""
        return self._process.pid

    def ask(self, command: object, expected: type[T], timeout_s: float) -> T:
        """Send a command and return its answer, blocking without polling.

        Raises what the worker raised; WorkerError when it died or did not answer within `timeout_s` seconds (it is
        killed then); OutOfMemoryError when the system killed it for memory.
        """
        answer = self._exchange(command, timeout_s)
        if not isinstance(answer, expected):
            raise WorkerError("The worker answered something else", f"{type(answer).__name__} to {command!r}")
        return answer

    def ask_maybe(self, command: object, expected: type[T], timeout_s: float) -> T | None:
        """Do as `ask`, for a command that may answer that there is nothing to say."""
        answer = self._exchange(command, timeout_s)
        if answer is not None and not isinstance(answer, expected):
            raise WorkerError("The worker answered something else", f"{type(answer).__name__} to {command!r}")
        return answer

    def log_tail(self) -> str:
        """Return the end of what the worker wrote to standard error."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._log.fileno()).st_size
            raw = os.pread(self._log.fileno(), LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
            return raw.decode(errors="replace")
        return ""

    def close(self) -> None:
        """Ask the worker to end, and kill it if it does not; safe to call twice."""
        if self._process.poll() is None:
            with contextlib.suppress(WattbenchError, OSError):
                self._exchange(Close(), CLOSE_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End the worker at once and collect it; safe to call twice."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.kill()
            self.last_words = self.log_tail() or None
        self._log.close()

    def _exchange(self, command: object, timeout_s: float) -> object | None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_line(command))
        except OSError:
            raise self._death() from None
        line = self._read_line(timeout_s, command)
        answer = from_line(line)
        if isinstance(answer, Failure):
            raise _as_error(answer, self.log_tail())
        return answer

    def _read_line(self, timeout_s: float, command: object) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    what = f"The worker did not answer within {timeout_s:.0f} s and was ended"
                    raise WorkerError(what, f"it was busy with {type(command).__name__}", "Is the device hung?")
                chunk = os.read(self._process.stdout.fileno(), 1 << 20)
                if not chunk:
                    raise self._death()
                self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _death(self) -> WattbenchError:
        """Return the error that says why the worker is gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=CLOSE_TIMEOUT_S)
        code = self._process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code == signal.SIGKILL and _oom_kills() > self._oom_kills:
                why = f"the system killed it ({name}) because memory ran out"
                remedy = "Choose a smaller load, --batch or --precision."
                return OutOfMemoryError("The worker process was killed for memory", why, remedy)
            return WorkerError("The worker process died", f"it was ended by {name}", "Was it killed from outside?")
        last = self.log_tail().strip().splitlines()
        why = f"it ended with exit code {code}" + (f"; its last words: {last[-1]}" if last else "")
        return WorkerError("The worker process died", why, "Run again with --debug to see its whole output.")


def _as_error(failure: Failure, log: str) -> Exception:
    """Return the worker's failure as the error that it was; a bug keeps its traceback."""
    if failure.kind == "Bug":
        return RuntimeError(f"{failure.what}\n(in the worker)\n{failure.why}\n{log}")
    known = {name: getattr(errors, name) for name in errors.__all__}
    error: Exception = known.get(failure.kind, WorkerError)(failure.what, failure.why, failure.remedy)
    return error


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for memory since boot; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
