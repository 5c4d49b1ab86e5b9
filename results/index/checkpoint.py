"""Checkpoints of a store's log: the keys of settled days in a few files, so that nobody lists ten thousand days.

A checkpoint covers the log from where the one before it ends up to a time of its own, and is written once, under a
name that says both: `v1/index/log/<from>-<to>-<digest>.gz`, the keys one a line. Readers follow the chain from the
start as far as it goes and list the rest. A checkpoint is derived: nothing of the log is deleted, and whoever mistrusts
one reads the log itself (`bench store reindex --full`).
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wattbench.results.errors import TamperedError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import id_of_log_key, time_of_log_key
from wattbench.results.store.read import log_keys

__all__ = ["OVERLAP", "PREFIX", "Covered", "covered", "log_keys_of", "write_checkpoint"]

PREFIX = "v1/index/log/"
NAME = re.compile(re.escape(PREFIX) + r"(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)-([0-9a-f]{16})\.gz")
TIME = "%Y%m%dT%H%M%SZ"
START = "00010101T000000Z"

OVERLAP = timedelta(hours=24)
"""How long an entry may appear in the log after the time that its key says (docs/store.md): younger ones are listed."""

SETTLED = 2 * OVERLAP
"""How old an entry is before it may be in a checkpoint: twice the overlap, since clocks differ."""

KEYS_MAX = 500_000
"""The most keys of one checkpoint, so that a reader's memory stays small."""

BYTES_MAX = 256 * KEYS_MAX
"""The most that a checkpoint may unpack to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The checkpoints that follow each other from the start of the log, and the time up to which they cover it."""

    names: tuple[str, ...]
    to: datetime | None


def covered(store: ObjectStore) -> Covered:
    """Return the chain of checkpoints that reaches furthest."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in store.keys(PREFIX):
        match = NAME.fullmatch(name)
        if match is not None and match[1] < match[2]:
            found.setdefault(match[1], []).append((match[2], name))
    names, at = [], START
    while at in found:
        at, name = max(found[at])
        names.append(name)
    return Covered(names=tuple(names), to=_time(at) if names else None)


def log_keys_of(store: ObjectStore, name: str) -> Iterator[str]:
    """Yield the log's keys in a checkpoint. Raises TamperedError when it is not what its name says."""
    data, match = store.get(name), NAME.fullmatch(name)
    if match is None or hashlib.sha256(data).hexdigest()[:16] != match[3]:
        raise _altered(store, name, "its bytes do not have the digest in its name")
    try:
        text = _unpacked(data).decode("ascii")
    except (ValueError, EOFError, OSError, zlib.error) as exc:
        raise _altered(store, name, str(exc)) from exc
    yield from (key for key in text.split("\n") if id_of_log_key(key) is not None)


def write_checkpoint(store: ObjectStore, now: datetime) -> tuple[str, ...]:
    """Write what is settled and not yet covered into checkpoints; return their names, none when there is nothing.

    Ending it at any point and starting again is right: a checkpoint is there whole or not at all.
    """
    names: list[str] = []
    horizon = (now - SETTLED).replace(microsecond=0)
    start = covered(store).to
    for keys, end in _portions(store, start, horizon):
        data = gzip.compress("\n".join(keys).encode("ascii"), mtime=0)
        begin = START if start is None else start.strftime(TIME)
        name = f"{PREFIX}{begin}-{end.strftime(TIME)}-{hashlib.sha256(data).hexdigest()[:16]}.gz"
        store.create(name, data)
        names.append(name)
        start = end
    return tuple(names)


def _portions(
    store: ObjectStore, start: datetime | None, horizon: datetime
) -> Iterator[tuple[Sequence[str], datetime]]:
    """Yield settled keys, at most `KEYS_MAX` at a time, each portion with the whole second that it ends before."""
    keys: list[str] = []
    last: datetime | None = None
    for key in log_keys(store, start):
        at = time_of_log_key(key)
        if at is None or (start is not None and at < start):
            continue
        if at >= horizon:
            break
        second = at.replace(microsecond=0)
        if len(keys) >= KEYS_MAX and last is not None and second > last:
            yield keys, second
            keys = []
        keys.append(key)
        last = second
    if keys:
        yield keys, horizon


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(data, BYTES_MAX)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("it is cut off, or unpacks to more than a checkpoint may")
    return text


def _time(text: str) -> datetime:
    return datetime.strptime(text, TIME).replace(tzinfo=UTC)


def _altered(store: ObjectStore, name: str, why: str) -> TamperedError:
    remedy = "`bench store reindex --full` reads the log itself; tell whoever owns the store."
    return TamperedError(f"{store.uri}: {name} was altered", why, remedy)
