"""Standard output and error that fail in good order: closed, full, or with a reader that went away."""

import os
import sys

from wattbench.results.errors import StorageError

TYPE_CHECKING = False  # type checkers know this name; importing `typing` would double the cost of `bench --help`
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Guarded", "fill_descriptors", "guard_streams"]


class Guarded:
    """A text stream that says what is wrong when it cannot be written; a `forgiving` one stays silent instead.

    A reader that went away stays a BrokenPipeError. After the first failure what is left goes nowhere, so that
    nothing fails a second time when Python ends.
    """

    def __init__(self, stream: "TextIO | None", *, forgiving: bool = False) -> None:
        self._stream = stream
        self._forgiving = forgiving
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"
        self.errors: str = getattr(stream, "errors", None) or "strict"

    def write(self, text: str) -> int:
        """Write text; what the stream's encoding lacks is written as escapes. Raises StorageError."""
        if not isinstance(text, str):
            raise TypeError(f"text is needed, not {type(text).__name__}")
        if not text:
            return 0  # click probes streams so, and swallows what such a write raises
        if self._stream is None:
            self._fail("it is closed")
            return len(text)
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        except OSError as exc:
            self._fail_by(exc)
        return len(text)

    def flush(self) -> None:
        """Hand everything written to the system. Raises StorageError."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except OSError as exc:
            self._fail_by(exc)

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor. Raises OSError where there is none."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def _fail_by(self, error: OSError) -> None:
        self._discard()
        if isinstance(error, BrokenPipeError) and not self._forgiving:
            raise error
        self._fail(error.strerror or str(error))

    def _fail(self, why: str) -> None:
        if not self._forgiving:
            raise StorageError("Cannot write to standard output", why, "Send it to a place that takes it.")

    def _discard(self) -> None:
        """Let the descriptor lead nowhere, where there is one."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        except OSError:
            return


def fill_descriptors() -> None:
    """Open the null device in place of closed standard streams, lest a result file take the number of one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def guard_streams() -> None:
    """Put guards before standard output and error; progress and messages are not worth failing for."""
    sys.stdout = Guarded(sys.stdout)
    sys.stderr = Guarded(sys.stderr, forgiving=True)
