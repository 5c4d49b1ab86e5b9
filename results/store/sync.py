"""Copying a store into another: what the one has and the other lacks, each thing checked on the way.

The same for any two stores, in any order, as often as one likes: what is there already is not sent again, so that an
end in the middle costs nothing. What cannot be trusted is named and left out, and the rest goes on. The target has a
log of its own: a document comes into it once, at the time when it came, whoever else pushes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from wattbench.results.errors import StoreUnreachableError, TamperedError, WattbenchError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.digests import Digests
from wattbench.results.store.findings import why_of
from wattbench.results.store.layout import NOTES, SIGNATURES, id_of_log_key, id_of_side_key, object_key
from wattbench.results.store.publish import publish_entry
from wattbench.results.store.read import has, log_keys, read_entry
from wattbench.results.store.records import Note, Signature, from_bytes
from wattbench.results.store.several import several
from wattbench.results.store.whole import read_whole

__all__ = ["AT_ONCE", "PROBLEMS_MAX", "Moved", "Synced", "sync"]

AT_ONCE = 8
"""How many things are on their way at once."""

PROBLEMS_MAX = 1000
"""How many problems are kept; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of one key of the source: copied, there before, or left out, and why."""

    key: str
    standing: Literal["copied", "present", "refused"]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync did: documents, signatures and notes copied, documents that were there, what was left out."""

    copied: int
    present: int
    signatures: int
    notes: int
    refused: int
    problems: tuple[Moved, ...]


def sync(
    source: ObjectStore, target: ObjectStore, *, told: Callable[[Moved], None] | None = None, at_once: int = AT_ONCE
) -> Synced:
    """Copy all documents, signatures and notes of a store that another lacks; `told` hears of each as it is done.

    Raises StoreUnreachableError when either store is gone, StoreAccessError when the target refuses; a later sync goes
    on where this one ended.
    """
    counts = {"copied": 0, "present": 0, "refused": 0, SIGNATURES: 0, NOTES: 0}
    problems: list[Moved] = []
    for moved in _all(source, target, at_once):
        if moved.standing == "refused":
            problems += [moved][: PROBLEMS_MAX - len(problems)]
        section = next((each for each in (SIGNATURES, NOTES) if moved.key.startswith(each)), moved.standing)
        counts["refused" if moved.standing == "refused" else section] += 1
        if told is not None:
            told(moved)
    return Synced(
        copied=counts["copied"],
        present=counts["present"],
        signatures=counts[SIGNATURES],
        notes=counts[NOTES],
        refused=counts["refused"],
        problems=tuple(problems),
    )


def _all(source: ObjectStore, target: ObjectStore, at_once: int) -> Iterator[Moved]:
    there = Digests(each for each in map(id_of_log_key, log_keys(target)) if each is not None)
    yield from several(lambda key: _document(source, target, key, there), log_keys(source), at_once)
    for section in (SIGNATURES, NOTES):
        lacking = _lacking(source.keys(section), target.keys(section))
        yield from several(lambda key: _record(source, target, key), lacking, at_once)


def _document(source: ObjectStore, target: ObjectStore, key: str, there: Digests) -> Moved:
    """Copy the document of a log entry, with its files."""
    if str(id_of_log_key(key)) in there:
        return Moved(key=key, standing="present")
    try:
        whole = read_whole(source, read_entry(source, key))
    except StoreUnreachableError:
        raise
    except WattbenchError as exc:
        return _refused(key, exc)
    try:
        done = publish_entry(target, whole.package, whole.entry)
    except TamperedError as exc:  # the target has something else in its place
        return _refused(key, exc)
    return Moved(key=key, standing="copied" if done.standing == "new" else "present")


def _record(source: ObjectStore, target: ObjectStore, key: str) -> Moved:
    """Copy a signature or a note of a document that the target has."""
    about = id_of_side_key(key)
    if about is None:
        return Moved(key=key, standing="refused", why="this is no name of a signature or note")
    try:
        data = source.get(key)
        record: Signature | Note = from_bytes(data, Signature) if key.startswith(SIGNATURES) else from_bytes(data, Note)
    except StoreUnreachableError:
        raise
    except WattbenchError as exc:
        return _refused(key, exc)
    if record.about != about:
        return Moved(key=key, standing="refused", why="it is about another document than its name says")
    if not has(target, object_key(about)):
        return Moved(key=key, standing="refused", why=f"{target.uri} does not have the document that it is about")
    target.create(key, data)
    return Moved(key=key, standing="copied")


def _refused(key: str, error: WattbenchError) -> Moved:
    return Moved(key=key, standing="refused", why=why_of(error))


def _lacking(source: Iterator[str], target: Iterator[str]) -> Iterator[str]:
    """Yield the keys of the source that the target lacks; both are sorted, what is not is named once too often."""
    there = next(target, None)
    for key in source:
        while there is not None and there < key:
            there = next(target, None)
        if key != there:
            yield key
