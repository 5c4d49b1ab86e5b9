"""One result with all that is known of it: its verification, who signed it, its tier of trust."""

import contextlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wattbench.harness.trust.verifying import admit
from wattbench.results.beside import named_files
from wattbench.results.errors import DocumentError, NewerSchemaError, TamperedError, TruncatedError, UsageError
from wattbench.results.files import document_bytes, document_of
from wattbench.results.trust.signers import Expectation, Findings, Signed, signature_findings
from wattbench.results.trust.tiers import TierFacts, Trust, tier_of
from wattbench.results.trust.verification import Barrier, Verification, conclude, failed, unknown

__all__ = ["Inspection", "inspect_file", "inspected", "signature_path", "signature_texts"]

SIGNATURE_MAX_BYTES = 64 * 1024
BESIDE_MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A result's verification, its tier, and the known signers whose signatures hold; `name` is what was asked for."""

    name: str
    verification: Verification
    trust: Trust
    signers: tuple[Signed, ...] = ()


def inspect_file(path: Path, expected: Expectation, *, now: datetime | None = None) -> Inspection:
    """Verify the document in a file with its files and the signature (`FILE.sig`) that lie beside it.

    Raises UsageError when there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"There is no result {path}", "no such file", "Give a result file, or an id with --store.")
    try:
        data = document_bytes(path)
    except NewerSchemaError as exc:
        return _alone(str(path), conclude("unknown", [unknown("schema", f"{exc.what}: {exc.why}")]))
    except (TamperedError, TruncatedError) as exc:
        return _alone(str(path), conclude("unknown", [failed("digest", f"{_without(exc.what, path)}: {exc.why}")]))
    except DocumentError as exc:
        return _alone(str(path), conclude("unknown", [failed("schema", f"{_without(exc.what, path)}: {exc.why}")]))
    texts = signature_texts(signature_path(path))
    findings = signature_findings(data, texts, expected)
    return inspected(str(path), data, _beside(data, path), findings, now=now)


def inspected(
    name: str,
    data: bytes,
    blobs: Mapping[str, bytes],
    findings: Findings,
    *,
    result_id: str | None = None,
    now: datetime | None = None,
    logged_at: datetime | None = None,
    barriers: Sequence[Barrier] = (),
    reproduced_by: Sequence[str] = (),
    auditors: Sequence[str] = (),
) -> Inspection:
    """Return the inspection of canonical bytes, the files beside them, and what signatures and notes say."""
    verification = admit(
        data,
        blobs,
        result_id=result_id,
        now=now,
        logged_at=logged_at,
        extra=findings.checks,
        barriers=barriers,
    )
    facts = TierFacts(
        standing=verification.standing,
        signers=findings.signers,
        reproduced_by=tuple(reproduced_by),
        auditors=tuple(auditors),
    )
    return Inspection(name=name, verification=verification, trust=tier_of(facts), signers=findings.signers)


def signature_path(path: Path) -> Path:
    """Return where the signature of a result file lies."""
    return path.with_name(path.name + ".sig")


def signature_texts(path: Path) -> list[str]:
    """Return the text of a signature's file, none when it is not there. Raises UsageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return [file.read(SIGNATURE_MAX_BYTES + 1).decode("utf-8", "replace")]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise UsageError(f"Cannot read {path}", exc.strerror or str(exc), "Check who may read it.") from exc


def _alone(name: str, verification: Verification) -> Inspection:
    return Inspection(name=name, verification=verification, trust=tier_of(TierFacts(standing=verification.standing)))


def _without(what: str, path: Path) -> str:
    return what.removeprefix(f"{path}: ")


def _beside(data: bytes, path: Path) -> dict[str, bytes]:
    """Return the files beside a document that it names and that are there."""
    try:
        files = [path.parent / named.name for named in named_files(document_of(data))]
    except DocumentError:
        return {}
    found = {}
    for file in files:
        with contextlib.suppress(OSError):
            status = file.stat()
            if stat.S_ISREG(status.st_mode) and status.st_size <= BESIDE_MAX_BYTES:
                found[file.name] = file.read_bytes()
    return found
