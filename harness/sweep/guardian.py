"""The guardian of a power limit: a child process that sets it on request and restores the old one when its pipe closes.

Started as `python -m wattbench.harness.sweep.guardian UUID`. It outlives the harness by a moment, even one that was
killed with -9: the system closes the dead harness's end of the pipe, and the guardian reads the end of its input.
"""

import json
import signal
import sys
from typing import IO

from wattbench.harness.power.nvml_limit import NvmlLimit
from wattbench.results.errors import UsageError, WattbenchError

__all__ = ["guard", "main"]


def main() -> int:
    """Guard the limit of the board that the first argument names; return 0 when the old limit is set again."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):  # whatever ends the harness must not end its guardian
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        return guard(sys.argv[1], sys.stdin, sys.stdout)
    except WattbenchError as exc:  # the old limit could not be set again, and nobody else may be left to say so
        sys.stderr.write(f"{exc}\n")
        return 1


def guard(uuid: str, commands: IO[str], answers: IO[str]) -> int:
    """Answer each line, a limit in watts, with one line of JSON; restore the limit at the end of the commands.

    The first answer comes unasked: the limit that will be restored. It has been set again by then, which changes
    nothing and proves the right to set it.
    """
    try:
        limit = NvmlLimit(uuid)
        before_w = limit.limit_w()
        limit.set_w(before_w)
    except WattbenchError as exc:
        _answer(answers, exc)
        return 1
    try:
        _answer(answers, before_w)
        for line in commands:
            try:
                limit.set_w(float(line))
                _answer(answers, limit.limit_w())
            except WattbenchError as exc:
                _answer(answers, exc)
    finally:
        limit.set_w(before_w)
        limit.close()
    return 0


def _answer(answers: IO[str], answer: float | WattbenchError) -> None:
    """Write an answer; a harness that has gone away is answered no more."""
    if isinstance(answer, WattbenchError):
        usage = isinstance(answer, UsageError)
        body: dict[str, object] = {
            "what": answer.what,
            "why": answer.why,
            "remedy": answer.remedy,
            "usage": usage,
        }
    else:
        body = {"limit_w": answer}
    try:
        answers.write(json.dumps(body) + "\n")
        answers.flush()
    except BrokenPipeError:
        return


if __name__ == "__main__":
    sys.exit(main())
