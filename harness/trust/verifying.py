"""Verifying one document whole: digests, recomputation, doubts, gates, and what keeps it out of rankings."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import NoneType

from wattbench.harness.trust.known import harness_check, load_check
from wattbench.harness.trust.recomputing import imported_checks, recomputed_checks
from wattbench.harness.trust.rejudging import demanded_doubts, doubt_check
from wattbench.results.document import Result
from wattbench.results.energy import Polls, PowerRecord
from wattbench.results.errors import NewerSchemaError, WattbenchError
from wattbench.results.files import document_of
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.polls_file import decode_polls
from wattbench.results.requests_file import with_requests
from wattbench.results.trust.gates import gates_of
from wattbench.results.trust.ranking import barriers_of
from wattbench.results.trust.verification import Barrier, Check, Verification, conclude, failed, ok, unknown

__all__ = ["admit", "admit_read", "polls_among", "requests_among", "verify"]

FROM_REQUESTS = ("energy", "rates", "latency", "utilisation", "doubts")
"""Checks that cannot be made without the rows of the repeats."""


def admit(
    data: bytes,
    blobs: Mapping[str, bytes],
    *,
    result_id: str | None = None,
    now: datetime | None = None,
    logged_at: datetime | None = None,
    extra: Sequence[Check] = (),
    barriers: Sequence[Barrier] = (),
) -> Verification:
    """Verify a document as a store takes it in; whatever is wrong becomes a check, nothing is raised or refused.

    `data` are its canonical bytes without `id`, `blobs` the files beside it by name. `result_id` is what it is called
    (default: the digest of its bytes). `extra` and `barriers` are what is known from elsewhere: signatures, notes.
    """
    found = "sha256:" + hashlib.sha256(data).hexdigest()
    called = result_id or found
    digest = ok("digest", found) if called == found else failed("digest", f"called {called}, its bytes are {found}")
    try:
        document = document_of(data)
    except NewerSchemaError as exc:
        return conclude(called, [digest, unknown("schema", f"{exc.what}: {exc.why}"), *extra], barriers)
    except (WattbenchError, RecursionError) as exc:
        why = f"{exc.what}: {exc.why}" if isinstance(exc, WattbenchError) else str(exc)
        return conclude(called, [digest, failed("schema", why), *extra], barriers)
    return admit_read(
        document, blobs, digest, result_id=called, now=now, logged_at=logged_at, extra=extra, barriers=barriers
    )


def admit_read(
    document: Document,
    blobs: Mapping[str, bytes],
    digest: Check,
    *,
    result_id: str,
    now: datetime | None = None,
    logged_at: datetime | None = None,
    extra: Sequence[Check] = (),
    barriers: Sequence[Barrier] = (),
) -> Verification:
    """Do what `admit` does with a document that was read already; `digest` is the check of its bytes."""
    logs, polls = polls_among(document.power, blobs)
    whole, requests = requests_among(document, blobs)
    checks = [digest, ok("schema", document.schema), polls, *requests, *extra]
    if whole is None:
        why = "the requests are missing" if requests[0].standing == "unknown" else "the requests are other ones"
        every = [*checks, *(unknown(code, why) for code in FROM_REQUESTS)]
        return conclude(result_id, every, [*barriers_of(document), *barriers])
    return verify(whole, logs, result_id, checks, now=now, logged_at=logged_at, barriers=barriers)


def verify(
    document: Document,
    polls: Sequence[Polls] | None,
    result_id: str,
    checks: Sequence[Check],
    *,
    now: datetime | None = None,
    logged_at: datetime | None = None,
    barriers: Sequence[Barrier] = (),
) -> Verification:
    """Verify a document that was read; `polls` are its raw polls, None when they are missing.

    `checks` are those already made: digest, schema, polls, signatures.
    """
    if isinstance(document, ImportedResult):
        every = [*checks, *imported_checks(document), harness_check(document.harness)]
        return conclude(result_id, every, [*barriers_of(document), *barriers])
    logs = () if polls is None else polls
    try:
        demanded = demanded_doubts(document, logs)
        doubts = [doubt_check(document, demanded)]
    except (WattbenchError, ValueError, ArithmeticError) as exc:
        demanded, doubts = (), [failed("doubts", f"they cannot be drawn: {exc}")]
    every = [
        *checks,
        *recomputed_checks(document, polls),
        *doubts,
        load_check(document),
        harness_check(document.harness),
        *_gates(document, logs, now or datetime.now(tz=UTC), logged_at),
    ]
    return conclude(result_id, every, [*barriers_of(document, demanded), *barriers])


def polls_among(power: PowerRecord, blobs: Mapping[str, bytes]) -> tuple[tuple[Polls, ...] | None, Check]:
    """Return a document's raw polls, from itself or from the file that it names, and the check of that file."""
    named = power.polls_file
    if named is None:
        count = sum(len(log.value) for log in power.polls)
        return power.polls, ok("polls", f"{count} in the document" if count else "there are none, and none is named")
    data = blobs.get(named.name)
    if data is None:
        return None, unknown("polls", f"{named.name} is missing")
    found = "sha256:" + hashlib.sha256(data).hexdigest()
    if found != named.digest or len(data) != named.size_bytes:
        why = f"the document names {named.digest} of {named.size_bytes} bytes, these are {found} of {len(data)}"
        return None, failed("polls", why)
    try:
        polls = decode_polls(data, named.rows)
    except WattbenchError as exc:
        return None, failed("polls", f"{exc.what}: {exc.why}")
    if not all(map(_is_typed, polls)):
        return None, failed("polls", "a column holds other things than numbers")
    return polls, ok("polls", f"{named.rows} in {named.name[:12]}...")


def requests_among(document: Document, blobs: Mapping[str, bytes]) -> tuple[Document | None, tuple[Check, ...]]:
    """Return a document with its requests in it, and the check of the file that it names; none where it names none.

    The document is None where that file is missing or another one.
    """
    if isinstance(document, ImportedResult) or document.requests_file is None:
        return document, ()
    named = document.requests_file
    data = blobs.get(named.name)
    if data is None:
        return None, (unknown("requests", f"{named.name} is missing"),)
    found = "sha256:" + hashlib.sha256(data).hexdigest()
    if found != named.digest or len(data) != named.size_bytes:
        why = f"the document names {named.digest} of {named.size_bytes} bytes, these are {found} of {len(data)}"
        return None, (failed("requests", why),)
    try:
        whole = with_requests(document, data)
    except WattbenchError as exc:
        return None, (failed("requests", f"{exc.what}: {exc.why}"),)
    return whole, (ok("requests", f"{named.rows} in {named.name[:12]}..."),)


def _is_typed(log: Polls) -> bool:
    """Return whether the columns of a foreign file hold what those of ours do."""
    stamps = (*log.before_ns, *log.after_ns)
    optional = (*(log.sensor_ns or ()), *(log.taken_ns or ()))
    return (
        set(map(type, stamps)) <= {int}
        and set(map(type, optional)) <= {int, NoneType}
        and set(map(type, log.value)) <= {float, int, NoneType}
    )


def _gates(result: Result, polls: Sequence[Polls], now: datetime, logged_at: datetime | None) -> tuple[Check, ...]:
    try:
        return gates_of(result, polls, now=now, logged_at=logged_at)
    except (ValueError, ArithmeticError, TypeError) as exc:  # a figure that no run gives, such as 1e308
        return (failed("schema", f"it cannot be reckoned with: {exc}"),)
