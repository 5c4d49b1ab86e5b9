"""Looking through a whole store: whether everything is there that was acknowledged, as it was, and once.

Pushes may go on meanwhile: a document that came into the log after the log was listed is asked for again before it is
called unfinished. A file beside a document counts as unused only when its push must have ended long ago.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from wattbench.results.errors import StoreAccessError, StoreUnreachableError, WattbenchError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.digests import Digests
from wattbench.results.store.findings import CheckReport, Findings, why_of
from wattbench.results.store.layout import (
    BLOBS,
    ENTRIES,
    LOG,
    NOTES,
    OBJECTS,
    SIGNATURES,
    id_of_entry_key,
    id_of_log_key,
    id_of_object_key,
    id_of_side_key,
    is_blob_key,
    object_key,
)
from wattbench.results.store.look import look_at, look_at_unlogged
from wattbench.results.store.publish import LATE_AFTER
from wattbench.results.store.read import has, log_keys
from wattbench.results.store.records import BlobRef, Note, Signature, from_bytes
from wattbench.results.store.several import several
from wattbench.results.store.unfinished import came_into_log, complete

__all__ = ["AT_ONCE", "check_store"]

AT_ONCE = 8
"""How many documents are looked at at once."""


def check_store(
    store: ObjectStore, *, wattbench: str, repair: bool = False, told: Callable[[str], None] | None = None
) -> CheckReport:
    """Read everything in a store and return what is wrong; with `repair`, bring unfinished pushes into the log.

    `told` hears the key of each log entry that was looked at; `wattbench` is the version that a repair signs with.
    Raises StoreAccessError, StoreUnreachableError when the store cannot be listed, or written to for a repair.
    """
    findings = Findings()
    entries = Digests(_ids(store, LOG, id_of_log_key, findings))
    objects = Digests(_ids(store, OBJECTS, id_of_object_key, findings))
    for each in entries.repeated():
        findings.add("logged_twice", object_key(each), "it has more than one log entry")
    used = Digests()
    _look_through(store, findings, used, told)
    waiting = [each for each in objects if each not in entries and not came_into_log(store, each)]
    repaired = sum([_unfinished(store, each, findings, used, wattbench if repair else None) for each in waiting])
    _agreed(store, entries, objects, findings)
    blobs = _blobs(store, used, findings)
    signatures, notes = (_sides(store, section, objects, findings) for section in (SIGNATURES, NOTES))
    return CheckReport(
        store=store.uri,
        documents=len(objects),
        entries=len(entries),
        blobs=blobs,
        signatures=signatures,
        notes=notes,
        repaired=repaired,
        counts=dict(sorted(findings.counts.items())),
        findings=tuple(findings.kept),
    )


def _ids(store: ObjectStore, section: str, id_of: Callable[[str], str | None], findings: Findings) -> Iterator[str]:
    """Yield the ids that the keys of a section name; the others are foreign."""
    for key in store.keys(section):
        found = id_of(key)
        if found is None:
            findings.add("foreign_key", key, f"nothing below {section} is named so")
        else:
            yield found


def _look_through(store: ObjectStore, findings: Findings, used: Digests, told: Callable[[str], None] | None) -> None:
    """Look at every document of the log, and add the digests of the files that they name."""
    for key, seen in several(lambda key: (key, look_at(store, key)), log_keys(store), AT_ONCE):
        for each in seen.findings:
            findings.add(each.code, each.key, each.why)
        _use(used, seen.blobs)
        if told is not None:
            told(key)


def _use(used: Digests, blobs: tuple[BlobRef, ...]) -> None:
    """Add the digests that files are named by; names that are none are left out."""
    for ref in blobs:
        if is_blob_key(f"{BLOBS}{ref.name[:2]}/{ref.name}"):
            used.add(f"sha256:{ref.name[:64]}")


def _unfinished(store: ObjectStore, result_id: str, findings: Findings, used: Digests, repair_as: str | None) -> bool:
    """Name a document that never came into the log, or bring it there, and return whether that was done.

    Nobody was told that it is stored, so nothing about it is damage. The digests of its files are added to `used`.
    """
    seen = look_at_unlogged(store, result_id)
    _use(used, seen.blobs)
    why = "it is in the store and not in the log: its push died, or is under way"
    if repair_as is not None:
        try:
            complete(store, result_id, repair_as)
            return True
        except (StoreAccessError, StoreUnreachableError):
            raise
        except WattbenchError as exc:
            why = f"it cannot be completed: {why_of(exc)}"
    elif seen.findings:
        why = f"it is not in the log, and cannot be completed: {seen.findings[0].why}"
    findings.add("push_unfinished", object_key(result_id), why)
    return False


def _agreed(store: ObjectStore, entries: Digests, objects: Digests, findings: Findings) -> None:
    """Name the entries that were agreed upon for documents which are not there."""
    for key in store.keys(ENTRIES):
        found = id_of_entry_key(key)
        if found is None:
            findings.add("foreign_key", key, f"nothing below {ENTRIES} is named so")
        elif found not in objects and found not in entries and not has(store, object_key(found)):
            findings.add("push_unfinished", key, "an entry was agreed upon for a document that is not in the store")


def _blobs(store: ObjectStore, used: Digests, findings: Findings) -> int:
    """Name the files that nothing names, when they are older than a push can take; return how many files there are."""
    count = 0
    for key in store.keys(BLOBS):
        if not is_blob_key(key):
            findings.add("foreign_key", key, f"nothing below {BLOBS} is named so")
            continue
        count += 1
        digest = key.rpartition("/")[2][:64]
        if f"sha256:{digest}" not in used and datetime.now(UTC) - store.stamp(key) > LATE_AFTER:
            findings.add("blob_unused", key, "no document names it")
    return count


def _sides(store: ObjectStore, section: str, objects: Digests, findings: Findings) -> int:
    """Look at all signatures or all notes, and return how many there are."""
    count = 0
    for key, about, problem in several(lambda key: _side(store, section, key), store.keys(section), AT_ONCE):
        count += about is not None
        if about is None:
            findings.add("foreign_key", key, f"nothing below {section} is named so")
        elif problem is not None:
            findings.add("record_unreadable", key, problem)
        elif about not in objects and not has(store, object_key(about)):
            findings.add("record_stray", key, "the document that it is about is not in the store")
    return count


def _side(store: ObjectStore, section: str, key: str) -> tuple[str, str | None, str | None]:
    """Return a key, the id of the document that it names, and what is wrong with the record under it."""
    about = id_of_side_key(key)
    if about is None:
        return key, None, None
    try:
        data = store.get(key)
        record: Signature | Note = from_bytes(data, Signature) if section == SIGNATURES else from_bytes(data, Note)
    except StoreUnreachableError:
        raise
    except WattbenchError as exc:
        return key, about, why_of(exc)
    return key, about, None if record.about == about else "it is about another document than its name says"
