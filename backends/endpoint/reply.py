"""One answer while it arrives: bytes with the times of their reads, and where HTTP says that it ends."""

from array import array
from bisect import bisect_left
from dataclasses import dataclass

__all__ = ["BODY_MAX_BYTES", "Body", "HttpError", "Reply"]

HEAD_MAX_BYTES = 65_536
BODY_MAX_BYTES = 256 * 2**20
"""An answer of this size does not end; a million tokens take half of it."""

CHUNKED, LENGTH, CLOSE = 1, 2, 3
"""How an answer's end is told: by its last chunk, by its length, by the end of the connection."""


class HttpError(Exception):
    """What arrived is not HTTP."""


@dataclass(frozen=True, slots=True)
class Body:
    """An answer's body without its framing; `pieces` are (place in the body, place in what was received)."""

    data: bytes
    pieces: list[tuple[int, int]]


class Reply:
    """An answer that arrives: `take` what was read, until it says that the answer is whole.

    `ends` is how many bytes had been received by each read, `kernel_ns` and `user_ns` when the kernel received its
    last byte (CLOCK_REALTIME, 0 where it does not say) and when it was read (perf_counter_ns).
    """

    __slots__ = (
        "_chunks",
        "_how",
        "_length",
        "_next",
        "data",
        "ends",
        "head_end",
        "keeps_open",
        "kernel_ns",
        "status",
        "user_ns",
    )

    def __init__(self) -> None:
        self.data = bytearray()
        self.ends, self.kernel_ns, self.user_ns = array("q"), array("q"), array("q")
        self.head_end = self.status = self._how = self._length = self._next = 0
        self.keeps_open = True
        self._chunks: list[tuple[int, int]] = []

    def take(self, data: bytes, kernel_ns: int, user_ns: int) -> bool:
        """Keep what was read and return whether the answer is whole. Raises HttpError when it is not HTTP."""
        self.data += data
        self.ends.append(len(self.data))
        self.kernel_ns.append(kernel_ns)
        self.user_ns.append(user_ns)
        if not self.head_end and not self._read_head():
            return False
        if len(self.data) > BODY_MAX_BYTES:
            raise HttpError(f"the answer is longer than {BODY_MAX_BYTES} bytes")
        if self._how == CHUNKED:
            return self.data.endswith(b"\r\n\r\n") and self._walk()
        return self._how == LENGTH and len(self.data) >= self.head_end + self._length

    def closed(self) -> bool:
        """Say that the connection ended; return whether the answer is whole by that."""
        self.keeps_open = False
        return bool(self.head_end) and self._how == CLOSE

    def body(self) -> Body:
        """Return the body that has arrived, whole or not. Raises HttpError for broken chunks."""
        if self._how != CHUNKED:
            end = self.head_end + self._length if self._how == LENGTH else len(self.data)
            return Body(bytes(self.data[self.head_end : end]), [(0, self.head_end)])
        self._walk()
        pieces, place = [], 0
        for start, size in self._chunks:
            pieces.append((place, start))
            place += size
        return Body(b"".join([self.data[start : start + size] for start, size in self._chunks]), pieces)

    def read_of(self, place: int) -> int:
        """Return the number of the read that brought the byte before a place in what was received."""
        return bisect_left(self.ends, place)

    def _read_head(self) -> bool:
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            if len(self.data) > HEAD_MAX_BYTES:
                raise HttpError(f"the head of the answer is longer than {HEAD_MAX_BYTES} bytes")
            if len(self.data) >= len(b"HTTP/1.") and not self.data.startswith(b"HTTP/1."):
                raise HttpError(f"it begins with {bytes(self.data[:16])!r}")
            return False
        first, *lines = bytes(self.data[:end]).split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise HttpError(f"its first line is {first[:60]!r}")
        self.status, self.head_end = int(rest[:3]), end + 4
        self._next = self.head_end
        if self.status // 100 == 1:  # an interim answer; the real one follows
            self._drop_head()
            return bool(self.data) and self._read_head()
        self._read_framing(version, {k.strip().lower(): v.strip() for k, _, v in (x.partition(b":") for x in lines)})
        return True

    def _drop_head(self) -> None:
        del self.data[: self.head_end]
        self.ends = array("q", [max(0, end - self.head_end) for end in self.ends])
        self.head_end = self.status = 0

    def _read_framing(self, version: bytes, headers: dict[bytes, bytes]) -> None:
        connection = headers.get(b"connection", b"").lower()
        self.keeps_open = b"close" not in connection and (version != b"HTTP/1.0" or b"keep-alive" in connection)
        if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            self._how = CHUNKED
        elif (length := headers.get(b"content-length")) is not None:
            if not length.isdigit():
                raise HttpError(f"its length is {length[:40]!r}")
            self._how, self._length = LENGTH, int(length)
        elif self.status in (204, 304):
            self._how, self._length = LENGTH, 0
        else:
            self._how, self.keeps_open = CLOSE, False

    def _walk(self) -> bool:
        """Note the chunks from where the last walk stopped; return whether the last one is there."""
        data, at, length = self.data, self._next, len(self.data)
        while True:
            line = data.find(b"\r\n", at)
            if line < 0:
                break
            try:
                size = int(data[at:line], 16)
            except ValueError:
                size = _size_of(bytes(data[at:line]))
            start = line + 2
            if size == 0:  # trailers, if any, end with an empty line
                return data.startswith(b"\r\n", start) or data.find(b"\r\n\r\n", start) >= 0
            if start + size + 2 > length:
                break
            self._chunks.append((start, size))
            self._next = at = start + size + 2
        return False


def _size_of(line: bytes) -> int:
    """Return the size of a chunk that has extensions behind it. Raises HttpError where there is none."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError as exc:
        raise HttpError(f"a chunk's size is {line[:20]!r}") from exc
