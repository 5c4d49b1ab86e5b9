"""Turning Ctrl-C, SIGTERM and SIGHUP into one error that ends a run in good order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wattbench.results.errors import InterruptedRunError

__all__ = ["Interrupts", "interrupts_as_errors"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupts:
    """What a run does about signals: it is interrupted by the first, unless it has said that it is ending."""

    def ignore(self) -> None:
        """Ignore signals from now on: the run is ending anyway, and its document must be written whole."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)


@contextmanager
def interrupts_as_errors() -> Iterator[Interrupts]:
    """Raise InterruptedRunError in the main thread at the first signal; ignore further ones while it is handled.

    Outside the main thread (where Python delivers no signals) it does nothing.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.ignore()
        name = signal.Signals(number).name
        raise InterruptedRunError("The run was interrupted", f"it received {name}", "What was measured is kept.")

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
