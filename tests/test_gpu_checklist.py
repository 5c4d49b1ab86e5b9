"""The commands of docs/gpu-checklist.md, which nobody types until a GPU is at hand: they must be ones that exist."""

import re
import shlex
from pathlib import Path

import pytest
from click import Context

from wattbench.harness.cli.group import bench
from wattbench.models.find import find_load

ROOT = Path(__file__).parent.parent
SHARED = "common_arguments("
"""What a benchmark calls that takes the options of `benchmarks/_sides.py`."""


def commands(program: str) -> list[list[str]]:
    """Return the words of each command line of the page that starts a program."""
    text = (ROOT / "docs" / "gpu-checklist.md").read_text()
    lines = re.findall(rf"^    ({program}.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def options_of(script: Path) -> set[str]:
    """Return the options that a benchmark adds to its parser, with those of `_sides.py` where it takes them."""
    text = script.read_text()
    if SHARED in text:
        text += (script.parent / "_sides.py").read_text()
    return set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text))


@pytest.mark.parametrize("words", commands("python benchmarks/"), ids=" ".join)
def test_a_benchmark_has_the_options_that_it_is_given(words: list[str]) -> None:
    """Every option of a benchmark's command is one of that script."""
    script = ROOT / words[1]

    assert set() == {word for word in words if word.startswith("--")} - options_of(script)


@pytest.mark.parametrize("words", commands("bench "), ids=" ".join)
def test_a_command_has_the_options_and_the_load_that_it_is_given(words: list[str]) -> None:
    """Every option of a `bench` command is one of that command, and its load is one that there is."""
    found = bench.get_command(Context(bench), words[1])
    assert found is not None
    known = {name for option in found.params for name in option.opts}
    load = words[words.index("--load") + 1] if "--load" in words else None

    assert set() == {word for word in words if word.startswith("--")} - known
    assert load is None or find_load(load).name == load
