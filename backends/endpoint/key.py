"""The key of an endpoint: from the environment or a guarded file, without a text form, scrubbed from what is kept."""

import os
from pathlib import Path

from wattbench.results.errors import UsageError
from wattbench.results.guarded import guarded_text
from wattbench.results.scrubbing import scrubbed

__all__ = ["Key", "load_key"]


class Key:
    """A bearer token, or none. Printing it shows nothing, and it is no record, so that no file can hold it."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str | None = None) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not copied into files or other processes")

    @property
    def header(self) -> str:
        """Return the request's header line with the key, empty without one."""
        return f"Authorization: Bearer {self._secret}\r\n" if self._secret else ""

    def scrub(self, text: str) -> str:
        """Return a text with the key taken out; for what servers and libraries say in errors."""
        return scrubbed(text, [self._secret])


def load_key(env: str | None = None, file: str | None = None) -> Key:
    """Return the key in an environment variable or in a file that only its owner may read; no key for neither.

    Raises UsageError for a variable that is not set, an unsafe file, and a key that could not stand in a header.
    """
    if env is not None and file is not None:
        raise UsageError("--key-env contradicts --key-file", "a call has one key", "Drop one of the two.")
    if env is not None:
        secret = os.environ.get(env, "").strip()
        if not secret:
            raise UsageError(
                f"There is no key in {env}", "the environment variable is empty or not set", f"Set it: export {env}=..."
            )
    elif file is not None:
        secret = guarded_text(Path(file), "key file", "docs/endpoints.md#keys").strip()
    else:
        return Key()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        source = f"the variable {env}" if env is not None else f"the file {file}"
        raise UsageError(f"The key in {source} is no key", "a key is one line of printable ASCII without spaces")
    return Key(secret)
