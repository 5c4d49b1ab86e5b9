"""Opening a store by its name: a folder, or a URI whose scheme an installed package knows."""

import re
from datetime import UTC, datetime
from pathlib import Path

from wattbench.results.errors import DocumentError, MissingKeyError, StoreError, UsageError
from wattbench.results.plugins import load_plugin
from wattbench.results.store.contract import GROUP, ObjectStore
from wattbench.results.store.layout import AUDITORS, MARKER
from wattbench.results.store.local import LocalStore
from wattbench.results.store.records import FORMAT, Marker, from_bytes, to_bytes

__all__ = ["init_store", "open_store"]

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)


def open_store(name: str) -> ObjectStore:
    """Return the store of a folder or URI, which must be one already.

    Raises UsageError for an unknown scheme, StoreError when there is none (`bench store init` makes it) or it is of a
    newer kind, StoreAccessError, StoreUnreachableError.
    """
    return _checked(_backend(name))


def _checked(store: ObjectStore) -> ObjectStore:
    """Return a store whose marker says that it is one of ours."""
    try:
        marker = from_bytes(store.get(MARKER), Marker)
    except MissingKeyError as exc:
        remedy = f"Check the name, or make one there: bench store init {store.uri}"
        raise StoreError(f"{store.uri} is no store of results", f"it has no {MARKER}", remedy) from exc
    except DocumentError as exc:
        raise StoreError(f"{store.uri} is no store of results", f"{MARKER}: {exc.what}", "Check the name.") from exc
    if marker.format != FORMAT:
        why = f"it says {marker.format!r:.80}, this wattbench knows {FORMAT}"
        raise StoreError(f"{store.uri} is a store of another kind", why, "Upgrade wattbench.")
    return store


def init_store(name: str, auditors: bytes = b"") -> tuple[ObjectStore, bool]:
    """Make a folder or bucket a store and return it; False says that it was one already.

    `auditors` are the keys whose notes count as audits (docs/trust.md#tiers), written before the store is one, an empty
    list too, so that nobody else can write them.
    Raises what `open_store` raises; a local folder is made when its parent is there.
    """
    store = _backend(name, make=True)
    try:
        store.get(MARKER)  # asked first: some services make a bucket of any name when they are written to
    except MissingKeyError:
        store.create(AUDITORS, auditors)
        marker = Marker(created_at=datetime.now(UTC).isoformat(timespec="seconds"))
        new = store.create(MARKER, to_bytes(marker))
    else:
        new = False
    return _checked(store), new


def _backend(name: str, *, make: bool = False) -> ObjectStore:
    match = SCHEME.fullmatch(name)
    if match is None or match[1] == "file":
        folder = Path(name if match is None else match[2]).expanduser()
        if make:
            _make(folder)
        if not folder.is_dir():
            raise StoreError(
                f"There is no store {folder}", "no such folder", f"Make one there: bench store init {folder}"
            )
        return LocalStore(folder)
    store: ObjectStore = load_plugin(GROUP, match[1], "kind of store")(name)
    return store


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        remedy = "Make the folder above it first, or choose another place."
        raise UsageError(f"Cannot make the store {folder}", exc.strerror or str(exc), remedy) from exc
