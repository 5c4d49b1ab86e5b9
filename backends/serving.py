"""The other end of a `ChildProcess`: how a process of ours reads its lines, answers, and dies with its parent."""

import contextlib
import ctypes
import os
import signal
import threading
from queue import SimpleQueue
from typing import BinaryIO

__all__ = ["become_child", "die_with_parent", "private_answers", "read_lines"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def become_child() -> None:
    """Die with the parent, and leave Ctrl-C to it; where Linux is not, the end of input ends the process."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, so that no work goes on for nobody."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def private_answers() -> BinaryIO:
    """Return standard output for answers alone: whatever a library prints goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return answers


def read_lines(descriptor: int) -> "SimpleQueue[bytes]":
    """Return a queue that a thread fills with lines; the end of input ends the process at once."""
    queue: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        parts: list[bytes] = []
        while chunk := os.read(descriptor, 1 << 16):  # unbuffered: a buffer's lock would block the process's end
            first, *others = chunk.split(b"\n")
            parts.append(first)
            for other in others:
                queue.put(b"".join(parts))
                parts = [other]
        os._exit(1)  # the parent closes this pipe only after the answer to the last command, or by dying

    threading.Thread(target=read, name="commands", daemon=True).start()
    return queue
