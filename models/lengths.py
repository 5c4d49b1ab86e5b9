"""Request shapes with other lengths than the catalogue's: "SHAPE@INPUT" and "SHAPE@INPUTxOUTPUT"."""

import re
from dataclasses import replace

from wattbench.models.load import RequestShape
from wattbench.results.errors import UsageError

__all__ = ["MARK", "with_lengths"]

MARK = "@"
"""What stands between a shape's name and other lengths for it."""

_LENGTHS = re.compile(r"([1-9][0-9]{0,8})(?:x([1-9][0-9]{0,8}))?")


def with_lengths(base: RequestShape, lengths: str) -> RequestShape:
    """Return a shape with other tokens in ("128") or tokens in and out of each turn ("1024x64").

    Its name and with it the load's digest say what was changed, and every shape has one name: lengths that are the
    base's own are left out of it, so "chat@512x128" is "chat". Raises UsageError for anything else than such lengths,
    and for tokens out where the base has none.
    """
    asked = f"{base.name}{MARK}{lengths}"
    found = _LENGTHS.fullmatch(lengths)
    if found is None:
        why = f"after {MARK} come tokens in, or tokens in and out with an x between them"
        remedy = f"For example {base.name}{MARK}128 or {base.name}{MARK}1024x64."
        raise UsageError(f"Unknown lengths in the request shape {asked!r}", why, remedy)
    inputs, outputs = int(found[1]), int(found[2] or base.output_tokens)
    if base.output_tokens == 0 and outputs > 0:
        raise UsageError(
            f"The request shape {asked!r} makes no sense",
            f"{base.name} has no tokens out",
            f"Ask for {base.name}{MARK}{inputs}.",
        )
    if (inputs, outputs) == (base.input_tokens, base.output_tokens):
        return base
    suffix = f"{inputs}" if outputs == base.output_tokens else f"{inputs}x{outputs}"
    source = f"the catalogue's shape {base.name} with other lengths (docs/loads.md)"
    return replace(
        base,
        name=f"{base.name}{MARK}{suffix}",
        input_tokens=inputs,
        output_tokens=outputs,
        sources=(source, *base.sources),
    )
