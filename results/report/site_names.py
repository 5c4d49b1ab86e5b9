"""The names of a site's files: made of digests and of harmless letters, whatever the text that they stand for."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.results.report.blocks import Link, Links
from wattbench.results.report.site_data import Accelerator

__all__ = ["PAGE_ROWS", "Chunk", "board_name", "class_name", "result_name", "split"]

PAGE_ROWS = 250
"""Lines of one page; longer tables go on on the next one."""

SLUG = re.compile(r"[^a-z0-9.]+")
SLUG_MAX, DIGITS = 48, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of a long table: its file, which lines these are of how many, and the ways to the other parts."""

    page: str
    start: int
    stop: int
    total: int
    links: tuple[Links, ...]

    @property
    def text(self) -> str:
        """Return which lines these are, "" where they are all."""
        whole = self.stop - self.start == self.total
        return "" if whole else f", lines {self.start + 1} to {self.stop} of {self.total}; filters see these alone"


def split(name: str, total: int) -> list[Chunk]:
    """Return a table's parts of `PAGE_ROWS` lines, the first in `name`.html, the others in `name`-2.html and so on."""
    starts = range(0, max(1, total), PAGE_ROWS)
    files = [f"{name}.html" if number == 0 else f"{name}-{number + 1}.html" for number in range(len(starts))]
    found = []
    for file, start in zip(files, starts, strict=True):
        links = tuple(Link(text=str(i), page=each, here=each == file) for i, each in enumerate(files, 1))
        more = (Links(label="Parts of this table", links=links),) if len(files) > 1 else ()
        stop = min(start + PAGE_ROWS, total)
        found.append(Chunk(page=file, start=start, stop=stop, total=total, links=more))
    return found


def board_name(key: tuple[str, ...]) -> str:
    """Return the name of a board's first page, without its suffix; the same for the same board in every site."""
    load, precision, scope = key[0], key[3], key[-1]
    return _name("board", f"{load} {precision} {scope}", key)


def class_name(accelerator: Accelerator | str) -> str:
    """Return the name of the first page of a class of hardware, without its suffix."""
    hardware = accelerator if isinstance(accelerator, str) else accelerator.hardware
    return _name("class", hardware, (hardware,))


def result_name(result_id: str, scope: str) -> str:
    """Return the name of a result's page at one scope, without its suffix."""
    return f"result-{result_id.removeprefix('sha256:')[:16]}-{_name('', scope, (result_id, scope))}"


def _name(kind: str, text: str, key: Sequence[str]) -> str:
    slug = SLUG.sub("-", text.lower())[:SLUG_MAX].strip("-.")
    digest = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:DIGITS]
    return "-".join(filter(None, (kind, slug, digest)))
