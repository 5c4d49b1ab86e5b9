"""What a kind of store gives: five operations on named bytes, none of which changes or deletes what is there."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

__all__ = ["GROUP", "ObjectStore"]

GROUP = "wattbench.stores"
"""The entry point group: the name is a URI's scheme, the value a function that opens the store of a URI."""


class ObjectStore(Protocol):
    """Named bytes that are written once. Keys are relative paths of ASCII letters, digits and `/-._`.

    Every method may raise StoreAccessError (it will not help to ask again) or StoreUnreachableError (it may).
    """

    uri: str
    """The store as people name it, without a secret."""

    def get(self, key: str) -> bytes:
        """Return what is stored under a key. Raises MissingKeyError."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Store bytes under a key that has none, all or nothing and durably; return whether they were new.

        False says that the key was there before; whether with the same bytes is not looked at. Of several writers at
        once exactly one gets True.
        """
        ...

    def stamp(self, key: str) -> datetime:
        """Return when a key was written, in UTC by the store's own clock. Raises MissingKeyError."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with a prefix, sorted; the prefix is empty or ends with a slash."""
        ...

    def close(self) -> None:
        """Let go of connections; nothing is lost without it."""
        ...
