"""The file that `bench cost init` writes."""

import subprocess
import sys
from pathlib import Path

from wattbench.results.economics.fields import FIELDS
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.economics.template import template_lines


def test_as_written_it_gives_nothing() -> None:
    """The file is valid and holds no value: nothing is assumed."""
    assert {} == parse_inputs("\n".join(template_lines(["a machine"])), {}).given


def test_every_field_can_be_filled_in() -> None:
    """Without the comment sign, and with a plausible value, every line of a field is an input."""
    lines, section = [], ""
    for line in template_lines(["a machine"]):
        section = line.removesuffix(":") if line[:1] not in ("#", " ", "") else section
        name = line.removeprefix("  # ").removesuffix(":")
        field = FIELDS.get(f"{section}.{name}")
        lines.append(line if field is None else f"  {name}: {max(field.low, min(field.high, 1.0))}")

    assert set(FIELDS) == set(parse_inputs("\n".join(lines), {}).given)


def test_command_writes_it_once(tmp_path: Path) -> None:
    """The command writes the file with this machine's processor in it, and never over another."""
    path = tmp_path / "cost.yaml"
    first, second = _init(path), _init(path)

    assert (0, 2) == (first.returncode, second.returncode), first.stderr
    assert "logical cores" in path.read_text()
    assert "is there already" in second.stderr


def test_command_says_where_it_cannot_write(tmp_path: Path) -> None:
    """A folder that is not there is an error with its name."""
    done = _init(tmp_path / "none" / "cost.yaml")

    assert 1 == done.returncode
    assert "Cannot write" in done.stderr


def _init(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "cost", "init", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
