"""The example package of CONTRIBUTING.md does what the page says."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page's files, and the metadata that an install would make of its pyproject.toml."""
    folder = tmp_path_factory.mktemp("example")
    for name, text in BLOCK.findall(PAGE.read_text()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = folder / "wattbench_example-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines: list[str] = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def python(package: Path, *arguments: str) -> str:
    """Run Python where the example is installed; return what it prints, both streams, and fail with it."""
    environment = os.environ | {"PYTHONPATH": str(package), "XDG_DATA_HOME": str(package / "data")}
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=package,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 3), done.stdout
    return done.stdout


BENCH = "from wattbench.harness.cli.main import main; main()"


def test_the_examples_own_tests_pass(package: Path) -> None:
    """The page's test file runs green."""
    assert " passed" in python(package, "-m", "pytest", "-p", "no:cacheprovider", "test_example.py")


@pytest.mark.parametrize("kind", ["backends", "samplers"])
def test_the_example_is_listed(package: Path, kind: str) -> None:
    """Installing the package is all that it takes to be found."""
    assert "example" in python(package, "-c", BENCH, "list", kind)


def test_the_examples_load_is_listed(package: Path) -> None:
    """A shape of another catalogue goes with the models of its families."""
    assert "tiny-decoder/haiku" in python(package, "-c", BENCH, "list", "loads")


def test_the_example_runs(package: Path) -> None:
    """The page's backend, sampler and load together give a measured result."""
    (package / "watts.txt").write_text("300.0\n")
    words = "--backend example --load tiny-decoder/haiku --power example:watts.txt --out result.json --quiet"
    times = "--window 0.3 --repeats 2 --warm-up-min 0 --warm-up-max 0.2 --idle 0.2"
    shown = python(package, "-c", BENCH, "run", *shlex.split(f"{words} {times}"))

    assert "example" in shown
    assert (package / "result.json").exists()
