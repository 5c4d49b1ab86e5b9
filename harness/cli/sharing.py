"""What `bench push`, `run --push` and `sweep --push` have in common: options, lines, exit codes."""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from wattbench.harness.cli.escape import visible
from wattbench.harness.knobs import check_text
from wattbench.harness.sharing.owner import read_owner
from wattbench.harness.sharing.prepare import Prepared, prepare
from wattbench.harness.sharing.sending import spool_item, store_name
from wattbench.harness.sharing.spool import Spool, SpoolItem, default_spool
from wattbench.harness.sharing.upload import PUSH_TIMEOUT_S, Retry, Upload, upload_all
from wattbench.results.errors import WattbenchError

__all__ = [
    "INTERRUPTED",
    "NOT_UPLOADED",
    "TIMEOUT_MAX_S",
    "PushRequest",
    "check_push",
    "combined_code",
    "push_after_run",
    "push_options",
    "say",
    "uploaded",
    "uploader_name",
]

NOT_UPLOADED = 4
"""The exit code for a result that was measured, and is not in the store yet."""

INTERRUPTED = ("Interrupted: what is not uploaded stays in the spool.", "go on           bench push")

TIMEOUT_MAX_S = 86400.0

META = "wattbench.push"

Command = TypeVar("Command", bound=Callable[..., Any])  # any: click's commands take whatever their options give


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """Where a measured result is to go, how long to try, and whether its identifiers stay in it."""

    store: str
    timeout_s: float
    keep_identifiers: bool


def push_options(command: Command) -> Command:
    """Give a command that measures the options of `--push`; `check_push` tells what they said."""
    for option in (
        click.option(
            "--keep-identifiers", is_flag=True, expose_value=False, callback=_remember, help="Upload them unhashed."
        ),
        click.option(
            "--push-timeout",
            type=click.FloatRange(0, TIMEOUT_MAX_S),
            default=PUSH_TIMEOUT_S,
            metavar="S",
            expose_value=False,
            callback=_remember,
            help=f"How long to try to upload [default: {PUSH_TIMEOUT_S:g}].",
        ),
        click.option(
            "--push",
            metavar="STORE",
            expose_value=False,
            callback=_remember,
            help="Upload the result to a store; what cannot be uploaded now goes on with `bench push`.",
        ),
    ):
        command = option(command)
    return command


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # any: an option's value
    ctx.meta.setdefault(META, {})[param.name] = value


def check_push() -> PushRequest | None:
    """Return what `--push` asks for, None without it; before anything is measured.

    Raises UsageError for a store that cannot be meant, StoreError for a folder that is none.
    """
    said = click.get_current_context().meta.get(META, {})
    if said.get("push") is None:
        return None
    check_text("--push", said["push"])
    store = store_name(said["push"])
    return PushRequest(store=store, timeout_s=said["push_timeout"], keep_identifiers=said["keep_identifiers"])


def uploader_name(flag: str | None = None) -> str | None:
    """Return what the uploader wants to be called: --uploader, or WATTBENCH_UPLOADER; None: nothing."""
    name = flag if flag is not None else os.environ.get("WATTBENCH_UPLOADER") or None
    check_text("--uploader", name)
    return name


def push_after_run(paths: Sequence[Path], request: PushRequest) -> int:
    """Spool and upload measured results, say what became of them on standard error, and return 0 or 4."""
    try:
        spool, items = default_spool(), []
        for path in paths:
            try:
                owner = None if request.keep_identifiers else read_owner()
                prepared = prepare(path, owner)
                items.append(spool_item(spool, prepared, request.store, uploader_name()))
            except WattbenchError as exc:
                words = ("bench", "push", str(path), "--to", request.store)
                say([f"not uploaded    {path}", *str(exc).split("\n"), f"go on           {shlex.join(words)}"])
            else:
                say(_note_lines(prepared))
        code = uploaded(spool, items, Retry(timeout_s=request.timeout_s))
        return NOT_UPLOADED if len(items) < len(paths) else code
    except WattbenchError as exc:
        say([*(f"not uploaded    {path}" for path in paths), *str(exc).split("\n")])
        return NOT_UPLOADED
    except KeyboardInterrupt:
        say(INTERRUPTED)
        return NOT_UPLOADED


def _note_lines(prepared: Prepared) -> list[str]:
    return [f"note            {prepared.path}: {note}" for note in prepared.notes]


def uploaded(spool: Spool, items: Sequence[SpoolItem], retry: Retry) -> int:
    """Upload items of the spool, say what became of each on standard error, and return 0, or 4 for pending ones."""
    code = 0
    for upload in upload_all(spool, items, retry):
        say(_upload_lines(upload))
        if upload.standing in ("pending", "busy"):
            code = NOT_UPLOADED
    if code:
        say(["go on           bench push"])
    return code


def combined_code(measured: int, pushed: int) -> int:
    """Return the exit code of a run and its upload: a failed run's, then that of the upload, then the verdict's.

    The verdict stands in the document whatever the code says; that the upload is still to be done stands nowhere else.
    """
    return measured if measured in (1, 2) or not pushed else pushed


def say(lines: Sequence[str]) -> None:
    """Print lines for people on standard error, safely."""
    for line in lines:
        click.echo(visible(line), err=True)


def _upload_lines(upload: Upload) -> list[str]:
    item = upload.item
    if upload.standing == "new":
        return [f"uploaded        {item.id} to {item.store}"]
    if upload.standing == "present":
        return [f"there already   {item.id} in {item.store}"]
    if upload.standing == "busy":
        return [f"not uploaded    {item.id}: another process has it in hand"]
    after = f" after {upload.tries} tries" if upload.tries > 1 else ""
    return [f"not uploaded    {item.id} to {item.store}{after}", *str(upload.error).split("\n")]
