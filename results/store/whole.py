"""A stored document with the files beside it, all of it checked: what can be put into another store as it is."""

from dataclasses import dataclass, replace

from wattbench.results.beside import named_files
from wattbench.results.errors import NewerSchemaError
from wattbench.results.files import document_of
from wattbench.results.imported import Document
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.publish import Blob, Package
from wattbench.results.store.read import fetch_blob, read_object
from wattbench.results.store.records import BlobRef, LogEntry

__all__ = ["Whole", "blob_refs", "read_whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A document of a store with its files, and the log entry that says the truth about them.

    `newer` says that the document's schema is of a newer wattbench: its bytes are right, what they say is unknown.
    """

    package: Package
    entry: LogEntry
    newer: bool


def read_whole(store: ObjectStore, entry: LogEntry) -> Whole:
    """Return the document that a log entry is about, and its files, after their digests were checked.

    The files are those that the document names; of a document of a newer schema, which is taken as it is, those that
    the entry names. Raises MissingKeyError, TamperedError, and DocumentError for bytes that are no document.
    """
    data = read_object(store, entry.id)
    try:
        document = document_of(data)
    except NewerSchemaError:
        schema, kind, refs, newer = entry.schema, entry.kind, entry.blobs, True
    else:
        schema, kind, refs, newer = document.schema, document.kind, blob_refs(document), False
    blobs = tuple(Blob(ref=ref, data=fetch_blob(store, ref)) for ref in refs)
    package = Package(id=entry.id, data=data, schema=schema, kind=kind, blobs=blobs)
    true = replace(entry, size_bytes=len(data), schema=schema, kind=kind, blobs=refs)
    return Whole(package=package, entry=true, newer=newer)


def blob_refs(document: Document) -> tuple[BlobRef, ...]:
    """Return the files that a document names."""
    return tuple(BlobRef(name=named.name, size_bytes=named.size_bytes) for named in named_files(document))
