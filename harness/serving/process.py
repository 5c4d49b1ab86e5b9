"""A local inference server for one run: started without a shell, awaited, and ended with all that it started."""

import contextlib
import http.client
import os
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO, Self
from urllib.parse import urlsplit

from wattbench.harness.serving.guard import CANNOT_START, GRACE_S
from wattbench.results.errors import UsageError, WorkerError

__all__ = ["ServerProcess", "require_program", "split_command"]

_TAIL_BYTES = 8192
_TAIL_LINES = 12
_ASK_S = 2.0
_PAUSE_S = 0.2
_ANSWERS = (401, 403)
"""Refusals that say that the server is up and wants a key, beside every status below 400."""


def split_command(text: str) -> tuple[str, ...]:
    """Return a command's words, by the quoting of a shell, of which nothing else is understood.

    Raises UsageError for no words and for quotes that do not end.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as exc:
        raise UsageError("The server command is not understood", str(exc), "Close its quotes.") from None
    if not words:
        raise UsageError("The server command is empty", remedy='Name a program: --server-command "vllm serve ...".')
    if any("\0" in word for word in words):
        raise UsageError("The server command holds a null character", "no program takes one", "Take it out.")
    return words


def require_program(words: tuple[str, ...]) -> None:
    """Raise UsageError for a command whose program is not there, or may not be run."""
    program = words[0]
    if shutil.which(program) is not None:
        return
    if "=" in program.partition("/")[0]:
        why, remedy = "there is no shell, which alone would set a variable there", f"Set {program} in the environment."
    elif "/" in program:
        why = "it may not be executed" if os.path.exists(program) else "there is no such file"
        remedy = "Name a file that this user may run."
    else:
        why, remedy = "it is in no folder of PATH", "Install it, or name its file with the whole path."
    raise UsageError(f"--server-command names no program: {program}", why, remedy)


class ServerProcess:
    """A server that runs from its construction to `stop`; use it as a context manager.

    A guard process stands in between: it ends the server, and what that started, when this process is gone too, however
    it ended. The server's output is kept in a file without a name, the last megabyte of it at most.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        self.command = command
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="wattbench-server-")  # noqa: SIM115 (closed by stop)
        self._guard = subprocess.Popen(
            [sys.executable, "-P", "-m", "wattbench.harness.serving.guard", *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self._last_lines: tuple[str, ...] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the guard, whose child the server is."""
        return self._guard.pid

    @property
    def log_bytes(self) -> int:
        """Return the size of the log; 0 after `stop`."""
        return 0 if self._log.closed else os.fstat(self._log.fileno()).st_size

    @property
    def alive(self) -> bool:
        """Return whether the server has not ended yet."""
        return self._guard.poll() is None

    def await_ready(self, url: str, timeout_s: float) -> float:
        """Wait until a URL answers, and return how long that took, in seconds.

        Every status below 400 is an answer, and so is the wish for a key. Raises WorkerError, with the last lines of
        the log, when the server ends first, or when the time is over; UsageError for a URL that is none.
        """
        start_s = time.monotonic()
        _require_url(url)
        while True:
            left_s = start_s + timeout_s - time.monotonic()
            said = _ask(url, min(_ASK_S, max(left_s, 0.01)))
            if not self.alive:
                raise self.death()
            if said is None:
                return time.monotonic() - start_s
            if left_s <= 0:
                why = f"{url}: {said}{self._last_words()}"
                remedy = "Wait longer, or see whether it serves at that address."
                raise WorkerError(f"The server was not ready within {timeout_s:g} s", why, remedy)
            time.sleep(min(_PAUSE_S, max(left_s, 0)))

    def death(self) -> WorkerError:
        """Return the error that says how the server ended."""
        code = self._guard.wait()
        what = "The server could not be started" if code == CANNOT_START else "The server ended"
        why = f"exit code {code}" if code < 128 else f"it was ended by signal {code - 128}"
        return WorkerError(what, why + self._last_words(), "Run its command by hand, and see why it ends.")

    def log_tail(self) -> tuple[str, ...]:
        """Return the last lines that the server wrote; also after its end."""
        if self._last_lines is not None:
            return self._last_lines
        size = os.fstat(self._log.fileno()).st_size
        raw = os.pread(self._log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        return tuple(raw.decode(errors="replace").splitlines()[-_TAIL_LINES:])

    def stop(self, grace_s: float = GRACE_S) -> int:
        """Ask the server to end, kill what is left after `grace_s`, and return its exit code; safe to call twice."""
        cord = self._guard.stdin
        if cord is not None and not cord.closed:
            with contextlib.suppress(OSError):
                cord.write(f"stop {grace_s:.3f}\n".encode())
            with contextlib.suppress(OSError):
                cord.close()
        code = self._guard.wait()
        if self._last_lines is None:
            self._last_lines = self.log_tail()
            self._log.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _last_words(self) -> str:
        lines = self.log_tail()
        return "; it wrote:" + "".join(f"\n    {line}" for line in lines) if lines else "; it wrote nothing"


def _require_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise UsageError(f"The server's address {url!r} is no URL", "it is http://HOST:PORT/PATH", "Name one.")


def _ask(url: str, timeout_s: float) -> str | None:
    """Return why a URL does not answer yet, or None when it does; no proxy, no redirect, any certificate."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    try:
        connection.request("GET", target)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as exc:
        return str(exc) or type(exc).__name__
    finally:
        connection.close()
    return None if status < 400 or status in _ANSWERS else f"HTTP {status}"
