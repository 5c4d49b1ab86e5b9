"""Trying a vendor's library in a child process first, so that what prints, hangs or dies there harms nobody here."""

import ctypes
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec

__all__ = ["hushed", "is_installed", "trial_fault"]

TRIAL_LIMIT_S = 20.0
"""Drivers may take seconds to answer a first call after boot; beyond this one hangs (our choice)."""


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be found, without importing it."""
    return find_spec(module) is not None


def trial_fault(code: str, *, limit_s: float = TRIAL_LIMIT_S) -> str | None:
    """Run lines of Python in a process of their own and return why they failed, in one line, or None.

    Nothing that they print is shown; the last line that they wrote is the reason.
    """
    command = [sys.executable, "-P", "-W", "ignore", "-c", code]  # -P: not the module of that name in this folder
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return f"no answer within {limit_s:g} s"
    except OSError as exc:
        return f"cannot start {sys.executable}: {exc.strerror}"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"it was killed by signal {-done.returncode}"
    lines = (done.stdout + b"\n" + done.stderr).decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"exit status {done.returncode}"


@contextmanager
def hushed() -> Iterator[None]:
    """Let nothing that foreign code prints or warns of reach the user, be it Python or C."""
    with (
        _descriptors_to_nowhere(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@contextmanager
def _descriptors_to_nowhere() -> Iterator[None]:
    """Lead the process's own standard output and error to nowhere for a while, what C code has buffered included."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    saved = {fd: os.dup(fd) for fd in (1, 2) if _is_open(fd)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for fd in saved:
            os.dup2(nowhere, fd)
        yield
    finally:
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)
        for fd, kept in saved.items():
            os.dup2(kept, fd)
            os.close(kept)
        os.close(nowhere)
