"""The worker process: reads commands from standard input, runs the backend, answers on a private pipe.

Started as `python -m wattbench.harness.worker`. Whatever a library prints goes to standard error, never into the
answers. When the measuring process dies, the worker dies with it.
"""

import sys
import traceback
from queue import SimpleQueue
from typing import BinaryIO

from wattbench.backends.lines import Failure, failure_of
from wattbench.backends.serving import become_child, private_answers, read_lines
from wattbench.harness.context import open_context
from wattbench.harness.engine import Engine, measure_ceilings, store_reference
from wattbench.harness.messages import (
    Close,
    Drive,
    Gate,
    Measure,
    MeasureCeilings,
    OpenContext,
    Prepare,
    PreparedReply,
    Reference,
    Serve,
    Truth,
    WarmUp,
    from_line,
    to_line,
)
from wattbench.results.errors import OutOfMemoryError, WattbenchError, WorkerError

__all__ = ["main"]


def main() -> int:
    """Serve commands until Close, end of input, or the death of the measuring process; return the exit code."""
    become_child()
    Worker(read_lines(0), private_answers()).serve()
    return 0


class Worker:
    """Executes commands one by one and answers each exactly once."""

    def __init__(self, commands: "SimpleQueue[bytes]", answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._engine: Engine | None = None
        self._prepared: PreparedReply | None = None

    def serve(self) -> None:
        """Serve until Close."""
        while True:
            line = self._commands.get()
            command: object | None = None
            try:
                command = from_line(line)
                answer = to_line(self._execute(command))
            except Exception as exc:  # noqa: BLE001 (every failure is answered, none may end the worker silently)
                answer = to_line(_failure(exc))
            self._answers.write(answer)
            if isinstance(command, Close):
                return

    def _execute(self, command: object | None) -> object | None:
        match command:
            case Prepare():
                self._engine = Engine(command)
                self._prepared = self._engine.prepare()
                return self._prepared
            case Reference():
                return store_reference(command)
            case Gate():
                engine, prepared = self._ready()
                return engine.gate(command, prepared.weights.digest, prepared.backend.precision_effective)
            case Truth():
                return self._ready()[0].truth()
            case WarmUp():
                return self._ready()[0].warm_up(command)
            case Measure() | Serve():
                return self._ready()[0].measure(command)
            case Drive():
                return self._ready()[0].drive(command)
            case MeasureCeilings():
                return measure_ceilings(command)
            case OpenContext():
                return open_context(command)
            case Close():
                if self._engine is not None:
                    self._engine.close()
                return None
            case _:
                raise WorkerError(f"Unknown command {command!r}")

    def _ready(self) -> tuple[Engine, PreparedReply]:
        if self._engine is None or self._prepared is None:
            raise WorkerError("The worker was asked to run before it was prepared")
        return self._engine, self._prepared


def _failure(exc: Exception) -> Failure:
    if isinstance(exc, WattbenchError):
        return failure_of(exc)
    if isinstance(exc, MemoryError):
        what = "The worker ran out of memory"
        remedy = "Choose a smaller load, --batch or --precision."
        return Failure(kind=OutOfMemoryError.__name__, what=what, why=str(exc) or "MemoryError", remedy=remedy)
    return Failure(kind="Bug", what=f"{type(exc).__name__}: {exc}", why=traceback.format_exc(), remedy="")


if __name__ == "__main__":
    sys.exit(main())
