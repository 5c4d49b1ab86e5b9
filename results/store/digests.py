"""Millions of ids in little memory: 32 bytes each, sorted when they are asked for."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy

from wattbench.results.store.layout import hex_of

__all__ = ["Digests"]

SIZE = 32


class Digests:
    """A bag of ids ("sha256:<hex>"): an id may have been given more than once, and is yielded once."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._joined = bytearray()
        self._sorted: Any = None  # any: an array of NumPy, a view of the bytes
        for each in ids:
            self.add(each)

    def add(self, result_id: str) -> None:
        """Add an id."""
        self._sorted = None  # bytes that are looked at cannot grow
        self._joined += bytes.fromhex(hex_of(result_id))

    def __len__(self) -> int:
        return len(self._joined) // SIZE

    def __contains__(self, result_id: str) -> bool:
        ids = self._array()
        wanted = numpy.array(bytes.fromhex(hex_of(result_id)), dtype=ids.dtype)
        place = int(numpy.searchsorted(ids, wanted))
        return place < len(ids) and bool(ids[place] == wanted)

    def __iter__(self) -> Iterator[str]:
        yield from map(_id, numpy.unique(self._array()))

    def repeated(self) -> Iterator[str]:
        """Yield the ids that were given more than once, each once, sorted."""
        ids = self._array()
        yield from map(_id, numpy.unique(ids[1:][ids[1:] == ids[:-1]]))

    def _array(self) -> Any:  # any: as above
        """Return the ids as sorted strings of bytes.

        NumPy leaves out zeros at the end of such a string, of all alike: equal stays equal, less stays less.
        """
        if self._sorted is None:
            kind = f"S{SIZE}"
            self._sorted = numpy.frombuffer(self._joined, dtype=kind) if self._joined else numpy.empty(0, dtype=kind)
            self._sorted.sort()
        return self._sorted


def _id(digest: bytes) -> str:
    return f"sha256:{digest.ljust(SIZE, bytes(1)).hex()}"
