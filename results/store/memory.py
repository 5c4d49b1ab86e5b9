"""A store in the memory of this process, for tests and trials."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from wattbench.results.errors import MissingKeyError

__all__ = ["MemoryStore"]


class MemoryStore:
    """Holds everything in a dictionary; gone with the process."""

    def __init__(self, uri: str = "memory://") -> None:
        self.uri = uri
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
            self._data[key] = (bytes(data), datetime.now(UTC))
            return True

    def stamp(self, key: str) -> datetime:
        """Return when a key was written. Raises MissingKeyError."""
        return self._found(key)[1]

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix, sorted."""
        yield from sorted(key for key in self._data if key.startswith(prefix))

    def close(self) -> None:
        """Nothing to let go of."""

    def _found(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._data[key]
        except KeyError:
            raise MissingKeyError(f"{self.uri} has no {key}") from None
