"""A store in the memory of this process: for tests, and as a target that keeps nothing."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from wattbench.results.errors import MissingKeyError
from wattbench.results.store.layout import MARKER
from wattbench.results.store.records import Marker, to_bytes

__all__ = ["MemoryStore", "open_memory"]


def open_memory(uri: str) -> "MemoryStore":
    """Return a new store, which is gone with the process."""
    store = MemoryStore(uri)
    store.create(MARKER, to_bytes(Marker(created_at=datetime.now(UTC).isoformat(timespec="seconds"))))
    return store


class MemoryStore:
    """Holds everything in a dictionary; `clock` gives the times of what is written."""

    def __init__(self, uri: str = "memory://", clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.uri = uri
        self._clock = clock
        self._data: dict[str, tuple[bytes, datetime]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes:
        """Return what is stored under a key. Raises MissingKeyError."""
        return self._found(key)[0]

    def create(self, key: str, data: bytes) -> bool:
        """Store bytes under a key that has none; return whether they were new."""
        with self._lock:
            if key in self._data:
                return False
            self._data[key] = (bytes(data), self._clock())
            return True

    def stamp(self, key: str) -> datetime:
        """Return when a key was written. Raises MissingKeyError."""
        return self._found(key)[1]

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix, sorted."""
        with self._lock:
            found = sorted(key for key in self._data if key.startswith(prefix))
        yield from found

    def close(self) -> None:
        """Nothing to let go of."""

    def _found(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._data[key]
        except KeyError:
            raise MissingKeyError(f"{self.uri} has no {key}") from None
