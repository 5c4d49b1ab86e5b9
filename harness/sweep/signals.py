"""Ctrl-C, SIGTERM and SIGHUP in a sweep: an error at once, or remembered while a document is being written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wattbench.results.errors import InterruptedRunError

__all__ = ["SweepSignals", "sweep_signals"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class SweepSignals:
    """What a sweep does about signals: the first one ends it, later ones are ignored.

    A run that is ending calls `ignore`; a signal that comes then is remembered, and `heed` raises it once the run's
    document is whole.
    """

    def __init__(self) -> None:
        self._came: str | None = None
        self._deferring = False
        self._as_keyboard = False

    def ignore(self) -> None:
        """Raise nothing until `heed`."""
        self._deferring = True

    def heed(self) -> None:
        """Raise InterruptedRunError for a signal that has come; from now on one raises at once."""
        self._deferring = False  # first, so that no signal falls between the two
        if self._came is not None:
            self._deferring = True
            raise self._error()

    @contextmanager
    def between_runs(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt inside, which nobody takes for a candidate's own failure.

        Leaves as InterruptedRunError.
        """
        self._as_keyboard = True
        try:
            yield
        except KeyboardInterrupt:
            raise self._error() from None
        finally:
            self._as_keyboard = False

    def arrive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        first, self._came = self._came is None, self._came or signal.Signals(number).name
        if first and not self._deferring:
            self._deferring = True
            raise KeyboardInterrupt if self._as_keyboard else self._error()

    def _error(self) -> InterruptedRunError:
        why = f"it received {self._came or 'SIGINT'}"
        return InterruptedRunError("The sweep was interrupted", why, "What was measured is kept.")


@contextmanager
def sweep_signals() -> Iterator[SweepSignals]:
    """Handle signals as a sweep does; outside the main thread (where Python delivers none) nothing is changed."""
    signals = SweepSignals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, signals.arrive) for number in SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
