"""The README shows what a run really printed."""

import re
from pathlib import Path

import pytest

from wattbench.harness.cli.figures import result_lines
from wattbench.results.files import read_result
from wattbench.results.recheck import summary_differences

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples" / "results").glob("*.json"))
BLOCK = re.compile(r"<!-- output: (\S+) -->\n```\n(.*?)```\n<!-- end -->", re.DOTALL)


def test_the_output_in_the_readme_is_that_of_its_result_file() -> None:
    """The block is the text of the example result that it names, to the letter."""
    ((name, text),) = BLOCK.findall((ROOT / "README.md").read_text())

    assert "\n".join(result_lines(read_result(ROOT / name))) + "\n" == text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_whole(path: Path) -> None:
    """An example result loads through every check, and its summary follows from its repeats."""
    result = read_result(path)

    assert "complete" == result.status
    assert () == summary_differences(result)


def test_there_are_examples_of_both_kinds() -> None:
    """An encoder and a decoder are among the examples."""
    families = {read_result(path).load.family for path in EXAMPLES}

    assert {"encoder", "decoder"} <= families
