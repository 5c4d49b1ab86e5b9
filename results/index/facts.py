"""What a store says about a document beside it: its notes, its signatures, and what verification makes of them."""

from wattbench.results.imported import Document
from wattbench.results.index.build import Facts, Logged
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.read import readable_notes
from wattbench.results.store.records import is_withdrawal

__all__ = ["facts_of"]


def facts_of(store: ObjectStore, logged: Logged, document: Document | None, *, noted: bool, signed: bool) -> Facts:
    """Return the facts of a document; `noted` and `signed` say whether the store has anything to look at.

    A withdrawal that is none (`is_withdrawal`) is a dispute. `document` is None for one that cannot be read. Raises
    what reading a store raises; a note that cannot be read says nothing.
    """
    found = readable_notes(store, logged.id) if noted else []
    withdrawn = any(is_withdrawal(note, logged.uploader, logged.withdrawal) for note in found)
    against = {note.kind for note in found} & {"disputed", "withdrawn"}
    return Facts(withdrawn=withdrawn, disputed="disputed" in against or ("withdrawn" in against and not withdrawn))
