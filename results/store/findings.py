"""What `bench store check` can find in a store, each kind with its weight, and the report of one look."""

from dataclasses import dataclass, field
from typing import Literal

from wattbench.results.errors import WattbenchError

__all__ = ["FINDINGS", "KEPT_MAX", "CheckReport", "Finding", "FindingKind", "Findings", "why_of"]

KEPT_MAX = 200
"""How many findings of a kind are kept; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """What a finding weighs and means: damage is something that was acknowledged and is not as it was."""

    weight: Literal["damage", "notice"]
    meaning: str


FINDINGS = {
    "object_missing": FindingKind(weight="damage", meaning="a logged document is not in the store"),
    "object_altered": FindingKind(weight="damage", meaning="a document's bytes do not match its digest"),
    "object_unreadable": FindingKind(weight="damage", meaning="a logged document's bytes are right and no document"),
    "blob_missing": FindingKind(weight="damage", meaning="a file that a document names is not in the store"),
    "blob_altered": FindingKind(weight="damage", meaning="a file's bytes do not match the digest in the document"),
    "entry_altered": FindingKind(weight="damage", meaning="a log entry is no log entry of the document in its name"),
    "entry_differs": FindingKind(weight="damage", meaning="a log entry says something else than its document"),
    "access_refused": FindingKind(weight="damage", meaning="something that is listed cannot be read"),
    "push_unfinished": FindingKind(weight="notice", meaning="a document that never came into the log: its push died"),
    "logged_twice": FindingKind(weight="notice", meaning="a document has two log entries; readers take the first"),
    "schema_newer": FindingKind(weight="notice", meaning="a document whose schema only a newer wattbench knows"),
    "blob_unused": FindingKind(weight="notice", meaning="a file that no logged document names"),
    "record_unreadable": FindingKind(weight="notice", meaning="a signature or note that cannot be read"),
    "record_stray": FindingKind(weight="notice", meaning="a signature or note about a document that is not here"),
    "foreign_key": FindingKind(weight="notice", meaning="a name that the layout does not have"),
}
"""Every code of a finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be: its code (see FINDINGS), the key, and what exactly."""

    code: str
    key: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a look at a whole store found; `counts` has all findings by code, `findings` the first of each code."""

    store: str
    documents: int
    entries: int
    blobs: int
    signatures: int
    notes: int
    repaired: int
    counts: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Say whether everything that was acknowledged is there, as it was."""
        return not any(FINDINGS[code].weight == "damage" for code in self.counts)


@dataclass(slots=True)
class Findings:
    """The findings so far; it keeps a bounded number and counts all."""

    counts: dict[str, int] = field(default_factory=dict)
    kept: list[Finding] = field(default_factory=list)

    def add(self, code: str, key: str, why: str) -> None:
        """Add a finding; its texts are made printable where they hold bytes that are no text."""
        self.counts[code] = self.counts.get(code, 0) + 1
        if self.counts[code] <= KEPT_MAX:
            self.kept.append(Finding(code=code, key=_text(key), why=_text(why)))


def why_of(error: WattbenchError) -> str:
    """Return what an error says, in one line, without what to do."""
    return f"{error.what}: {error.why}" if error.why else error.what


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
