"""`bench log`: what came into a store when, and what was noted about it since."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.errors import DocumentError, StoreError, StoreUnreachableError, UsageError
from wattbench.results.store.annotate import noted_ids
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import id_of_log_key, time_of_log_key
from wattbench.results.store.open import open_store
from wattbench.results.store.read import log_keys, notes, read_entry
from wattbench.results.store.records import LogEntry, Note, is_withdrawal

__all__ = ["command"]

LIMIT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One entry of the log: its document, when the store got it by its own clock, and the notes about it.

    `entry` is None where it cannot be read, and `problem` says why; so it does of notes.
    """

    id: str
    at: str
    withdrawn: bool
    entry: LogEntry | None
    notes: tuple[Note, ...]
    problem: str | None


@click.command("log")
@click.argument("store_name", metavar="STORE")
@click.option("--since", metavar="DATE", help="From this day on (UTC), e.g. 2026-11-28.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, metavar="N", help=f"The newest N [default: {LIMIT}].")
@click.option("--json", "as_json", is_flag=True, help="The entries as JSON, for machines.")
def command(store_name: str, since: str | None, limit: int, as_json: bool) -> int:
    """List what came into a store, the newest first, with the notes about it; withdrawn results are marked.

    What the entries state (size, kind, who uploaded) is their writers' word; `bench pull` and `bench verify` check.
    """
    store = open_store(store_name)
    try:
        newest = deque(log_keys(store, _day(since)), maxlen=limit)
        noted = set(noted_ids(store)) if newest else set()
        found = tuple(_logged(store, key, noted) for key in reversed(newest))
    finally:
        store.close()
    if as_json:
        print_json(found)
    else:
        print_lines(line for logged in found for line in _lines(logged))
        if not found:
            print_lines(["The log is empty." if since is None else f"Nothing came since {since}."])
    return 0


def _day(since: str | None) -> datetime | None:
    """Return the day as an instant. Raises UsageError for what is none."""
    if since is None:
        return None
    try:
        at = datetime.fromisoformat(since)
    except ValueError as exc:
        raise UsageError("--since is no date", f"got {since!r}", "For example 2026-11-28.") from exc
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _logged(store: ObjectStore, key: str, noted: set[str]) -> Logged:
    result_id, at = id_of_log_key(key), time_of_log_key(key)
    assert result_id is not None, "log_keys gives keys of the log"
    problems: list[str] = []
    entry: LogEntry | None = None
    said: tuple[Note, ...] = ()
    try:
        entry = read_entry(store, key)
    except StoreUnreachableError:
        raise
    except (DocumentError, StoreError) as exc:
        problems.append(f"{exc.what}: {exc.why}")
    try:
        said = notes(store, result_id) if result_id in noted else ()
    except StoreUnreachableError:
        raise
    except (DocumentError, StoreError) as exc:
        problems.append(f"its notes cannot be read: {exc.what}: {exc.why}")
    return Logged(
        id=result_id,
        at="unknown" if at is None else at.isoformat(timespec="milliseconds"),
        withdrawn=entry is not None and any(is_withdrawal(note, entry.uploader, entry.withdrawal) for note in said),
        entry=entry,
        notes=said,
        problem="; ".join(problems) or None,
    )


def _lines(logged: Logged) -> Iterator[str]:
    entry = logged.entry
    facts = [] if entry is None else [entry.kind, f"{entry.size_bytes} bytes"]
    facts += [f"by {entry.uploader}"] if entry is not None and entry.uploader is not None else []
    facts += ["WITHDRAWN"] if logged.withdrawn else []
    yield _one_line(f"{logged.at[:19].replace('T', ' ')}  {logged.id}  {', '.join(facts)}".rstrip())
    if logged.problem is not None:
        yield f"    cannot be read: {_one_line(logged.problem)}"
    for note in logged.notes:
        other = f" {note.other}" if note.other is not None else ""
        by = f" by {note.by}" if note.by is not None else ""
        yield _one_line(f"    {note.kind}{other} ({note.at[:10]}{by}): {note.text}")


def _one_line(text: str) -> str:
    """Return a text of others on one line, so that it cannot look like an entry of the log."""
    return text.replace("\n", "\\x0a")
