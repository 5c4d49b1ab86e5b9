"""When bytes arrived: the kernel's own receive stamps, turned from the wall clock to the monotonic one."""

import socket
import struct
import sys
import time
from dataclasses import dataclass

__all__ = ["ANCILLARY_BYTES", "Alignment", "align", "ask_for_stamps", "kernel_ns"]

SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; the message's type is the same number. Python has no name for it."""

TIMESPEC = struct.Struct("qq")
ANCILLARY_BYTES = socket.CMSG_SPACE(TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0

LOOKS = 16
MOVED_MAX_NS = 50_000
"""By more than this the wall clock was set within a window, and the kernel's stamps cannot be turned."""


def ask_for_stamps(sock: socket.socket) -> bool:
    """Ask the kernel to stamp what a socket receives; return whether it does (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def kernel_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the stamp in a message's ancillary data, ns of CLOCK_REALTIME; 0 without one."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= TIMESPEC.size:
            seconds, nanoseconds = TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return 0


@dataclass(frozen=True, slots=True)
class Alignment:
    """How far the monotonic clock was from the wall clock at one moment, in ns, and how well that is known."""

    offset_ns: int
    bound_ns: int

    def agrees(self, later: "Alignment") -> bool:
        """Return whether the two clocks stood still to each other until a later alignment."""
        return abs(later.offset_ns - self.offset_ns) <= MOVED_MAX_NS + self.bound_ns + later.bound_ns


def align() -> Alignment:
    """Return the offset to add to the wall clock for `time.perf_counter_ns`: of several looks, the quickest."""
    looks = []
    for _ in range(LOOKS):
        before = time.perf_counter_ns()
        wall = time.time_ns()
        after = time.perf_counter_ns()
        looks.append((after - before, (before + after) // 2 - wall))
    width, offset = min(looks)
    return Alignment(offset, width // 2 + 1)
