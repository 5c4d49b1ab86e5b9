"""The measuring process's side of the worker: start it, ask, and end it; it never outlives its user."""

import time
from types import TracebackType
from typing import Self, TypeVar

from wattbench.backends.child_process import ChildProcess
from wattbench.backends.lines import Failure, known_error
from wattbench.harness.messages import Close, from_line, to_line
from wattbench.results.errors import InterruptedRunError, WattbenchError, WorkerError

__all__ = ["WorkerClient"]

T = TypeVar("T")

CLOSE_TIMEOUT_S = 20.0


class WorkerClient:
    """A worker process; use it as a context manager so that it never outlives its user."""

    def __init__(self) -> None:
        start = time.perf_counter()
        self._child = ChildProcess("wattbench.harness.worker", "The worker process", own_group=True)
        self.last_words: str | None = None
        self.start_s = time.perf_counter() - start

    @property
    def pid(self) -> int:
        """Return the worker's process id."""
        return self._child.pid

    def ask(self, command: object, expected: type[T], timeout_s: float) -> T:
        """Send a command and return its answer, blocking without polling.

        Raises what the worker raised; WorkerError when it died or did not answer within `timeout_s` seconds (it is
        killed then); OutOfMemoryError when the system killed it for memory.
        """
        answer = self._exchange(command, timeout_s)
        if not isinstance(answer, expected):
            raise WorkerError("The worker answered something else", f"{type(answer).__name__} to {command!r}")
        return answer

    def ask_maybe(self, command: object, expected: type[T], timeout_s: float) -> T | None:
        """Do as `ask`, for a command that may answer that there is nothing to say."""
        answer = self._exchange(command, timeout_s)
        if answer is not None and not isinstance(answer, expected):
            raise WorkerError("The worker answered something else", f"{type(answer).__name__} to {command!r}")
        return answer

    def log_tail(self) -> str:
        """Return the end of what the worker wrote to standard error."""
        return self._child.log_tail()

    def close(self) -> None:
        """Ask the worker to end, and kill it if it does not; safe to call twice. An interruption still ends the run."""
        try:
            if self._child.alive:
                self._exchange(Close(), CLOSE_TIMEOUT_S)
        except InterruptedRunError:
            raise
        except (WattbenchError, OSError):
            return
        finally:
            self.kill()

    def kill(self) -> None:
        """End the worker at once and collect it; safe to call twice."""
        self._child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.kill()
            self.last_words = self.log_tail() or None
        self._child.close_log()

    def _exchange(self, command: object, timeout_s: float) -> object | None:
        self._child.write(to_line(command))
        answer = from_line(self._child.read_line(timeout_s, type(command).__name__))
        if isinstance(answer, Failure):
            raise _as_error(answer, self.log_tail())
        return answer


def _as_error(failure: Failure, log: str) -> Exception:
    """Return the worker's failure as the error that it was; a bug keeps its traceback."""
    if failure.kind == "Bug":
        return RuntimeError(f"{failure.what}\n(in the worker)\n{failure.why}\n{log}")
    return (known_error(failure.kind) or WorkerError)(failure.what, failure.why, failure.remedy)
