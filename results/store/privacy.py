"""A document as it may leave its machine: identifiers hashed with a key, free text removed, and it says so itself."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from wattbench.results.beside import NamedFile
from wattbench.results.codec import to_builtins
from wattbench.results.document import Result
from wattbench.results.doubts import judge
from wattbench.results.energy import Polls
from wattbench.results.files import canonical_bytes
from wattbench.results.imported import Document
from wattbench.results.polls_file import decode_polls, encode_polls
from wattbench.results.privacy import PrivacyRecord
from wattbench.results.requests_file import encode_requests, named_requests, with_requests, without_requests
from wattbench.results.store.identifiers import LEFT_OUT, METHOD, Hasher, is_distinctive, is_hashed
from wattbench.results.store.private_fields import Rule, rule_of
from wattbench.results.store.private_words import command_words, known_in_meters, power_item, weights_word
from wattbench.results.store.publish import Blob, Package, package_of_bytes
from wattbench.results.store.records import BlobRef

__all__ = ["Owner", "without_identifiers"]

POLLS = "polls"
"""The path by which a document names what was hashed in the file beside it."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What the uploading machine and its user are called, and their secret key."""

    key: bytes
    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()


def without_identifiers(package: Package, document: Document, owner: Owner) -> Package:
    """Return what may be uploaded in place of a package whose document is `document`.

    The same identifier becomes the same hash in the document and its files, so that everything can be computed again
    from them. The same package and key give the same bytes, and what is hashed already stays as it is. Raises
    DocumentError when a file of it cannot be read.
    """
    hasher = Hasher(owner.key, owner.homes)
    hasher.learn({name: hasher.hash_of(name) for name in (*owner.hosts, *owner.users) if is_distinctive(name)})
    hasher.learn(_known_in(document, hasher))
    walk = _Walk(hasher)
    found = walk.record(document, "")
    given = {blob.ref.name: blob for blob in package.blobs}
    found, polls = _public_polls(found, given, walk)
    found, requests = _public_requests(found, given, walk)
    if found == document and document.privacy is not None:
        return package
    public: Document = replace(found, privacy=_privacy(document.privacy, walk))
    return package_of_bytes(canonical_bytes(to_builtins(public)), public, (*polls, *requests))


def _privacy(before: PrivacyRecord | None, walk: "_Walk") -> PrivacyRecord:
    """Return what was done, together with what had been done before."""
    hashed = walk.hashed | set(before.hashed if before else ())
    removed = walk.removed | set(before.removed if before else ())
    return PrivacyRecord(method=METHOD, hashed=tuple(sorted(hashed)), removed=tuple(sorted(removed)))


def _known_in(document: Document, hasher: Hasher) -> dict[str, str]:
    """Return the identifiers that a document itself shows to be such, and what is to stand in their place."""
    power = document.power
    known: dict[str, str] = {}
    for line in power.calibrations:
        _, at, machine = line.device.partition("@")
        known |= {machine: hasher.hash_of(machine)} if at else {}
    identities = [line.meter.identity for line in power.calibrations]
    identities += [channel.accuracy_basis.partition(": ")[0] for channel in power.channels if channel.sampler == "scpi"]
    if isinstance(document, Result):
        uuids = [board.uuid for board in document.environment.accelerators if board.uuid and not is_hashed(board.uuid)]
        known |= {uuid: hasher.hash_of(uuid) for uuid in uuids if len(uuid) > 6 and hasher.text(uuid) == uuid}
        known |= {item.file: hasher.hash_of(item.file) for item in document.attachments}
        known |= known_in_meters(document.plan.power, hasher)
        known |= _endpoint_host(document, hasher)
        weights = document.plan.weights
        known |= {weights: weights_word(weights, hasher)} if weights_word(weights, hasher) != weights else {}
    elif document.system.meter is not None:
        identities.append(document.system.meter)
    return known | {serial: hasher.hash_of(serial) for text in identities for serial in _serials(text)}


def _endpoint_host(document: Result, hasher: Hasher) -> dict[str, str]:
    """Return the name of the endpoint's host, which stands without its scheme in other texts; not an address."""
    plan = document.plan.endpoint
    host = urlsplit(plan.url).hostname if plan is not None and not is_hashed(plan.url) else None
    if host is None or host == "localhost" or not is_distinctive(host) or not any(map(str.isalpha, host)):
        return {}
    return {} if hasher.text(f"http://{host}") == f"http://{host}" else {host: hasher.hash_of(host)}


