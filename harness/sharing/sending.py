"""From result files to a store: each is made ready, spooled, and uploaded."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from wattbench.harness.sharing.owner import promised_withdrawal
from wattbench.harness.sharing.prepare import Prepared
from wattbench.harness.sharing.spool import Spool, SpoolItem
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines, plugin_names
from wattbench.results.store.contract import GROUP
from wattbench.results.store.open import open_store

__all__ = ["chosen", "spool_item", "store_name"]

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)


def store_name(name: str) -> str:
    """Return a store's name as it holds from any folder and in a later process; nothing on the network is asked.

    Raises UsageError for an unknown kind of store, StoreError for a folder that is none.
    """
    match = SCHEME.fullmatch(name)
    if match is None or match[1] == "file":
        store = open_store(name)
        return str(Path(store.uri).expanduser().absolute())
    if match[1] not in plugin_names(GROUP):
        raise UsageError(f"Unknown kind of store {match[1]!r}", *nearest_lines(match[1], plugin_names(GROUP)))
    if re.match(r"[^/]*@", match[2]):
        why = "the spool and other users of this machine would see them"
        raise UsageError("A user or password stands in the store's name", why, "Give credentials by the environment.")
    return name


def spool_item(spool: Spool, prepared: Prepared, store: str, uploader: str | None) -> SpoolItem:
    """Keep a prepared result in the spool, on its way to a store, and return its item. Raises StorageError."""
    package = prepared.package
    item = SpoolItem(
        id=package.id,
        store=store,
        schema=package.schema,
        kind=package.kind,
        blobs=tuple(blob.ref for blob in package.blobs),
        uploader=uploader,
        spooled_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        file=str(prepared.path.absolute()).encode(errors="backslashreplace").decode(),
        withdrawal=promised_withdrawal(package.id),
    )
    spool.put(item, package)
    return item


def chosen(items: Sequence[SpoolItem], wanted: str) -> tuple[SpoolItem, ...]:
    """Return the items of a document, or every one for "all". Raises UsageError when there is none."""
    found = tuple(item for item in items if wanted in ("all", item.id))
    if not found:
        known = ", ".join(dict.fromkeys(item.id for item in items)) or "nothing"
        raise UsageError(f"{wanted} is not in the spool", f"it holds {known}", "See bench push --pending.")
    return found
