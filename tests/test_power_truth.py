"""Four real traces beside a real meter: the meter lies within what is stated."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
TRACES = ROOT / "tests" / "data" / "oxford_traces"


@pytest.fixture(scope="module", name="truth")
def _truth() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_truth", ROOT / "benchmarks" / "truth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", name="rows")
def _rows(truth: ModuleType) -> list[object]:
    """Replay all traces once."""
    rows: list[object] = truth.rows_of(TRACES)
    return rows


def test_the_meter_lies_inside_every_stated_interval(rows: list) -> None:  # type: ignore[type-arg]  # rows of a script
    """With and without calibration, for steps and for the square wave."""
    assert [(True, True)] * 4 == [(row.as_it_comes.inside, row.calibrated.inside) for row in rows]


def test_calibrated_steps_are_within_a_percent(rows: list) -> None:  # type: ignore[type-arg]  # rows of a script
    """The board's known gain and offset leave at most 1 %, 2 % on Kepler."""
    steps = {row.trace: abs(row.calibrated.error) for row in rows if row.trace.endswith("_TR")}

    assert {"3090_TR", "A100_TR", "K40m_TR"} == set(steps)
    assert all(error <= (0.02 if name.startswith("K40m") else 0.01) for name, error in steps.items()), steps


def test_the_square_wave_raises_the_alias_and_widens(rows: list) -> None:  # type: ignore[type-arg]  # rows of a script
    """52 ms against looks of 25 ms every 100 ms: an alias on the A100 and on no step, twice as wide as a step there."""
    by_name = {row.trace: row for row in rows}
    square, step = by_name["A100_square"], by_name["A100_TR"]

    assert {"A100_square"} == {row.trace for row in rows if row.calibrated.alias is not None}
    assert "beat once in" in square.calibrated.alias
    assert square.calibrated.comparison > 2 * step.calibrated.comparison
    assert abs(square.calibrated.error) > 0.04  # so wide for a reason


def test_deduplicating_is_worse(rows: list) -> None:  # type: ignore[type-arg]  # rows of a script
    """Throwing equal samples away loses energy on every step."""
    assert all(row.deduplicated_error < row.naive_error for row in rows)


def test_the_page_shows_these_figures(truth: ModuleType, rows: list) -> None:  # type: ignore[type-arg]  # the same
    """docs/uncertainty.md holds the table that the program prints."""
    text = (ROOT / "docs" / "uncertainty.md").read_text()

    assert [] == [line for line in truth.table_lines(rows) if line not in text]


def test_a_trace_of_an_unknown_board_is_taken_as_it_comes(truth: ModuleType, tmp_path: Path) -> None:
    """Another folder of the same format works, packed or not; what is not known of its board is not made up."""
    shutil.copytree(TRACES / "K40m_TR", tmp_path / "Other_TR")
    (tmp_path / "Other_TR" / "timestamps.csv").write_text(truth.text_of(TRACES / "K40m_TR", "timestamps.csv"))
    (tmp_path / "Other_TR" / "timestamps.csv.xz").unlink()
    (row,) = truth.rows_of(tmp_path)

    assert row.calibrated is None
    assert ["-", "-"] == [cell.strip() for cell in truth.table_lines([row])[2].split("|")[5:7]]


def test_a_folder_without_traces_is_named(truth: ModuleType, tmp_path: Path) -> None:
    """The program says what it needs."""
    with pytest.raises(SystemExit, match="holds no trace"):
        truth.rows_of(tmp_path)
