"""Options by which a reader says whose signatures count, and what they give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wattbench.results.errors import UsageError
from wattbench.results.trust.signers import Allowed, Expectation, parse_allowed

__all__ = ["allowed_of", "expectation_of", "signer_options"]

LIST_MAX_BYTES = 4 * 1024 * 1024

Command = TypeVar("Command", bound=Callable[..., Any])  # any: click's own signatures


def signer_options(command: Command) -> Command:
    """Add --allowed-signers and --signer-key to a command."""
    file = click.Path(path_type=Path)
    for option in (
        click.option(
            "--signer-key",
            "signer_keys",
            type=file,
            multiple=True,
            help="A public key (.pub) that must have signed; may be repeated.",
        ),
        click.option(
            "--allowed-signers",
            type=file,
            envvar="WATTBENCH_ALLOWED_SIGNERS",
            help="Who may have signed: a file as ssh-keygen reads it. Default: WATTBENCH_ALLOWED_SIGNERS.",
        ),
    ):
        command = option(command)
    return command


def expectation_of(allowed_signers: Path | None, signer_keys: tuple[Path, ...]) -> Expectation:
    """Return who is expected to have signed; a key that was named itself has to be among them."""
    named = [line for path in signer_keys for line in allowed_of(path)]
    if signer_keys and not named:
        raise UsageError(f"{signer_keys[0]} holds no public key", "it has no line of one", "Give the .pub file.")
    listed = () if allowed_signers is None else allowed_of(allowed_signers)
    return Expectation(allowed=tuple(named) if named else listed, required=bool(named or allowed_signers))


def allowed_of(path: Path) -> tuple[Allowed, ...]:
    """Return the keys that a file lists. Raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(LIST_MAX_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"Cannot read {path}", exc.strerror or str(exc), "Check the path.") from exc
    if len(data) > LIST_MAX_BYTES:
        raise UsageError(f"Cannot read {path}", f"it is larger than {LIST_MAX_BYTES} bytes", "Give a shorter list.")
    return parse_allowed(data.decode("utf-8", "replace"), str(path))
