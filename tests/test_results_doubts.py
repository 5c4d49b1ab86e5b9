"""Doubts and the verdict that follows from them."""

from collections.abc import Sequence

import pytest

from wattbench.results.doubts import Doubt, Severity, Verdict, judge


def _doubt(severity: Severity, code: str = "host_noise") -> Doubt:
    return Doubt(code=code, severity=severity, facts=f"{severity} facts", advice="advice")


@pytest.mark.parametrize(
    ("severities", "standing"),
    [
        ([], "valid"),
        (["note"], "valid"),
        (["doubt"], "doubtful"),
        (["note", "doubt", "note"], "doubtful"),
        (["severe"], "invalid"),
        (["note", "doubt", "severe"], "invalid"),
    ],
)
def test_worst_doubt_decides(severities: Sequence[Severity], standing: str) -> None:
    """Severe doubts make a result invalid, doubts make it doubtful, notes only add reasons."""
    assert standing == judge([_doubt(s) for s in severities], finished=True).standing


def test_reasons_are_plain_words() -> None:
    """The reasons name each doubt's code and facts, in order."""
    assert ("host_noise: note facts", "battery: doubt facts") == judge(
        [_doubt("note"), _doubt("doubt", "battery")], finished=True
    ).reasons


def test_unfinished_is_invalid() -> None:
    """A run that did not finish is invalid, and that is the first reason."""
    assert Verdict(standing="invalid", reasons=("the run did not finish", "host_noise: note facts")) == judge(
        [_doubt("note")], finished=False
    )


def test_unknown_code() -> None:
    """A doubt's code is one of the documented ones."""
    with pytest.raises(ValueError, match="unknown doubt code 'gremlins'"):
        _doubt("note", "gremlins")
