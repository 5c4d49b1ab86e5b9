"""The commented cost.yaml that `bench cost init` writes: every field with its meaning, none with a value."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from wattbench.results.economics.fields import FIELDS, HOURS, SCHEDULE

__all__ = ["template_lines"]

HEAD = (
    "Inputs of `bench cost` (docs/cost.md). Take away the # before what holds for you, and write the value:",
    "a number, or {value: NUMBER, source: WHERE FROM, date: YYYY-MM-DD}. Nothing is assumed for what stays out.",
    "Give either `hardware` (owned) or `cloud` (rented), not both. All amounts are in USD.",
)
TAIL = (
    "",
    "# What `bench cost sensitivity` varies: lowest, most likely and highest value of any field above.",
    "priors:",
    "  # power.pue: [1.1, 1.2, 1.4]",
    "",
    "# Machines that `bench cost shift` looks at: a rate, or peaks; a price, or a rent (docs/cost.md).",
    "machines:",
    "  # - {name: NAME, class: CLASS, source: WHERE FROM, price_usd: USD, active_w: W, idle_w: W, queries_per_s: 1/s}",
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
        if section == SCHEDULE.partition(".")[0]:
            yield f"  # or the share of work in each of the day's {HOURS} hours, of which utilisation is the mean"
            yield f"  # {SCHEDULE.partition('.')[2]}: [{', '.join(['0.0'] * HOURS)}]"
    yield from TAIL
