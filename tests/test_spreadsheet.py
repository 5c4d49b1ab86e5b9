"""Text for cells of CSV."""

import pytest

from wattbench.results.spreadsheet import no_formula


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff20x", "'=1"])
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    """An apostrophe stands before it, and taking one away gives the text back."""
    assert f"'{text}" == no_formula(text)


@pytest.mark.parametrize("text", ["", "qwen3-0.6b/chat", "a=b", "1-2", "x'y"])
def test_other_text_stays_as_it_is(text: str) -> None:
    """What begins no formula is not touched."""
    assert text == no_formula(text)
