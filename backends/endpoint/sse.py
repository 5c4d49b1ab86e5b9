"""Server-sent events out of a body: each event's data, and the place behind it."""

__all__ = ["events"]


def events(body: bytes) -> list[tuple[bytes, int]]:
    """Return the data of each event and the place in the body at which it was complete.

    Lines end with LF or CRLF; comments, ids and event names are passed over. Data that no empty line follows is an
    event all the same, since some servers leave out the last one.
    """
    if b"\r" not in body and b"\n\ndata: " in body:
        return _plain_events(body)
    found, at, data = [], 0, None
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
            found.append((data, at))
            data = None
    if data is not None:
        found.append((data, at))
    return found


def _plain_events(body: bytes) -> list[tuple[bytes, int]]:
    """Return the events of a body without CR, in which nearly every event is one line of data: twice as fast."""
    found, at = [], 0
    for part in body.split(b"\n\n"):
        at += len(part) + 2
        if part.startswith(b"data: ") and b"\n" not in part:
            found.append((part[6:], at))
        elif part:
            lines = [
                line[6:] if line.startswith(b"data: ") else line[5:]
                for line in part.split(b"\n")
                if line[:5] == b"data:"
            ]
            if lines:
                found.append((b"\n".join(lines), at))
    if found and found[-1][1] > len(body):  # nothing follows the last one
        found[-1] = (found[-1][0], len(body))
    return found
