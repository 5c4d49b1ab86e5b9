"""Messages between processes of ours: one line of JSON each, and a failure that the other side can raise again."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wattbench.results import errors
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import WattbenchError, WorkerError

__all__ = ["Failure", "Lines", "failure_of", "known_error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The other process failed; `kind` is the name of the error, which need not be one of ours."""

    kind: str
    what: str
    why: str
    remedy: str


class Lines:
    """The messages that two processes exchange; `misunderstood` says what is wrong with a line that is none."""

    def __init__(self, messages: Iterable[type], misunderstood: str) -> None:
        self._messages: dict[str, Any] = {message.__name__: message for message in messages}  # any: their types
        self._misunderstood = misunderstood

    def to_line(self, message: object | None) -> bytes:
        """Return a message as one line of JSON; None stands for "done, nothing to say"."""
        name = "None" if message is None else type(message).__name__
        body = None if message is None else to_builtins(message)
        return json.dumps({"message": name, "body": body}).encode() + b"\n"

    def from_line(self, line: bytes) -> object | None:
        """Return the message in a line. Raises WorkerError when it is none of these."""
        try:
            raw = json.loads(line)
            name = raw["message"]
            return None if name == "None" else decode(raw["body"], self._messages[name])
        except (ValueError, KeyError, TypeError) as exc:
            raise WorkerError(self._misunderstood, f"{type(exc).__name__}: {exc}; the line was {line[:200]!r}") from exc


def failure_of(error: WattbenchError) -> Failure:
    """Return one of our errors as what the other process is told."""
    return Failure(kind=type(error).__name__, what=error.what, why=error.why, remedy=error.remedy)


def known_error(kind: str) -> type[WattbenchError] | None:
    """Return the class of our errors that has this name, None for any other."""
    found: type[WattbenchError] | None = getattr(errors, kind) if kind in errors.__all__ else None
    return found
