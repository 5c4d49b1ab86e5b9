"""Result files: canonical JSON that carries its own digest, written atomically and read with distrust."""

import errno
import hashlib
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from wattbench.results.beside import file_bytes
from wattbench.results.canonical import write_canonical
from wattbench.results.codec import decode, parse_json, to_builtins
from wattbench.results.document import Result
from wattbench.results.durable import replace_file
from wattbench.results.errors import DocumentError, StorageError, TamperedError, WattbenchError
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.measurement import RequestsFile
from wattbench.results.migrate import schema_version, upgrade
from wattbench.results.requests_file import with_requests

__all__ = [
    "SIZE_MAX_BYTES",
    "OpenedDocument",
    "canonical_bytes",
    "document_bytes",
    "document_id",
    "document_of",
    "open_document",
    "put_file",
    "read_document",
    "read_result",
    "stored_id",
    "write_result",
]

SIZE_MAX_BYTES = 256 * 1024 * 1024
"""The largest result file that is written or read, so that a foreign file cannot fill the memory."""

OBJECTS_MAX = 200_000
"""The most objects that are read or written; a result has some thousands, its bulk is columns of numbers."""

REMEDY = "Give a file that `bench run` wrote."


def canonical_bytes(document: dict[str, object]) -> bytes:
    """Return the canonical JSON of a document (RFC 8785): the same bytes whatever the order of its keys.

    Raises DocumentError with the path of what JSON cannot hold: NaN, integers beyond 2^53 - 1, broken text.
    """
    sink = BytesIO()
    write_canonical(document, sink.write)
    return sink.getvalue()


def document_id(document: dict[str, object]) -> str:
    """Return "sha256:<hex>" over the canonical bytes of a document without its top-level `id`."""
    digest = hashlib.sha256()
    write_canonical({key: value for key, value in document.items() if key != "id"}, digest.update)
    return "sha256:" + digest.hexdigest()


def write_result(result: Document, path: Path) -> str:
    """Write a result to `path`, all or nothing, and return its id; an old file stays intact on failure.

    Missing folders are made. Raises DocumentError when the result holds what JSON cannot, StorageError when the place
    cannot take it.
    """
    identity, data = _with_id(to_builtins(result))
    if len(data) > SIZE_MAX_BYTES:
        why = f"it has {len(data)} bytes, more than the {SIZE_MAX_BYTES} that can be read back"
        raise StorageError("The result is too large", why, "Measure with shorter windows or fewer repeats.")
    _require_columns(data)
    put_file(path, data)
    return identity


def put_file(path: Path, data: bytes) -> None:
    """Write bytes to `path`, all or nothing; missing folders are made. Raises StorageError."""
    try:
        replace_file(path, data)
    except OSError as exc:
        raise StorageError(f"Cannot write {path}", exc.strerror or str(exc), _storage_remedy(exc)) from exc


def _with_id(document: dict[str, object]) -> tuple[str, bytes]:
    """Return a document's id and its canonical bytes with the id in them, each field being written out only once."""
    fields = {key: canonical_bytes({key: value})[1:-1] for key, value in document.items()}
    identity = "sha256:" + hashlib.sha256(_joined(fields)).hexdigest()
    return identity, _joined(fields | {"id": canonical_bytes({"id": identity})[1:-1]})


def _joined(fields: dict[str, bytes]) -> bytes:
    """Return the canonical object of canonical fields; our names are ASCII, so RFC 8785 sorts them as Python does."""
    return b"{" + b",".join(fields[key] for key in sorted(fields)) + b"}"


def read_result(path: Path) -> Result:
    """Return the result in a file, upgraded to the current schema, after its digest was checked.

    The requests of a run of traffic are in it, from the document or from the file beside it that it names. Raises
    TruncatedError, NewerSchemaError, TamperedError, or DocumentError for everything else that is not the result of a
    run, or not the file that it names; the message starts with the path.
    """
    document = read_document(path)
    if isinstance(document, ImportedResult):
        why = f"it was imported from {document.source.tool}, so it has no plan, environment or repeats"
        raise DocumentError(f"{path}: This is not the result of a run", why, REMEDY)
    return document


