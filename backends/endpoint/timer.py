"""A timer that an epoll loop waits for: Linux's timerfd, 50 us late where epoll's own time-out is a millisecond."""

import contextlib
import ctypes
import os
import sys
from typing import Any

__all__ = ["Timer"]

CLOCK_MONOTONIC, ABSOLUTE, FLAGS = 1, 1, os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Timer:
    """Fires once at a time of `time.perf_counter_ns`; `descriptor` is readable then, None where there is no timerfd."""

    def __init__(self) -> None:
        self.descriptor: int | None = None
        self.at_ns: int | None = None
        self._libc: Any = None  # any: the C library, untyped
        self._spec = _Itimerspec()
        if sys.platform.startswith("linux"):
            self._libc = ctypes.CDLL(None, use_errno=True)
            descriptor = self._libc.timerfd_create(CLOCK_MONOTONIC, FLAGS)
            self.descriptor = descriptor if descriptor >= 0 else None

    def set(self, at_ns: int | None) -> None:
        """Fire at a time, at once if it is past; never for None."""
        if at_ns == self.at_ns:
            return
        self.at_ns = at_ns
        if self.descriptor is not None:
            spec = self._spec
            spec.value_s, spec.value_ns = divmod(max(1, at_ns), 1_000_000_000) if at_ns is not None else (0, 0)
            self._libc.timerfd_settime(self.descriptor, ABSOLUTE, ctypes.byref(spec), None)

    def fired(self) -> None:
        """Take note that it fired."""
        self.at_ns = None
        if self.descriptor is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self.descriptor, 8)

    def close(self) -> None:
        """Free the descriptor."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
