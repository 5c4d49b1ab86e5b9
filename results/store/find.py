"""Finding a document of a store by as much of its id as people type."""

import re
from itertools import islice

from wattbench.results.errors import UsageError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import OBJECTS, id_of_object_key

__all__ = ["find_id", "id_digits"]

DIGITS_MIN = 6
DIGITS = 64
NAMED_MAX = 6

START = re.compile(rf"(?:sha256:)?([0-9a-f]{{{DIGITS_MIN},{DIGITS}}})")


def id_digits(text: str) -> str:
    """Return the hexadecimal digits that an id begins with. Raises UsageError for what begins none."""
    match = START.fullmatch(text.lower())
    if match is None:
        why = f"an id is its first {DIGITS_MIN} or more hexadecimal digits"
        remedy = "`bench log` and `bench query --list` show ids; a file is named without --store."
        raise UsageError(f"{text!r:.80} is no result's id", why, remedy)
    return match[1]


def find_id(store: ObjectStore, text: str) -> str:
    """Return the id that begins with some digits; a whole id as it is, whether the store has it or not.

    Raises UsageError for what is no id, begins none that the store has, or several.
    """
    digits = id_digits(text)
    if len(digits) == DIGITS:
        return f"sha256:{digits}"
    there = map(id_of_object_key, store.keys(f"{OBJECTS}{digits[:2]}/"))
    begun = (each for each in there if each is not None and each.startswith(f"sha256:{digits}"))
    found = list(islice(begun, NAMED_MAX))
    if len(found) != 1:
        why = f"it fits {', '.join(found)}" if found else "nothing that it has begins so"
        raise UsageError(f"{digits} is not one result of {store.uri}", why, f"See what it has: bench log {store.uri}")
    return found[0]
