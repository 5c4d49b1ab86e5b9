"""`bench push`: results into a store, through the spool; without a result it goes on with what is there."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from wattbench.harness.cli.escape import visible
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.sharing import INTERRUPTED, NOT_UPLOADED, TIMEOUT_MAX_S, say, uploaded, uploader_name
from wattbench.harness.knobs import check_text, user_path
from wattbench.harness.sharing.owner import read_owner
from wattbench.harness.sharing.prepare import Prepared, prepare
from wattbench.harness.sharing.sending import chosen, spool_item, store_name
from wattbench.harness.sharing.spool import Contents, SpoolItem, default_spool
from wattbench.harness.sharing.upload import PUSH_TIMEOUT_S, Retry
from wattbench.results.errors import UsageError, WattbenchError
from wattbench.results.files import put_file
from wattbench.results.privacy import PrivacyRecord
from wattbench.results.store.layout import blob_key, entry_key, hex_of, object_key
from wattbench.results.store.privacy import Owner

__all__ = ["command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldWrite:
    """One thing that a push writes: its key in the store, size and digest; a log entry's are the store's to say."""

    key: str
    size_bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a push of one result would write, what was hashed or removed (None: nothing), and what to know of it."""

    id: str
    writes: tuple[WouldWrite, ...]
    privacy: PrivacyRecord | None
    notes: tuple[str, ...]


@click.command("push")
@click.argument("results", metavar="[RESULT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", "store", metavar="STORE", help="The store: a folder, s3://BUCKET/PREFIX, gs://..., az://...")
@click.option("--keep-identifiers", is_flag=True, help="Upload host names, UUIDs, serial numbers and paths unhashed.")
@click.option("--allow-incomplete", is_flag=True, help="Upload results that did not end well, too.")
@click.option("--dry-run", is_flag=True, help="Show the exact bytes of one result; upload nothing.")
@click.option("--out", "-o", metavar="FILE", help="With --dry-run: write the document there.")
@click.option("--uploader", metavar="NAME", help="What the log calls you [default: nothing, or WATTBENCH_UPLOADER].")
@click.option(
    "--push-timeout",
    "timeout_s",
    type=click.FloatRange(0, TIMEOUT_MAX_S),
    default=PUSH_TIMEOUT_S,
    metavar="S",
    help=f"How long to try [default: {PUSH_TIMEOUT_S:g}].",
)
@click.option("--pending", is_flag=True, help="List what is in the spool; upload nothing.")
@click.option("--forget", "gone", metavar="ID", help="Delete a document (or all) from the spool; upload nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run or --pending: the answer as JSON.")
def command(
    results: tuple[Path, ...],
    store: str | None,
    keep_identifiers: bool,
    allow_incomplete: bool,
    dry_run: bool,
    out: str | None,
    uploader: str | None,
    timeout_s: float,
    pending: bool,
    gone: str | None,
    as_json: bool,
) -> int:
    """Upload results to a store; without a RESULT, go on with what could not be uploaded before.

    Host and user names, home folders, serial numbers, UUIDs and addresses are hashed with your own key first; --dry-run
    shows what is left. Each result is kept in a spool until the store has it. Exit code 4: not all is uploaded yet.
    """
    check_text("--to", store)
    spool = default_spool()
    if pending or gone is not None:
        contents = spool.contents()
        for item in () if gone is None else chosen(contents.items, gone):
            spool.forget(item)
        return _print_pending(spool.contents(), as_json)
    if dry_run:
        return _dry_run(results, not keep_identifiers, allow_incomplete, user_path("--out", out), as_json)
    target = None if store is None else store_name(store)
    if results and target is None:
        raise UsageError("bench push: no store is named", "--to is missing", "Add --to STORE.")
    try:
        if target is None or not results:
            return _resume(target, timeout_s)
        owner = None if keep_identifiers else read_owner()
        items = list(_spooled(results, owner, allow_incomplete, target, uploader_name(uploader)))
        code = uploaded(spool, items, Retry(timeout_s=timeout_s))
        return 1 if len(items) < len(results) else code
    except KeyboardInterrupt:
        say(INTERRUPTED)
        return NOT_UPLOADED