def read_document(path: Path) -> Document:
    """Return the document in a file, a run's result or an imported one, as `read_result` does."""
    try:
        document = _decoded(_trusted(_file_bytes(path)))
    except WattbenchError as exc:
        raise type(exc)(f"{path}: {exc.what}", exc.why, exc.remedy) from exc
    return _whole(document, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDocument:
    """A document, the id that its file carries, and the bytes of that file.

    `requests_file` is the file that its requests came from, None where they are in the document's own.
    """

    document: Document
    identity: str
    data: bytes
    requests_file: RequestsFile | None = None


def open_document(path: Path) -> OpenedDocument:
    """Return the document in a file with its id and the file's bytes, read once. Raises what `read_document` raises."""
    try:
        data = _file_bytes(path)
        trusted = _trusted(data)
        identity, document = document_id(trusted), _decoded(trusted)
    except WattbenchError as exc:
        raise type(exc)(f"{path}: {exc.what}", exc.why, exc.remedy) from exc
    named = document.requests_file if isinstance(document, Result) else None
    return OpenedDocument(document=_whole(document, path), identity=identity, data=data, requests_file=named)


def _whole(document: Document, path: Path) -> Document:
    """Return a document with its requests in it, from the file beside `path` if it names one."""
    if isinstance(document, ImportedResult) or document.requests_file is None:
        return document
    named = document.requests_file
    requests = file_bytes(named, path)
    try:
        return with_requests(document, requests)
    except WattbenchError as exc:
        raise type(exc)(f"{path.parent / named.name}: {exc.what}", exc.why, exc.remedy) from exc


def stored_id(path: Path) -> str:
    """Return the digest that a document's file carries, after it was checked. Raises what `read_document` raises."""
    try:
        return document_id(_trusted(_file_bytes(path)))
    except WattbenchError as exc:
        raise type(exc)(f"{path}: {exc.what}", exc.why, exc.remedy) from exc


def document_bytes(path: Path) -> bytes:
    """Return the canonical bytes of the document in a file without its `id`: their sha256 is the id.

    Raises what `read_document` raises; a field that this version does not know is kept as it is.
    """
    try:
        return canonical_bytes(_trusted(_file_bytes(path)))
    except WattbenchError as exc:
        raise type(exc)(f"{path}: {exc.what}", exc.why, exc.remedy) from exc


def document_of(data: bytes) -> Document:
    """Return the document in bytes that `document_bytes` gave, upgraded to the current schema.

    Requests in a file beside it are not in it (`requests_file.with_requests` puts them there). Raises
    NewerSchemaError, or DocumentError for what is no document. Whether the bytes are those of an id is the caller's to
    check.
    """
    if len(data) > SIZE_MAX_BYTES:
        why = f"{len(data)} bytes are more than the {SIZE_MAX_BYTES} that a result may have"
        raise DocumentError("This is not a wattbench result", why, REMEDY)
    return _decoded(_parsed(data))


def _decoded(document: dict[str, object]) -> Document:
    if document.get("kind") == "imported":
        return decode(upgrade(document), ImportedResult)
    return decode(upgrade(document), Result)


def _parsed(data: bytes) -> dict[str, object]:
    """Return the JSON object in some bytes. Raises DocumentError for other bytes, TruncatedError for a part of one."""
    _require_columns(data)
    document = parse_json(data)
    if not isinstance(document, dict):
        raise DocumentError("This is not a wattbench result", "it is not a JSON object", REMEDY)
    return document


def _trusted(data: bytes) -> dict[str, object]:
    """Return a document without its id, whose digest is the one that it states."""
    document = _parsed(data)
    del data  # a large file need not stay in the memory beside what was made of it
    schema_version(document)
    stated, found = document.pop("id", None), document_id(document)
    if stated != found:
        why = f"it says {stated}, its content is {found}" if stated else f"it says none, its content is {found}"
        raise TamperedError(
            "This file was altered: its content does not match its digest",
            why,
            "Take the original file, or measure again.",
        )
    return document


def _require_columns(data: bytes) -> None:
    """Raise DocumentError for a text of so many objects that it is no result, and slow to walk (a bound from above)."""
    count = data.count(b"{")
    if count > OBJECTS_MAX:
        why = f"it has up to {count} objects, more than the {OBJECTS_MAX} that a result may have"
        raise DocumentError("This is not a wattbench result", why, REMEDY)


def _file_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise DocumentError("This is not a result file", f"it is {what}", REMEDY)
        if status.st_size > SIZE_MAX_BYTES:
            why = f"{status.st_size} bytes are more than the {SIZE_MAX_BYTES} that a result may have"
            raise DocumentError("This is not a result file", why, REMEDY)
        return path.read_bytes()
    except (OSError, ValueError) as exc:  # ValueError: a null character in the path
        why = getattr(exc, "strerror", None) or str(exc)
        raise DocumentError("This file cannot be read", why, REMEDY) from exc


def _storage_remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space, or choose another place with --out."
    return "Choose a folder that you may write to with --out."
