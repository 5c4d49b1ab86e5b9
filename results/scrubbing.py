"""Secrets taken out of what servers and libraries say, however they wrote them."""

from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["scrubbed"]

HIDDEN = "***"


def scrubbed(text: str, secrets: Iterable[str | None]) -> str:
    """Return a text with the secrets taken out, longest form first: plain, as in a URL, as in a repr."""
    forms = set()
    for secret in filter(None, secrets):
        forms |= {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1]}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text
