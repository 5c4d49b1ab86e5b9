"""What a page is made of: sections of blocks, plain records that know nothing of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

__all__ = [
    "Badge",
    "Block",
    "Card",
    "Cards",
    "Cell",
    "Chart",
    "Code",
    "Column",
    "Download",
    "Entries",
    "Entry",
    "Fact",
    "Facts",
    "Fold",
    "Link",
    "Links",
    "Page",
    "Prose",
    "Row",
    "Section",
    "Table",
    "without_empty_columns",
]

Tone = Literal["good", "warn", "bad", "info", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A word beside a figure or a name; its colour is never all that it says. `title` explains it."""

    text: str
    tone: Tone = "plain"
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """One paragraph; a `quiet` one is a remark."""

    kind: ClassVar[str] = "prose"
    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a list: badge, what it is, what it says, and what to do about it."""

    text: str
    head: str = ""
    advice: str = ""
    badge: Badge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A list."""

    kind: ClassVar[str] = "entries"
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A label and what stands behind it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Labels with their values."""

    kind: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A headline figure: its value, or `missing` with the reason; `spread` and `note` stand below it."""

    label: str
    value: str
    unit: str
    spread: str = ""
    note: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """Headline figures side by side."""

    kind: ClassVar[str] = "cards"
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The head of a column; numbers stand to the right, sentences in a `wide` one. `title` explains it.

    Readers with JavaScript can choose one of its texts where the table can be filtered and the column is a `filter`.
    """

    name: str
    right: bool = False
    wide: bool = False
    title: str = ""
    filter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell: its text, the number that it is sorted by (None: by its text), and how it is marked.

    `page` is the name of a page beside this one that it leads to: letters, digits, "-", "_" and "." alone, since no
    address is ever made of what a document says.
    """

    text: str
    order: float | None = None
    tone: Tone = "plain"
    badges: tuple[Badge, ...] = ()
    page: str | None = None


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption; readers with JavaScript can sort it by a column where `sortable`.

    Where `filterable` they can look for text in its rows too; the page then needs the script filter.js.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sortable: bool = True
    filterable: bool = False


def without_empty_columns(table: Table) -> Table:
    """Return a table without columns that have no text, whose room the others need: those of energies, without any."""
    kept = [place for place in range(len(table.columns)) if any(row[place].text for row in table.rows)]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in kept), rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart: the Vega-Lite spec, the SVG that was made of it, and in words what it shows.

    `key` is unique on the page: small letters, digits and "-". `samples` are a trace for readers with JavaScript, who
    then see it instead of the SVG.
    """

    kind: ClassVar[str] = "chart"
    key: str
    title: str
    text: str
    spec: Mapping[str, Any]  # any: JSON
    svg: str
    wide: bool = True
    samples: Mapping[str, Any] | None = None  # any: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Text to copy, as it is."""

    kind: ClassVar[str] = "code"
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Bytes that are in the page and can be saved as a file; `data` is None where they are not, as `text` says."""

    kind: ClassVar[str] = "download"
    name: str
    media: str
    data: bytes | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A page or file beside this page, by the rules of `Cell.page`; `here` where it is this page."""

    text: str
    page: str
    here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Ways to other pages."""

    kind: ClassVar[str] = "links"
    label: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Blocks that are closed until they are asked for; printed and searched they are there all the same."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: tuple["Block", ...]


Block = Prose | Entries | Facts | Cards | Table | Chart | Code | Download | Links | Fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page; `key` is its anchor, unique on the page: small letters, digits and "-"."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page: title, what it is in a line, badges, why it is not to be quoted, sections, and its last lines."""

    title: str
    subtitle: str
    badges: tuple[Badge, ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    foot: tuple[str, ...]

    def charts(self) -> list[Chart]:
        """Return every chart of the page."""
        return [chart for section in self.sections for chart in _charts(section.blocks)]


def _charts(blocks: Sequence[Block]) -> list[Chart]:
    found: list[Chart] = []
    for block in blocks:
        if isinstance(block, Chart):
            found.append(block)
        elif isinstance(block, Fold):
            found += _charts(block.blocks)
    return found
