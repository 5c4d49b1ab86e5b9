"""Signals in a sweep: the first one ends it, at once or as soon as a document is whole."""

import signal
import threading

import pytest

from wattbench.harness.sweep.signals import sweep_signals
from wattbench.results.errors import InterruptedRunError


def strike(number: signal.Signals = signal.SIGINT) -> None:
    """Send this process a signal; Python has handled it when the call returns."""
    signal.raise_signal(number)


def test_a_signal_is_an_error_at_once() -> None:
    """The error names the signal."""
    with sweep_signals(), pytest.raises(InterruptedRunError, match="SIGTERM"):
        strike(signal.SIGTERM)


def test_a_signal_while_a_document_is_written_is_heeded_afterwards() -> None:
    """It is remembered, and raised by the next `heed`."""
    with sweep_signals() as signals:
        signals.ignore()
        strike()

        with pytest.raises(InterruptedRunError, match="SIGINT"):
            signals.heed()


def test_without_a_signal_nothing_is_raised() -> None:
    """After `heed` a signal is an error at once again."""
    with sweep_signals() as signals:
        signals.ignore()
        signals.heed()

        with pytest.raises(InterruptedRunError):
            strike()


def test_only_the_first_signal_counts() -> None:
    """While the sweep is ending a second one does nothing."""
    with sweep_signals():
        with pytest.raises(InterruptedRunError):
            strike()
        strike()
        strike(signal.SIGTERM)


def test_between_runs_no_trial_can_take_a_signal_for_its_own_failure() -> None:
    """Inside it is KeyboardInterrupt, which no handler of errors catches; outside it is the sweep's error again."""
    seen: list[type[BaseException]] = []

    def trial() -> None:
        try:
            strike()
        except BaseException as error:
            seen.append(type(error))
            raise

    with sweep_signals() as signals, pytest.raises(InterruptedRunError, match="SIGINT"), signals.between_runs():
        trial()

    assert [KeyboardInterrupt] == seen


def test_the_handlers_of_before_come_back() -> None:
    """After the sweep Ctrl-C means what it meant."""
    before = signal.getsignal(signal.SIGINT)
    with sweep_signals():
        during = signal.getsignal(signal.SIGINT)

    assert before == signal.getsignal(signal.SIGINT)
    assert before != during


def test_outside_the_main_thread_nothing_is_changed() -> None:
    """Python delivers no signals there."""
    handlers: list[object] = []

    def watch() -> None:
        with sweep_signals():
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()

    assert [before] == handlers