def _serials(identity: str) -> Iterator[str]:
    """Yield what may be the serial number in the words by which a meter is known: 6 signs or more, 4 of them digits."""
    for word in re.findall(r"[0-9A-Za-z-]{6,}", identity):
        if sum(sign.isdigit() for sign in word) >= 4:
            yield word


def _public_polls(document: Document, given: Mapping[str, Blob], walk: "_Walk") -> tuple[Document, tuple[Blob, ...]]:
    """Return a document with its file of polls without identifiers; one that has none keeps its bytes."""
    named = document.power.polls_file
    if named is None:
        return document, ()
    blob = given[named.name]
    polls = decode_polls(blob.data, named.rows)
    public: Sequence[Polls] = walk.records(polls, POLLS)
    if tuple(public) == polls:
        return document, (blob,)
    data = encode_polls(public)
    renamed = replace(named, digest="sha256:" + hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    return replace(document, power=replace(document.power, polls_file=renamed)), (_blob(renamed, data),)


def _public_requests(document: Document, given: Mapping[str, Blob], walk: "_Walk") -> tuple[Document, tuple[Blob, ...]]:
    """Return a document with its file of requests without identifiers; one that has none keeps its bytes."""
    named = document.requests_file if isinstance(document, Result) else None
    if named is None or not isinstance(document, Result):
        return document, ()
    blob = given[named.name]
    repeats = with_requests(document, blob.data).repeats
    public = walk.records(repeats, "repeats")
    if public == repeats:
        return document, (blob,)
    data = encode_requests(public)
    renamed = named_requests(data, public)
    return without_requests(replace(document, repeats=public, requests_file=None), renamed), (_blob(renamed, data),)


def _blob(named: NamedFile, data: bytes) -> Blob:
    return Blob(ref=BlobRef(name=named.name, size_bytes=named.size_bytes), data=data)


class _Walk:
    """Goes through records by the rules of their fields, and notes the paths where something was done."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self.hashed: set[str] = set()
        self.removed: set[str] = set()

    def record(self, record: Record, path: str) -> Record:
        """Return a record without identifiers: the same object where it has none."""
        changes: dict[str, Any] = {}  # any: values of several fields
        for field in fields(record):  # type: ignore[arg-type]  # a record is a dataclass
            value = getattr(record, field.name)
            rule = rule_of(type(record).__name__, field.name)
            below = f"{path}.{field.name}" if path else field.name
            public = self._value(value, below) if rule is None else self._field(value, rule, below)
            if public is not value and public != value:
                changes[field.name] = public
        if "doubts" in changes and getattr(record, "verdict", None) is not None:
            finished = getattr(record, "status", None) == "complete"
            changes["verdict"] = judge(changes["doubts"], finished=finished)
        return replace(record, **changes) if changes else record  # type: ignore[type-var]  # the same

    def records(self, values: tuple[Record, ...], path: str) -> tuple[Record, ...]:
        """Return records without identifiers, all at one path."""
        return tuple(self.record(value, f"{path}[]") for value in values)

    def _value(self, value: object, path: str) -> object:
        if is_dataclass(value) and not isinstance(value, type):
            return self.record(value, path)
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            return self.records(value, path)
        return value

    def _field(self, value: object, rule: Rule, path: str) -> object:
        if rule == "plain" or not value:
            return value
        if rule == "gone":
            self.removed.add(path)
            return None
        if rule == "command":
            words = command_words(tuple(map(str, value)), self._hasher)  # type: ignore[call-overload]  # words, by the schema
            return self._noted(value, words, path)
        if isinstance(value, tuple):
            return self._noted(value, tuple(None if v is None else self._one(rule)(v) for v in value), f"{path}[]")
        if isinstance(value, dict):
            return self._noted(value, {k: self._one(rule)(v) for k, v in value.items()}, f"{path}{{}}")
        return self._noted(value, self._one(rule)(str(value)), path)

    def _one(self, rule: Rule) -> Callable[[str], str]:
        """Return what a rule makes of one text."""
        hasher = self._hasher
        makers: Mapping[Rule, Callable[[str], str]] = {
            "text": hasher.text,
            "cited": hasher.cited,
            "path": lambda text: hasher.hash_of(text) if re.search(r"[/\\]", text) else hasher.text(text),
            "weights": lambda text: weights_word(text, hasher),
            "power": lambda text: power_item(text, hasher),
        }
        return makers[rule]

    def _noted(self, before: object, after: object, path: str) -> object:
        """Return what a text became, and note its path where that is something else."""
        if after == before:
            return before
        (self.removed if LEFT_OUT in str(after) and LEFT_OUT not in str(before) else self.hashed).add(path)
        return after
