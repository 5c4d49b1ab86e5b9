"""The database of accelerators that comes with the package, read once when it is asked for."""

from functools import cache
from importlib.resources import files

from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.vendor.reader import Database, parse_database
from wattbench.results.vendor.records import Accelerator, Conflict, Source

__all__ = ["accelerator_of", "conflicts_of", "database", "source_words"]

SOURCES = "sources.toml"


@cache
def database() -> Database:
    """Return the database. Raises DocumentError where its files were damaged."""
    folder = files("wattbench.results.vendor").joinpath("data")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml") and entry.name != SOURCES)
    texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in names}
    return parse_database(folder.joinpath(SOURCES).read_text(encoding="utf-8"), texts)


def accelerator_of(name: str) -> Accelerator:
    """Return the accelerator of a key or of a whole name, in upper or lower case.

    Raises UsageError for any other name, with the nearest as a suggestion only.
    """
    wanted = " ".join(name.split()).casefold()
    rows = database().accelerators.values()
    found = [a for a in rows if wanted in {a.key.casefold(), a.name.casefold(), a.full_name.casefold()}]
    if len(found) == 1:
        return found[0]
    why, remedy = nearest_lines(name, database().accelerators)
    raise UsageError(f"Unknown accelerator {name!r}", why, f"{remedy} `bench vendor list` has them all.".strip())


def conflicts_of(key: str) -> tuple[Conflict, ...]:
    """Return the figures of an accelerator that sources give differently."""
    return tuple(conflict for conflict in database().conflicts if conflict.accelerator == key)


def source_words(key: str) -> str:
    """Return a source in words: title, date, and whether it only copies."""
    source = database().sources[key]
    return _words(source)


def _words(source: Source) -> str:
    """Return title, date where it has one, and the grade where it is not the vendor's own word."""
    date = f", {source.date}" if source.date else ""
    grade = "" if source.grade == "vendor" else f", {source.grade.replace('_', '-')}"
    return f"{source.title}{date}{grade}"
