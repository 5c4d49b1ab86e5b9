"""A process of ours that answers line by line: started, asked, its death noticed with its cause, never left behind."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from wattbench.results.errors import OutOfMemoryError, WattbenchError, WorkerError

__all__ = ["ChildProcess"]

LOG_TAIL_BYTES = 4000
BARE_TORCH = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
"""No process of ours loads vendors' extensions by importing torch: a broken one would end a run on the CPU too."""

DEATH_TIMEOUT_S = 20.0
"""How long a process whose pipe is closed may take to be gone."""


class ChildProcess:
    """A Python module run as a process; it reads lines and answers on its standard output, one line each.

    `name` is how errors call it ("The worker process"). What it writes to standard error is kept. With `own_group`
    signals of the terminal do not reach it.
    """

    def __init__(
        self, module: str, name: str, *, own_group: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._oom_kills = _oom_kills()
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="wattbench-child-")  # noqa: SIM115 (closed by close_log)
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONSTARTUP"} | BARE_TORCH
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=inherited | dict(environment or {}),
            bufsize=0,
            process_group=0 if own_group and sys.platform != "win32" else None,
        )
        self._pending = b""

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Block until it has ended."""
        self._process.wait()

    def write(self, line: bytes) -> None:
        """Send a line. Raises the error that says why the process is gone."""
        assert self._process.stdin is not None
        view = memoryview(line)
        try:
            while view:  # a pipe may take a part
                view = view[self._process.stdin.write(view) :]
        except OSError:
            raise self.death() from None

    def read_line(self, timeout_s: float, busy_with: str) -> bytes:
        """Return the next line, blocking without polling.

        Raises WorkerError when the process died or gave none within `timeout_s` seconds (it is killed then), and
        OutOfMemoryError when the system killed it for memory.
        """
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            parts = [self._pending]
            while b"\n" not in parts[-1]:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    what = f"{self.name} did not answer within {timeout_s:.0f} s and was ended"
                    raise WorkerError(what, f"it was busy with {busy_with}", "Is the device hung?")
                chunk = os.read(self._process.stdout.fileno(), 1 << 20)
                if not chunk:
                    raise self.death()
                parts.append(chunk)
        line, _, self._pending = b"".join(parts).partition(b"\n")
        return line

    def log_tail(self) -> str:
        """Return the end of what it wrote to standard error."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._log.fileno()).st_size
            raw = os.pread(self._log.fileno(), LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
            return raw.decode(errors="replace")
        return ""

    def death(self) -> WattbenchError:
        """Return the error that says why the process is gone; it is waited for a moment."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=DEATH_TIMEOUT_S)
        code = self._process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code == signal.SIGKILL and _oom_kills() > self._oom_kills:
                why = f"the system killed it ({name}) because memory ran out"
                remedy = "Choose a smaller load, --batch or --precision."
                return OutOfMemoryError(f"{self.name} was killed for memory", why, remedy)
            return WorkerError(f"{self.name} died", f"it was ended by {name}", "Was it killed from outside?")
        last = self.log_tail().strip().splitlines()
        why = f"it ended with exit code {code}" + (f"; its last words: {last[-1]}" if last else "")
        return WorkerError(f"{self.name} died", why, "Run again with --debug to see its whole output.")

    def kill(self) -> None:
        """End it at once and collect it; safe to call twice."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def close_log(self) -> None:
        """Forget what it wrote."""
        self._log.close()


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for memory since boot; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
