"""Text for cells of CSV that no spreadsheet computes."""

__all__ = ["no_formula"]

FORMULA = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell of text must not begin with: spreadsheets take it for a formula (OWASP, "CSV Injection"), and the sign
that we put before such a cell, so that taking one away always gives the text back. The last four are full-width."""


def no_formula(text: str) -> str:
    """Return the text, with an apostrophe before it where a spreadsheet would compute it, or it has one already."""
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text[:1].isspace() else text
