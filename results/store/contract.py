"""What a kind of store gives: five operations on named bytes, none of which changes or deletes what is there."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

__all__ = ["GET_MAX_BYTES", "GROUP", "ObjectStore"]

GROUP = "wattbench.stores"
"""The entry point group: the name is a URI's scheme, the value a function that opens the store of a URI."""

GET_MAX_BYTES = 512 * 1024 * 1024
"""The most that is read of one key, so that a foreign file cannot fill the memory; twice the largest document."""


class ObjectStore(Protocol):
    """Named bytes that are written once. Keys are relative paths of ASCII letters, digits and `/-._`.

    Every method may raise StoreAccessError (it will not help to ask again) or StoreUnreachableError (it may).
    """

    uri: str
    """The store as people name it, without a secret."""

    def get(self, key: str) -> bytes:
        """Return what is stored under a key. Raises MissingKeyError, or TamperedError for what is none of ours.

        That is what has more than GET_MAX_BYTES, or is no file.
        """
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Store bytes under a key that has none, all or nothing and durably; return whether they were new.

        False says that the key is there; whether with the same bytes is not looked at. Of several writers at once at
        most one gets True (none when the service's answer to the winner got lost and was asked for again).
        """
        ...

    def stamp(self, key: str) -> datetime:
        """Return when a key was written, in UTC by the store's own clock. Raises MissingKeyError."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with a prefix, one after the other as they arrive, sorted as the store sorts.

        The prefix is empty or ends with a slash. Nothing but speed may depend on the order of foreign keys.
        """
        ...

    def close(self) -> None:
        """Let go of connections; nothing is lost without it."""
        ...
