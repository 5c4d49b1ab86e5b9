"""The page docs/backends.md is true."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from wattbench.backends.truth import LATE_SHARE_MAX, ROUNDS
from wattbench.results.subject import BackendRecord
from wattbench.testing.backends import CHECKS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "backends.md").read_text()


def test_the_example_s_tests_pass(tmp_path: Path) -> None:
    """The page's test class, as a file of its own, runs green."""
    example = re.search(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert example is not None
    (tmp_path / "test_page.py").write_text(example.group(1))
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert f"{len(CHECKS)} passed" in done.stdout, done.stdout


def test_every_check_is_on_the_page() -> None:
    """The table has each check with its promise."""
    for check in CHECKS:
        assert f"| `{check.__name__}` |" in PAGE


def test_every_field_of_the_record_is_on_the_page() -> None:
    """The page says what each answer is; name, engine and versions speak for themselves."""
    named = {field.name for field in fields(BackendRecord)} - {"name", "engine", "versions"}

    assert set() == {name for name in named if f"`{name}`" not in PAGE}


def test_the_limits_are_those_of_the_code() -> None:
    """The page's figures for truthful times are the check's."""
    assert f"More than {LATE_SHARE_MAX:.0%} late".replace("%", " %") in PAGE
    assert 3 == ROUNDS
