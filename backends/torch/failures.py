"""Telling what a vendor's compiler or runtime raises from a bug of ours: the first is the user's to see in one line."""

import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from wattbench.backends.contract import EAGER
from wattbench.backends.torch.compile import CompileError
from wattbench.backends.torch.vendors import vendor_of
from wattbench.models.torch_memory import is_out_of_memory
from wattbench.results.errors import DeviceError, WattbenchError

__all__ = ["vendor_failures"]

LINE_MAX = 300

NATIVE = (RuntimeError, OSError, subprocess.SubprocessError)
"""What a vendor's libraries and compilers raise through code of ours: torch makes a RuntimeError of their own."""


@contextmanager
def vendor_failures(load: str, device: str, level: str) -> Iterator[None]:
    """Raise DeviceError for what a vendor's code raises while a load is prepared on its device type at a level.

    A compiler that works at the first call fails only there. The whole text goes to standard error, whose end the
    result keeps. A bug of ours, memory that ran out, and the devices of torch itself are left as they are.
    """
    vendor = vendor_of(device.partition(":")[0])
    try:
        yield
    except (WattbenchError, CompileError):
        raise
    except Exception as exc:
        if vendor is None or is_out_of_memory(exc) or not _is_foreign(exc):
            raise
        traceback.print_exception(exc)
        what = f"{vendor.label} could not prepare {load} on {device} at the level {level}"
        raise DeviceError(what, _first_line(exc), _remedy(level, vendor.compiler)) from exc


def _is_foreign(exc: Exception) -> bool:
    """Return whether others raised it: natively, or in Python code that is not ours."""
    frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
    return isinstance(exc, NATIVE) or not str(frames[-1].f_globals.get("__name__")).startswith("wattbench.")


def _first_line(exc: Exception) -> str:
    line = next((line.strip() for line in str(exc).splitlines() if line.strip()), "")
    return f"{type(exc).__name__}: {line}"[:LINE_MAX] if line else type(exc).__name__


def _remedy(level: str, compiler: str | None) -> str:
    if level == EAGER:
        return "Try another --precision or --load; error.worker_log_tail in the result has more of what it said."
    return f"Try --tuning {EAGER}, which does without the compiler {compiler!r}, or another --precision."
