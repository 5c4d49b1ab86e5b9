"""Published figures, computed again."""

import json
import subprocess
import sys

import pytest

from wattbench.results.economics.published import PublishedCase, published_cases, unreproducible_cases
from wattbench.results.economics.published_formulas import FORMULAS

CASES = published_cases()
LEFT = unreproducible_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_rounds_to_what_was_printed(case: PublishedCase) -> None:
    """Our figure from the source's inputs is the source's, within its rounding."""
    assert case.agrees, f"{case.own} {case.unit} instead of {case.published} +/- {case.rounding}"


def test_rounding_is_that_of_the_last_digit() -> None:
    """No case passes by more than half a unit of the last digit that its source can have printed, 2.5 % at most."""
    assert all(case.rounding <= 0.0625 * abs(case.published) for case in CASES)


def test_the_faults_of_others_stay_told() -> None:
    """The overhead counted twice is 1.26 times ours, so ours does not have it."""
    twice = next(case for case in CASES if case.id == "G6 overhead counted twice")

    assert 1.26 == pytest.approx(twice.own, rel=1e-12)


def test_every_formula_is_used() -> None:
    """No formula stands by without a case."""
    import tomllib
    from importlib.resources import files

    text = files("wattbench.results.economics").joinpath("published.toml").read_text(encoding="utf-8")
    used = {case["formula"] for case in tomllib.loads(text)["case"]}

    assert set(FORMULAS) == used


def test_validate_prints_every_case() -> None:
    """`bench cost validate` prints source, inputs, published and own figure of each case, and ends well."""
    done = _bench("cost", "validate")

    assert 0 == done.returncode, done.stderr
    assert all(case.id in done.stdout for case in CASES)
    assert f"{len(CASES)} of {len(CASES)} agree within their published rounding; {len(LEFT)} not repro" in done.stdout
    assert all(case.id in done.stdout and case.reason in done.stdout for case in LEFT)


def test_validate_for_machines() -> None:
    """With --json each case carries both figures and its source; one that cannot be computed has none of ours."""
    rows = json.loads(_bench("cost", "validate", "--json").stdout)

    assert [case.id for case in (*CASES, *LEFT)] == [row["id"] for row in rows]
    assert [(None, None)] * len(LEFT) == [(row["own"], row["agrees"]) for row in rows[len(CASES) :]]
    assert all(row["source"]["url"] for row in rows)


def test_calculator_loads_no_sdk() -> None:
    """Computing every case imports neither torch nor pandas nor any other SDK."""
    code = (
        "import sys; from wattbench.results.economics.published import published_cases; published_cases();"
        "print([m for m in ('torch', 'onnxruntime', 'transformers', 'pandas', 'pynvml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def _bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
