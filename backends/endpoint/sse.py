"""Server-sent events out of a body: each event's data, and the place behind it."""

from collections.abc import Iterator

__all__ = ["events"]


def events(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the data of each event and the place in the body at which it was complete.

    Lines end with LF or CRLF; comments, ids and event names are passed over. Data that no empty line follows is an
    event all the same, since some servers leave out the last one.
    """
    if b"\r" not in body and b"\n\ndata: " in body:
        yield from _plain_events(body)
        return
    at, data = 0, None
    while at < len(body):
        end = body.find(b"\n", at)
        if end < 0:
            break
        line = body[at : end - 1] if body[end - 1 : end] == b"\r" and end > at else body[at:end]
        at = end + 1
        if line.startswith(b"data:"):
            value = line[6:] if line.startswith(b"data: ") else line[5:]
            data = value if data is None else data + b"\n" + value
        elif not line and data is not None:
            yield data, at
            data = None
    if data is not None:
        yield data, at


def _plain_events(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the events of a body without CR, in which nearly every event is one line of data: twice as fast."""
    at = 0
    for part in body.split(b"\n\n"):
        at += len(part) + 2
        if part.startswith(b"data: ") and b"\n" not in part:
            yield part[6:], min(at, len(body))
        elif part:
            lines = [
                line[6:] if line.startswith(b"data: ") else line[5:]
                for line in part.split(b"\n")
                if line[:5] == b"data:"
            ]
            if lines:
                yield b"\n".join(lines), min(at, len(body))
