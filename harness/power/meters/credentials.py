"""Credentials of meters, from the environment or a guarded file: without a text form, and scrubbed from errors."""

import base64
import os
from pathlib import Path

from wattbench.harness.power.meters.argument import Argument
from wattbench.results.errors import UsageError
from wattbench.results.guarded import guarded_text
from wattbench.results.scrubbing import scrubbed

__all__ = ["Credentials", "load_credentials", "read_credentials"]

_KEYS = ("user", "password", "token")


class Credentials:
    """A user and password, or a token. Printing it shows nothing, and it is no record, so that no file can hold it."""

    __slots__ = ("password", "token", "user")

    def __init__(self, *, user: str | None = None, password: str | None = None, token: str | None = None) -> None:
        self.user = user
        self.password = password
        self.token = token

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not copied into files or other processes")

    @property
    def given(self) -> bool:
        """Return whether there are any."""
        return self.password is not None or self.token is not None

    def scrub(self, text: str) -> str:
        """Return a text with every form of the secrets taken out; for what libraries and servers say in errors."""
        secrets = [secret for secret in (self.password, self.token) if secret]
        basic = [base64.b64encode(f"{self.user or ''}:{secret}".encode()).decode() for secret in secrets]
        return scrubbed(text, [*secrets, *basic])


def load_credentials(argument: Argument) -> Credentials:
    """Return a meter's credentials: of the file of the option `credentials`, else of WATTBENCH_NAME_USER and so on.

    None of them is needed: a meter may be open to all. Raises UsageError for a file that others may read or that is
    not understood; its content is never repeated.
    """
    path = argument.options.get("credentials")
    if path is not None:
        return read_credentials(Path(path))
    prefix = f"WATTBENCH_{argument.sampler.upper()}_"
    return Credentials(**{key: os.environ.get(prefix + key.upper()) or None for key in _KEYS})


def read_credentials(path: Path) -> Credentials:
    """Return the credentials in a file. Raises UsageError unless it belongs to this user alone and is understood."""
    return Credentials(**_read(path))


def _read(path: Path) -> dict[str, str]:
    """Return the `key = value` lines of a file that belongs to this user alone."""
    text = guarded_text(path, "credentials file", "docs/meters.md#credentials")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or key.strip() not in _KEYS:
            raise UsageError(
                f"The credentials file {path} is not understood",
                f"line {number} is none of user = ..., password = ..., token = ...",
                "Write one of these a line (docs/meters.md#credentials).",
            )
        found[key.strip()] = value.strip()
    return found
