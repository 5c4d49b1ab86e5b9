"""Text from files and devices made safe to show: what cannot be seen is written as an escape."""

__all__ = ["visible"]


def visible(text: str) -> str:
    r"""Return the text with control and invisible characters, newlines too, as \xNN, \uNNNN or \UNNNNNNNN."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
