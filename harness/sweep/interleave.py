"""Taking turns: several open runs go on step by step, in a shuffled order that is the same for the same seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from wattbench.harness.runner import Outcome, Run
from wattbench.harness.sweep.signals import SweepSignals
from wattbench.results.errors import DeviceError, InterruptedRunError, OutOfMemoryError, WattbenchError, WorkerError

__all__ = ["DeviceWatch", "Ended", "Turns"]

STAGES = 3
"""The steps before a run's first repeat: idle machine and reference; prepare; idle with the model, and warm-up."""

WORKING = ("warm-up", "measure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run's end: its outcome, whether others were open beside it, and the bug that ended it, if one did."""

    name: str
    outcome: Outcome
    beside_others: bool
    bug: Exception | None


class DeviceWatch:
    """Tells a lost device from a point that fails for itself.

    Lost: a point failed that had been working, and the next thing that was asked of the device failed too.
    """

    def __init__(self) -> None:
        self._failed = 0
        self._struck = False

    @property
    def lost(self) -> bool:
        """Return whether the device seems to be lost."""
        return self._struck and self._failed >= 2

    def worked(self) -> None:
        """Take note that the device did something."""
        self._failed, self._struck = 0, False

    def failed(self, error: WattbenchError, phase: str) -> None:
        """Take note of a point that ended with an error."""
        if isinstance(error, DeviceError | WorkerError) and not isinstance(error, OutOfMemoryError):
            self._failed += 1
            self._struck = self._struck or phase in WORKING


class Turns:
    """The open runs of a group; every one of them ends in a valid document, whatever happens to the others.

    All reach the same stage before any goes on to the next; then each round gives every run one repeat. `turns` are
    the names in the order of the repeats.
    """

    def __init__(
        self,
        runs: dict[str, Run],
        signals: SweepSignals,
        watch: DeviceWatch,
        on_end: Callable[[Ended], None],
        shuffler: random.Random,
    ) -> None:
        self._open = dict(runs)
        self._signals = signals
        self._watch = watch
        self._on_end = on_end
        self._shuffler = shuffler
        self.turns: list[str] = []

    def take(self) -> None:
        """Take turns until every run has ended.

        Raises InterruptedRunError after a signal, StorageError when a result cannot be kept; all runs have ended then.
        """
        try:
            self._take()
        except WattbenchError as exc:
            self._signals.ignore()
            self._end_all(_as_interrupt(exc))
            raise
        finally:
            for run in self._open.values():
                run.drop()

    def _take(self) -> None:
        for stage in range(STAGES):
            for name in tuple(self._open):
                self._step(name, uses_device=stage > 0)
        while self._open:
            order = list(self._open)
            self._shuffler.shuffle(order)
            for name in order:
                if self._step(name, uses_device=True):
                    self.turns.append(name)

    def _step(self, name: str, *, uses_device: bool) -> bool:
        """Let one run take its next step; return whether it is still open, having measured what it was to measure."""
        run, bug = self._open[name], None
        try:
            going_on = run.advance(self._signals)
        except WattbenchError:  # its file could not be written, and neither could the one in its place
            del self._open[name]
            raise
        except Exception as exc:  # noqa: BLE001 - a bug ends its own run, in a valid document; the others go on
            going_on, bug = False, exc
        if uses_device and (going_on or (run.outcome is not None and run.outcome.error is None)):
            self._watch.worked()
        if not going_on:
            self._ended(name, run, bug)
        self._signals.heed()
        return going_on

    def _ended(self, name: str, run: Run, bug: Exception | None) -> None:
        del self._open[name]
        if run.outcome is None:  # its document could not be written, and the bug says why
            raise bug if bug is not None else AssertionError(name)
        error, record = run.outcome.error, run.outcome.result.error
        if error is not None and record is not None:
            self._watch.failed(error, record.phase)
        self._on_end(Ended(name=name, outcome=run.outcome, beside_others=bool(self._open), bug=bug))

    def _end_all(self, error: InterruptedRunError) -> None:
        for name, run in tuple(self._open.items()):
            run.interrupt(error, self._signals)
            self._ended(name, run, None)


def _as_interrupt(error: WattbenchError) -> InterruptedRunError:
    if isinstance(error, InterruptedRunError):
        return error
    return InterruptedRunError("The sweep ended early", f"{error.what}: {error.why}", error.remedy)
