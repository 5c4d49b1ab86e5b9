"""Figures as people read them: thousands apart, never a power of ten below 10^15, times in ms or s."""

__all__ = ["number", "time"]

NOTHING = 1e-9
"""Smaller figures are what is left of rounding when like is subtracted from like."""


def number(value: float) -> str:
    """Return a figure with three digits or more, as people read it."""
    magnitude = abs(value)
    if magnitude < NOTHING:
        return "0"
    if magnitude >= 1e15:
        return f"{value:.3g}"
    if magnitude >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if magnitude < 100 else f"{value:.1f}"


def time(seconds: float) -> str:
    """Return a time in ms or s."""
    return f"{number(1000 * seconds)} ms" if abs(seconds) < 1 else f"{number(seconds)} s"
