"""What a store says about a document beside it: its notes, its signatures, and what verification makes of them."""

from wattbench.results.imported import Document
from wattbench.results.index.build import Facts, Logged
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.read import notes

__all__ = ["facts_of"]


def facts_of(store: ObjectStore, logged: Logged, document: Document | None, *, noted: bool, signed: bool) -> Facts:
    """Return the facts of a document; `noted` and `signed` say whether the store has anything to look at.

    Only who put a result there can withdraw it: by anybody else a withdrawal is a dispute. `document` is None for one
    that cannot be read. Raises what reading a store raises.
    """
    found = notes(store, logged.id) if noted else ()
    withdrawals = [note for note in found if note.kind == "withdrawn"]
    own = any(note.by is not None and note.by == logged.uploader for note in withdrawals)
    return Facts(
        withdrawn=own, disputed=any(note.kind == "disputed" for note in found) or (bool(withdrawals) and not own)
    )
