"""Turning Ctrl-C, SIGTERM and SIGHUP into one error that ends a run in good order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wattbench.results.errors import InterruptedRunError

__all__ = ["interrupts_as_errors"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interrupts_as_errors() -> Iterator[None]:
    """Raise InterruptedRunError in the main thread at the first signal; ignore further ones while it is handled.

    Outside the main thread (where Python delivers no signals) it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        name = signal.Signals(number).name
        raise InterruptedRunError("The run was interrupted", f"it received {name}", "What was measured is kept.")

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
