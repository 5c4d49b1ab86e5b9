"""Secrets are taken out of what others say."""

from urllib.parse import quote

import pytest

from wattbench.results.scrubbing import scrubbed

SECRET = "p/w d'\\ü"


@pytest.mark.parametrize("form", [SECRET, quote(SECRET), quote(SECRET, safe=""), repr(SECRET)[1:-1]])
def test_every_written_form_is_hidden(form: str) -> None:
    """Plain, in a path, in a query, in a repr."""
    assert "login with *** failed" == scrubbed(f"login with {form} failed", [SECRET])


def test_a_secret_within_another_leaves_nothing_of_the_longer() -> None:
    """The longest form goes first."""
    assert "*** and ***" == scrubbed("abcdef and abc", ["abc", "abcdef"])


def test_no_secret_changes_nothing() -> None:
    """An empty one would stand between all letters."""
    assert "as it was" == scrubbed("as it was", ["", None])
