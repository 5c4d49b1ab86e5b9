"""docs/cost.md shows what its commands really print, and names every input and command."""

from contextlib import chdir
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.cli.cost.group import COMMANDS
from wattbench.results.economics.fields import FIELDS, SECTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "cost.md"


@pytest.mark.parametrize(("page", "least"), [("cost.md", 8), ("compare.md", 3)])
def test_the_examples_print_what_stands_there(cost_page: ModuleType, tmp_path: Path, page: str, least: int) -> None:
    """Every console block is the output of its command, to the letter."""
    cost_page.prepare(tmp_path)
    blocks = cost_page.examples((DOCS / page).read_text())
    with chdir(tmp_path):
        printed = [(command, cost_page.output_of(command)) for command, _ in blocks]

    assert len(blocks) >= least
    assert blocks == printed


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_its_place(name: str) -> None:
    """The page speaks of each sub-command."""
    assert f"bench cost {name}" in PAGE.read_text()


def test_every_section_of_inputs_is_explained() -> None:
    """The table of cost.yaml has each section of numbers, and the three that hold something else."""
    text = PAGE.read_text()

    assert [] == [name for name in (*SECTIONS, "priors", "machines") if f"| `{name}` |" not in text]
    assert [] == [f.path for f in FIELDS.values() if f"`{f.path}`" not in text and f"`{f.name}`" not in text]
