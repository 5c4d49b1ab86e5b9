"""Telling what a device's compiler or runtime raises from a bug of ours: the first is the user's to see in one line."""

import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from wattbench.backends.contract import EAGER
from wattbench.backends.torch.compile import CompileError
from wattbench.backends.torch.vendors import Vendor, vendor_of
from wattbench.models.torch_memory import is_out_of_memory
from wattbench.results.errors import DeviceError, WattbenchError

__all__ = ["first_line", "is_foreign", "vendor_failures"]

LINE_MAX = 300

NATIVE = (RuntimeError, OSError, subprocess.SubprocessError)
"""What a vendor's libraries and compilers raise through code of ours: torch makes a RuntimeError of their own."""


OWN_WORDS = ("CUDA error", "HIP error", "cuDNN error")
"""How torch begins what libraries of NVIDIA's and AMD's say, where it is no `torch.AcceleratorError`."""


@contextmanager
def vendor_failures(load: str, device: str, level: str, doing: str = "prepare") -> Iterator[None]:
    """Raise DeviceError for what a device's code raises while a load is prepared, run or freed there at a level.

    A compiler that works at the first call fails only there, a device that is lost at any later one. The whole text
    goes to standard error, whose end the result keeps. A bug of ours and memory that ran out are left as they are.
    """
    vendor = vendor_of(device.partition(":")[0])
    try:
        yield
    except (WattbenchError, CompileError):
        raise
    except Exception as exc:
        if is_out_of_memory(exc) or not _is_the_devices(exc, vendor):
            raise
        traceback.print_exception(exc)
        what = f"{vendor.label if vendor else 'torch'} could not {doing} {load} on {device} at the level {level}"
        kept = "" if doing == "prepare" else "What was measured before is kept. "
        raise DeviceError(what, first_line(exc), f"{kept}{_remedy(level, vendor)}") from exc


def is_foreign(exc: Exception) -> bool:
    """Return whether others raised it: natively, or in Python code that is not ours."""
    frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
    return isinstance(exc, NATIVE) or not str(frames[-1].f_globals.get("__name__")).startswith("wattbench.")


def first_line(exc: Exception) -> str:
    """Return the type of an error and the first line with words of what it says."""
    line = next((line.strip() for line in str(exc).splitlines() if line.strip()), "")
    return f"{type(exc).__name__}: {line}"[:LINE_MAX] if line else type(exc).__name__


def _is_the_devices(exc: Exception, vendor: Vendor | None) -> bool:
    """Return whether the device's software raised it; of torch's own devices that is known by its type or words."""
    if vendor is not None:
        return is_foreign(exc)
    return isinstance(exc, torch.AcceleratorError) or (isinstance(exc, RuntimeError) and str(exc).startswith(OWN_WORDS))


def _remedy(level: str, vendor: Vendor | None) -> str:
    if level == EAGER or vendor is None:
        return "Try another --precision or --load; error.worker_log_tail in the result has more of what it said."
    return f"Try --tuning {EAGER}, which does without the compiler {vendor.compiler!r}, or another --precision."
