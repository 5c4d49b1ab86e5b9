"""The record of what was left out of a document, or hashed, before it left its machine."""

from dataclasses import dataclass

__all__ = ["PrivacyRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyRecord:
    """What a shared document does not say: the paths of fields in which identifiers were hashed, and of removed ones.

    `method` says how: an identifier became a keyed hash, the same one wherever it stands, so that figures can still be
    computed again, and the results of one machine belong together without naming it. The paths are those of the
    schema ("environment.accelerators[].uuid"); "polls" are those in the file beside the document.
    """

    method: str
    hashed: tuple[str, ...]
    removed: tuple[str, ...]
