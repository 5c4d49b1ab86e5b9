"""The worked examples of docs/cost.md and docs/compare.md: each console block is a command and what it really prints.

`python tests/cost_page.py` runs them all and writes their output anew: the difference is part of the review.
"""

import re
import shlex
import tarfile
import tempfile
from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner

from wattbench.harness.cli.group import bench

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "docs" / "cost.md", ROOT / "docs" / "compare.md")
BLOCK = re.compile(r"```console\n\$ (.+)\n((?:.*\n)*?)```\n")
ARCHIVE = "tests/data/mlperf/v51_gateoverflow_ryzen5560u_mobilenet224_offline.tar.xz"


def prepare(folder: Path) -> None:
    """Lay out what the examples name: the repository's examples, and the archive of the published run."""
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "tests").symlink_to(ROOT / "tests")


def output_of(command: str) -> str:
    """Run one command of the page in the current folder and return what it prints."""
    words = shlex.split(command)
    if words[0] == "tar":
        with tarfile.open(words[2]) as archive:
            archive.extractall(filter="data")
        return ""
    done = CliRunner().invoke(bench, words[1:], catch_exceptions=False)
    return done.stdout


def examples(text: str) -> list[tuple[str, str]]:
    """Return every command of the page, and the output that stands there."""
    return BLOCK.findall(text)


def renewed(text: str, folder: Path) -> str:
    """Return the page with every output as it is now."""
    prepare(folder)
    with chdir(folder):
        return BLOCK.sub(lambda block: f"```console\n$ {block[1]}\n{output_of(block[1])}```\n", text)


if __name__ == "__main__":
    for page in PAGES:
        with tempfile.TemporaryDirectory() as place:
            page.write_text(renewed(page.read_text(), Path(place)))
