"""Opening a store with its index for a command, brought up to date, with a line of progress where that takes long."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from wattbench.harness.storage import cache_directory
from wattbench.harness.trust.indexing import verified_facts
from wattbench.results.index.place import OpenIndex, open_index
from wattbench.results.index.refresh import Refreshed, refresh
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.open import open_store

__all__ = ["OpenStore", "opened_store", "refreshed"]

REPORT_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """A store and its index."""

    store: ObjectStore
    place: OpenIndex


@contextmanager
def opened_store(name: str) -> Iterator[OpenStore]:
    """Give a store and its index as it is; both are closed afterwards."""
    store = open_store(name)
    try:
        place = open_index(store, cache_directory())
        try:
            yield OpenStore(store=store, place=place)
        finally:
            place.index.close()
    finally:
        store.close()


def refreshed(opened: OpenStore, *, full: bool = False, quiet: bool = False) -> Refreshed:
    """Bring the index up to the store, saying on standard error how far it is."""
    last = monotonic()

    def report(documents: int) -> None:
        nonlocal last
        if not quiet and monotonic() - last >= REPORT_EVERY_S:
            last = monotonic()
            sys.stderr.write(f"indexed {documents} documents\n")
            sys.stderr.flush()

    return refresh(opened.store, opened.place.index, full=full, facts=verified_facts, report=report)
