"""Reading small text files of the kernel, where absence is an answer."""

from pathlib import Path

__all__ = ["read_text"]


def read_text(path: Path) -> str:
    """Return the file's text without surrounding space and NUL bytes, or "" when it cannot be read."""
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError:
        return ""
