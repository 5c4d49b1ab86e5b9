"""Results as pandas frames."""

import subprocess
import sys
from types import ModuleType

import pytest


def test_one_row_per_repeat(factories: ModuleType) -> None:
    """The frame has one row per repeat, indexed by its number."""
    assert [0, 1, 2, 3, 4] == list(factories.make_result().to_frame().index)


def test_columns(factories: ModuleType) -> None:
    """Work, rates, energy and power stand in columns with their units."""
    row = factories.make_result().to_frame().loc[1]

    assert (10.0, 20, 2.0, 32.0, 8.0, 3005.0, 300.5) == (
        row["duration_s"],
        row["requests"],
        row["requests_per_s"],
        row["input_tokens_per_s"],
        row["output_tokens_per_s"],
        row[f"energy_j.{factories.CHANNEL}"],
        row[f"power_w.{factories.CHANNEL}"],
    )


def test_unknown_energy_is_missing(factories: ModuleType) -> None:
    """An unknown energy is missing in the frame, not 0."""
    repeats = (factories.make_repeat(0), factories.make_repeat(1, energy=(factories.make_channel_energy(None),)))
    frame = factories.make_result(repeats=repeats).to_frame()

    assert [False, True] == list(frame[f"energy_j.{factories.CHANNEL}"].isna())


@pytest.mark.parametrize("wanted", ["<table", "energy_j"])
def test_notebooks_show_a_table(factories: ModuleType, wanted: str) -> None:
    """A notebook shows the frame as a table."""
    assert wanted in factories.make_result()._repr_html_()


def test_no_repeats(factories: ModuleType) -> None:
    """A run that was only started has an empty frame."""
    assert 0 == len(factories.make_result(status="started", repeats=(), summary=None).to_frame())


def test_results_import_neither_pandas_nor_msgspec() -> None:
    """Importing the records, statistics and files loads no library: each is loaded when it is needed."""
    code = (
        "import sys, wattbench.results.files, wattbench.results.frames, wattbench.results.summarise\n"
        "sys.stdout.write(' '.join({'pandas', 'msgspec', 'numpy', 'rfc8785'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert "" == done.stdout
