"""A number with its noun, as people write it: "1 probe", "2 probes"."""

__all__ = ["counted"]


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun; `plural` is that of more than one where it is no mere "s"."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
