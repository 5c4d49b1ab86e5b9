"""Pushes that died between the document and the log: whether one is, and completing it."""

from datetime import UTC, datetime

from wattbench.results.errors import DocumentError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import entry_prefix, log_key
from wattbench.results.store.publish import Published, publish_entry
from wattbench.results.store.read import has
from wattbench.results.store.records import LogEntry, from_bytes
from wattbench.results.store.whole import read_whole

__all__ = ["came_into_log", "complete"]


def came_into_log(store: ObjectStore, result_id: str) -> bool:
    """Say whether a document is in the log now, by the entries that its writers agreed upon."""
    agreed = store.keys(entry_prefix(result_id))
    return any(has(store, log_key(result_id, store.stamp(key))) for key in agreed)


def complete(store: ObjectStore, result_id: str, wattbench: str) -> Published:
    """Bring a document that is in the store into the log, in its writer's name where he left an entry.

    It and its files are read and checked first: raises MissingKeyError, TamperedError or DocumentError, and nothing is
    written then.
    """
    entry = _agreed(store, result_id)
    whole = read_whole(store, entry or _unsigned(result_id, wattbench))
    if whole.newer and entry is None:
        why = "only a newer wattbench knows which files belong to it"
        raise DocumentError(f"{store.uri}: {result_id} cannot be completed", why, "Upgrade wattbench.")
    return publish_entry(store, whole.package, whole.entry)


def _agreed(store: ObjectStore, result_id: str) -> LogEntry | None:
    """Return what a writer left as the document's entry, if there is such."""
    for key in store.keys(entry_prefix(result_id)):
        try:
            entry = from_bytes(store.get(key), LogEntry)
        except DocumentError:
            continue
        if entry.id == result_id:
            return entry
    return None


def _unsigned(result_id: str, wattbench: str) -> LogEntry:
    """Return an entry of nobody; what it says of the document is filled in when that was read."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return LogEntry(
        id=result_id, size_bytes=0, schema="", kind="", blobs=(), pushed_at=at, uploader=None, wattbench=wattbench
    )
