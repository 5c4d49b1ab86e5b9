"""The process between us and a server of somebody else's: starts it, keeps its log small, and ends it when we are gone.

Run as `python -m wattbench.harness.serving.guard COMMAND...`. Its standard input is the cord to whoever started it: a
line "stop SECONDS" asks the server to end and kills what is left after that time, and the end of input (its starter
died, however) does the same with the default time. What the server writes goes to this process's standard output, a
file, of which no more than the last part is kept. The exit code is the server's (128 + N where signal N ended it).
"""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time

__all__ = ["CANNOT_START", "GRACE_S", "LOG_BYTES", "main"]

GRACE_S = 10.0
"""How long a server may take to end by itself when nobody says otherwise."""

LOG_BYTES = 1 << 20
"""The log never grows beyond this; its older half is then thrown away."""

LAST_READS = 64
"""So often the log is read once more at the end: what lives on may go on writing."""

CANNOT_START = 127
"""The exit code when the command could not be started at all, as a shell's."""

_POLL_S = 0.5
"""How often the server's end is looked for where the system does not tell of it (below Linux 5.3)."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main(command: list[str]) -> int:
    """Run a command to its end, or to ours; return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=_begin,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        os.write(1, f"cannot start {command[0]}: {reason}\n".encode())
        return CANNOT_START
    try:
        _watch(server)
    finally:
        _kill_all(server)
    code = server.wait()
    return code if code >= 0 else 128 - code


def _begin() -> None:
    """Prepare the server's process: it dies with this guard, and takes signals as any program does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value)


def _watch(server: "subprocess.Popen[bytes]") -> None:
    """Keep the log until the server has ended or is to end; then give it its time."""
    assert server.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        end = _end_descriptor(server.pid)
        if end is not None:
            selector.register(end, selectors.EVENT_READ)
        deadline_s: float | None = None
        while server.poll() is None and (deadline_s is None or time.monotonic() < deadline_s):
            wait_s = None if end is not None else _POLL_S
            if deadline_s is not None:
                wait_s = min(max(deadline_s - time.monotonic(), 0), _POLL_S)
            ready = {key.fd for key, _ in selector.select(wait_s)}
            if server.stdout.fileno() in ready and not _log(server.stdout.fileno()):
                selector.unregister(server.stdout)
            if 0 in ready:
                selector.unregister(0)
                deadline_s = time.monotonic() + _grace_s(os.read(0, 64))
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGTERM)
        os.set_blocking(server.stdout.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(LAST_READS):
                if not _log(server.stdout.fileno()):
                    break


def _end_descriptor(pid: int) -> int | None:
    """Return a descriptor that is ready when a process has ended, None where the system has none."""
    with contextlib.suppress(OSError, AttributeError):
        return os.pidfd_open(pid)
    return None


def _grace_s(line: bytes) -> float:
    """Return the seconds of "stop SECONDS"; the default for the end of input and for what is not understood."""
    with contextlib.suppress(ValueError):
        return max(float(line.removeprefix(b"stop ")), 0.0) if line.startswith(b"stop ") else GRACE_S
    return GRACE_S


def _log(source: int) -> bool:
    """Move what the server wrote into the log, and return whether there may be more."""
    data = os.read(source, 1 << 16)
    if os.fstat(1).st_size + len(data) > LOG_BYTES:
        kept = os.pread(1, LOG_BYTES // 2, max(os.fstat(1).st_size - LOG_BYTES // 2, 0))
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)
        os.write(1, kept)
    os.write(1, data)
    return bool(data)


def _kill_all(server: "subprocess.Popen[bytes]") -> None:
    """Kill whatever is left: the server's group, and what it started elsewhere, which became ours by its death."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    for _ in range(100):  # an orphan's own children become ours in turn
        children = _children()
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
