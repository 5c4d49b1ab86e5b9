"""`bench` in the process of a test, which spares the second that a Python needs to begin, and what its runs share."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TypeVar

import pytest

from wattbench.harness.cli.main import answer
from wattbench.results.files import read_result

__all__ = ["SOON", "own_environment", "run_here", "run_with_joules"]

T = TypeVar("T")

SOON = ("--seed", "112983")
"""A seed that draws short pauses: before each of a run's first six windows less than 90 ms."""


TRIES = 5


def run_with_joules(run: Callable[[], T], path: Path) -> T:
    """Return what a run into a file ends with; one that a busy machine cost joules, with a reason, is made again."""
    for _ in range(TRIES):
        for left in path.parent.glob(f"{path.stem}.*"):
            left.unlink()
        ended = run()
        if not path.exists():
            break
        result = read_result(path)
        energies = [energy for part in (*result.idle, *result.repeats) for energy in part.energy]
        assert all(energy.reason for energy in energies if energy.energy_j is None)
        if all(energy.energy_j is not None for energy in energies):
            break
    return ended


def own_environment(**places: str) -> dict[str, str]:
    """Return the environment without a word for wattbench or for coverage, and with these."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WATTBENCH_", "COV_"))} | places


def run_here(
    *words: str, environment: Mapping[str, str], typed: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Return what a command of `bench` ends with in an environment, here; `typed` is its standard input.

    What PYTHONPATH names is found by it as well as by the processes that it starts.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        for place in environment.get("PYTHONPATH", "").split(os.pathsep):
            if place and place not in sys.path:
                patch.syspath_prepend(place)
        patch.setattr(sys, "argv", ["bench", *words])
        patch.setattr(sys, "stdin", io.StringIO(typed or ""))
        code = answer()
    said, told = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]  # BytesIO
    return subprocess.CompletedProcess(("bench", *words), code, said, told)