def _spooled(
    results: tuple[Path, ...], owner: Owner | None, allow_incomplete: bool, store: str, uploader: str | None
) -> Iterator[SpoolItem]:
    """Spool results one by one and yield their items; those that may not be uploaded are named on standard error."""
    for path in results:
        try:
            prepared = prepare(path, owner, allow_incomplete=allow_incomplete)
        except WattbenchError as exc:
            say(f"Error: {exc}".split("\n"))
        else:
            say([f"note            {path}: {note}" for note in prepared.notes])
            yield spool_item(default_spool(), prepared, store, uploader)


def _resume(store: str | None, timeout_s: float) -> int:
    """Upload what lies in the spool (for one store, if given), whoever put it there."""
    spool = default_spool()
    contents = spool.contents()
    items = [item for item in contents.items if store in (None, item.store)]
    if not items:
        say(["Nothing is waiting to be uploaded."])
    code = uploaded(spool, items, Retry(timeout_s=timeout_s))
    _say_problems(contents)
    return 1 if contents.problems else code


def _say_problems(contents: Contents) -> None:
    for problem in contents.problems:
        say(f"Error: {problem}".split("\n"))


def _print_pending(contents: Contents, as_json: bool) -> int:
    if as_json:
        print_json(contents.items)
    else:
        lines = [f"{item.spooled_at}  {item.id}  to {item.store}  from {item.file}" for item in contents.items]
        print_lines(lines or ["Nothing is waiting to be uploaded."])
    _say_problems(contents)
    return 1 if contents.problems else 0


def _dry_run(results: tuple[Path, ...], private: bool, incomplete: bool, out: Path | None, as_json: bool) -> int:
    """Show what a push of one result would write: the document's bytes, and the rest in words."""
    if len(results) != 1:
        raise UsageError("--dry-run shows one result", f"{len(results)} are named", "Name one RESULT.")
    prepared = prepare(results[0], read_owner() if private else None, allow_incomplete=incomplete)
    shown = _shown(prepared)
    if out is not None:
        if out.exists():
            raise UsageError(f"{out} exists already", "nothing is overwritten", "Choose another --out.")
        put_file(out, prepared.package.data)
    if as_json:
        print_json(shown)
        return 0
    say(_dry_lines(shown))
    if out is None:
        _print_bytes(prepared.package.data)
    else:
        say([f"look at it      python -m json.tool {shlex.quote(str(out))}"])
    return 0


def _print_bytes(data: bytes) -> None:
    """Print a document's own bytes, without a newline at their end; to a terminal with its unseen signs as escapes."""
    text = data.decode()
    if sys.stdout.isatty():
        text = visible(text)
    elif (sys.stdout.encoding or "").lower().replace("-", "") != "utf8" and not text.isascii():
        why = f"standard output takes {sys.stdout.encoding}, not UTF-8"
        raise UsageError("The exact bytes cannot be printed", why, "Write them into a file: --out FILE.")
    click.echo(text, nl=False)


def _shown(prepared: Prepared) -> DryRun:
    package = prepared.package
    writes = [
        WouldWrite(key=blob_key(b.ref.name), size_bytes=len(b.data), sha256=b.ref.name.split(".")[0])
        for b in package.blobs
    ]
    writes.append(WouldWrite(key=object_key(package.id), size_bytes=len(package.data), sha256=hex_of(package.id)))
    log = f"v1/log/<day>/<time>-{hex_of(package.id)}.json"
    writes += [WouldWrite(key=key, size_bytes=None, sha256=None) for key in (entry_key(package.id, 0), log)]
    privacy = prepared.document.privacy
    return DryRun(id=package.id, writes=tuple(writes), privacy=privacy, notes=prepared.notes)


def _dry_lines(shown: DryRun) -> list[str]:
    lines = [f"id              {shown.id}"]
    lines += [
        f"would write     {write.key}" + ("" if write.size_bytes is None else f" ({write.size_bytes} bytes)")
        for write in shown.writes
    ]
    if shown.privacy is None:
        lines.append("left out        nothing: identifiers stay in the document")
    else:
        lines += [f"hashed          {path}" for path in shown.privacy.hashed]
        lines += [f"removed         {path}" for path in shown.privacy.removed]
    return [*lines, *(f"note            {note}" for note in shown.notes)]
