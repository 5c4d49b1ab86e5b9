"""Counting one hardware event through Linux's perf_event_open, which the C library has no call for."""

import ctypes
import os
import platform
import struct

from wattbench.results.errors import SensorError

__all__ = ["EventCounter"]

_SYSCALLS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}
"""Number of perf_event_open by machine (Linux: the syscall tables of the architectures)."""

_ATTR_BYTES = 112
"""PERF_ATTR_SIZE_VER5; the kernel takes shorter and longer ones (Linux: include/uapi/linux/perf_event.h)."""

_TIMES = 0x1 | 0x2
"""PERF_FORMAT_TOTAL_TIME_ENABLED and PERF_FORMAT_TOTAL_TIME_RUNNING: three 64-bit numbers a read."""

_CLOSE_ON_EXEC = 0x8


class EventCounter:
    """Counts one event on one CPU, for all processes, from its opening on."""

    def __init__(self, kind: int, config: int, cpu: int) -> None:
        """Open the counter. Raises SensorError, with the system's own error (PermissionError too) as its cause."""
        self._what = f"perf event {config:#x} of type {kind} on CPU {cpu}"
        self._fd: int | None = _open(kind, config, cpu, self._what)

    def read(self) -> int:
        """Return the count so far. Raises SensorError when it is closed, gone, or was counted part of the time only."""
        if self._fd is None:
            raise SensorError(f"Cannot read {self._what}", "it is closed")
        try:
            count, enabled_ns, running_ns = struct.unpack("=QQQ", os.read(self._fd, 24))
        except OSError as exc:
            raise SensorError(f"Cannot read {self._what}", exc.strerror or str(exc)) from exc
        except struct.error as exc:
            raise SensorError(f"Cannot read {self._what}", "the kernel gave no count: its CPU may be offline") from exc
        if running_ns < enabled_ns:
            raise SensorError(
                f"{self._what} was counted {running_ns} of {enabled_ns} ns only", "others use the counter"
            )
        return int(count)

    def close(self) -> None:
        """Stop counting; safe to call twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _open(kind: int, config: int, cpu: int, what: str) -> int:
    number = _SYSCALLS.get(platform.machine())
    if number is None or platform.system() != "Linux":
        raise SensorError(
            f"Cannot open {what}", f"perf events are not known on {platform.system()} {platform.machine()}"
        )
    attributes = ctypes.create_string_buffer(_ATTR_BYTES)
    struct.pack_into("=IIQQQQ", attributes, 0, kind, _ATTR_BYTES, config, 0, 0, _TIMES)
    call = ctypes.CDLL(None, use_errno=True).syscall
    every_process, no_group = ctypes.c_int(-1), ctypes.c_int(-1)
    fd = call(
        ctypes.c_long(number),
        ctypes.byref(attributes),
        every_process,
        ctypes.c_int(cpu),
        no_group,
        ctypes.c_ulong(_CLOSE_ON_EXEC),
    )
    if fd < 0:
        error = ctypes.get_errno()
        cause = OSError(error, os.strerror(error))  # of the subclass that fits the number
        raise SensorError(f"Cannot open {what}", os.strerror(error)) from cause
    return int(fd)
