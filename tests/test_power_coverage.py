"""Every branch of the modules that turn polls into joules is taken by their own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
POWER = TESTS.parent / "harness" / "power"
MODULES = (
    *("alias", "budget", "corrections", "counter", "curve", "derive", "energy", "estimate", "ladder", "net", "phases"),
    *("resolution", "series", "terms"),
)
"""What must be covered whole, and everything about calibration besides."""

ELSEWHERE = ("hosts", "remote_line")
"""Tests of what these modules do with the sensors of several hosts."""

FEW = ("-p", "no:cacheprovider", "--hypothesis-profile=few")
"""The same tests run with all their examples elsewhere; no branch waits for a lucky one."""

CONFIG = """
[run]
branch = True
data_file = {folder}/coverage
include =
    {include}

[report]
fail_under = 100
show_missing = True
skip_covered = True
"""


def test_every_branch_of_the_energy_is_tested(tmp_path: Path) -> None:
    """100 % of the branches of energy, counter, curve, series, budget, ladder, phases, alias and calibration."""
    pytest.importorskip("coverage", reason="needs the package coverage of the extra `dev`")
    calibration = sorted(path.stem for path in POWER.glob("calibrat*.py"))
    names = (*MODULES, *calibration)
    wanted = [TESTS / f"test_power_{name}.py" for name in (*names, *ELSEWHERE)]
    wanted += sorted(TESTS.glob("test_power_calibrat*.py"))
    tests = [str(path) for path in dict.fromkeys(wanted) if path.exists()]
    config = tmp_path / "coveragerc"
    include = "\n    ".join(f"*/harness/power/{name}.py" for name in names)
    config.write_text(CONFIG.format(folder=tmp_path, include=include))
    run = [sys.executable, "-m", "coverage", "run", f"--rcfile={config}", "-m", "pytest", "-q", *FEW, *tests]
    # It is one test of this run and has its turn: tests in it that waited for another would wait for ever.
    inner = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    ran = subprocess.run(run, cwd=TESTS.parent, env=inner, capture_output=True, text=True, timeout=300, check=False)
    assert 0 == ran.returncode, ran.stdout[-3000:]
    report = [sys.executable, "-m", "coverage", "report", f"--rcfile={config}"]
    found = subprocess.run(report, cwd=TESTS.parent, capture_output=True, text=True, timeout=60, check=False)

    assert 0 == found.returncode, found.stdout
