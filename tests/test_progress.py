"""The remaining time of a run, as the progress line tells it."""

from types import ModuleType

import pytest

from wattbench.harness.cli.progress import later_s


@pytest.mark.parametrize(
    ("phase", "done", "expected_s"),
    [
        ("prepare", 0, 5 + 5 * 10.5 + 30),
        ("warm-up", 0, 5 * 10.5 + 30),
        ("measure repeat 1", 0, 4 * 10.5 + 30),
        ("measure repeat 5", 4, 30),
        ("measure repeat 8", 7, 30),
        ("idle after", 5, 0),
    ],
)
def test_what_comes_later_is_known(factories: ModuleType, phase: str, done: int, expected_s: float) -> None:
    """Five windows of 10 s with half a second of pause, 5 s of warm-up, 30 s of idle."""
    assert expected_s == later_s(factories.make_plan(), phase, done)
