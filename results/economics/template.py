"""The commented cost.yaml that `bench cost init` writes: every field with its meaning, none with a value."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from wattbench.results.economics.fields import FIELDS

__all__ = ["template_lines"]

HEAD = (
    "Inputs of `bench cost` (docs/cost.md). Take away the # before what holds for you, and write the value:",
    "a number, or {value: NUMBER, source: WHERE FROM, date: YYYY-MM-DD}. Nothing is assumed for what stays out.",
    "Give either `hardware` (owned) or `cloud` (rented), not both.",
)


def template_lines(facts: Sequence[str]) -> Iterator[str]:
    """Return the file's lines: the machine's facts as comments, then each section with its fields commented out."""
    yield from (f"# {line}" for line in HEAD)
    yield "#"
    yield "# This machine:"
    yield from (f"#   {fact}" for fact in facts)
    for section, fields in groupby(FIELDS.values(), key=lambda field: field.path.partition(".")[0]):
        yield ""
        yield f"{section}:"
        for field in fields:
            _, _, name = field.path.partition(".")
            yield f"  # {field.text} [{field.unit}], {field.low:g} .. {field.high:g}"
            yield f"  # {name}:"
