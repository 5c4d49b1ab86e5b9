"""JSON that other tools wrote, read with distrust: the entries of a file, and values whose kind is checked."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wattbench.results.codec import parse_json
from wattbench.results.errors import DocumentError, TruncatedError
from wattbench.results.jsontree import INTEGER_MAX

__all__ = ["SIZE_MAX_BYTES", "Tree", "as_tree", "entries"]

SIZE_MAX_BYTES = 64 * 1024 * 1024
"""The largest file that is imported: summaries have kilobytes, and a hundred megabytes are somebody's raw requests."""

TEXT_MAX = 500
"""Names longer than this are cut: a file may carry whole prompts where a name is expected."""

IN_A_NUMBER = (b".", b"-", b"+", b"e", b"E")
"""How a file ends that was cut short within a number, which a parser takes for a broken number."""

NOT_FINITE = re.compile(rb"[\[:,\s](NaN|-?Infinity)\s*[,\]}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One object of a foreign file; `tool` and `path` are for messages.

    Every reader returns None for what is missing or null, and raises DocumentError, naming the path, for a value of
    another kind and for a negative number: none of the figures that are read can be below zero.
    """

    tool: str
    path: str
    members: Mapping[str, object]

    def number(self, key: str) -> float | None:
        """Return a number that is finite and not negative."""
        value = self.members.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, f"it is {_kind(value)}, not a number")
        if not math.isfinite(value) or value < 0:
            raise self.wrong(key, f"{value} is no amount: it must be finite and not negative")
        return float(value)

    def positive(self, key: str) -> float | None:
        """Return a number above zero; None for 0, which tools write where they have no value to average."""
        return self.number(key) or None

    def count(self, key: str) -> int | None:
        """Return a whole number, which may be written as a float."""
        value = self.number(key)
        if value is None:
            return None
        if value != int(value) or value > INTEGER_MAX:
            raise self.wrong(key, f"{value:.17g} is no count")
        return int(value)

    def flag(self, key: str) -> bool | None:
        """Return true or false."""
        value = self.members.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, f"it is {_kind(value)}, not true or false")
        return value

    def text(self, key: str) -> str | None:
        """Return a text without white space around it, cut to 500 characters; None for an empty one."""
        value = self.members.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(key, f"it is {_kind(value)}, not a text")
        return value.strip()[:TEXT_MAX] or None

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers that are finite and not negative; empty where it is missing."""
        value = self.members.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(key, f"it is {_kind(value)}, not a list")
        each = Tree(tool=self.tool, path=f"{self.path}.{key}", members={str(i): x for i, x in enumerate(value)})
        found = [each.number(str(i)) for i in range(len(value))]
        if None in found:
            raise self.wrong(key, "a number of the list is null")
        return tuple(x for x in found if x is not None)

    def tree(self, key: str) -> "Tree":
        """Return an object below; an empty one where it is missing or null, so that its values are None."""
        value = self.members.get(key)
        if value is None:
            return Tree(tool=self.tool, path=f"{self.path}.{key}", members={})
        return as_tree(value, self.tool, f"{self.path}.{key}")

    def trees(self, key: str) -> tuple["Tree", ...]:
        """Return the objects in a list below; none where it is missing or null."""
        value = self.members.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(key, f"it is {_kind(value)}, not a list")
        return tuple(as_tree(each, self.tool, f"{self.path}.{key}[{i}]") for i, each in enumerate(value))

    def below(self) -> tuple["Tree", ...]:
        """Return every object among the members."""
        return tuple(self.tree(key) for key, value in self.members.items() if isinstance(value, dict))

    def settings(self, *keys: str) -> dict[str, str]:
        """Return the values of some keys as text, without those that are missing, null, empty or no plain value."""
        return dict(self._settings(keys))

    def _settings(self, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for key in keys:
            value = self.members.get(key)
            if isinstance(value, bool):
                yield key, str(value).lower()
            elif isinstance(value, int | float):
                yield key, f"{value:.15g}"
            elif isinstance(value, str) and value.strip():
                yield key, value.strip()[:TEXT_MAX]

    def wrong(self, key: str, why: str) -> DocumentError:
        """Return the error of a value that cannot be used."""
        return DocumentError(f"This is not a result of {self.tool}", f"{self.path}.{key}: {why}", _remedy(self.tool))


def as_tree(value: object, tool: str, path: str = "$") -> Tree:
    """Return a plain value as an object. Raises DocumentError for one that is none."""
    if not isinstance(value, dict):
        why = f"{path} is {_kind(value)}, not an object"
        raise DocumentError(f"This is not a result of {tool}", why, _remedy(tool))
    return Tree(tool=tool, path=path, members=value)


def entries(data: bytes, tool: str) -> tuple[Tree, ...]:
    """Return the objects of a file: the one that it is, those of its list, or one a line (JSON Lines).

    Raises TruncatedError for a file that ends too early, DocumentError for one that is not JSON, holds NaN or
    Infinity, is nested too deeply, or has no object.
    """
    value = _parsed(data, tool)
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise DocumentError(f"This is not a result of {tool}", "its list is empty", _remedy(tool))
    several = isinstance(value, list)
    return tuple(as_tree(each, tool, f"$[{i}]" if several else "$") for i, each in enumerate(listed))


def _parsed(data: bytes, tool: str) -> object:
    try:
        return parse_json(data)
    except TruncatedError:
        raise
    except DocumentError as exc:
        if data.endswith(IN_A_NUMBER):
            remedy = "The copy or the write was cut short; take the original file."
            raise TruncatedError("This file is truncated", "its JSON ends within a number", remedy) from exc
        if NOT_FINITE.search(data):
            why = "JSON has no NaN and no Infinity (RFC 8259, section 6), and no figure can be one"
            raise DocumentError(f"This is not a result of {tool}", why, _remedy(tool)) from exc
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
            raise
        return [parse_json(line) for line in lines]


def _remedy(tool: str) -> str:
    return f"Give the file as {tool} wrote it (docs/interchange.md says which)."


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "an object")
