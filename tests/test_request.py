"""Plan files are read strictly, and flags win over them."""

import os
from pathlib import Path

import pytest

from wattbench.harness.request import RunRequest, merge_requests, read_request
from wattbench.results.errors import UsageError


def test_a_plan_file_gives_its_knobs(tmp_path: Path) -> None:
    """Every knob of a TOML file arrives with its type."""
    path = tmp_path / "plan.toml"
    path.write_text('load = "bert-base/classify-128"\nbatch = 8\nwindow_s = 10\npower = ["none"]\n')

    expected = RunRequest(load="bert-base/classify-128", batch=8, window_s=10.0, power=("none",))
    assert expected == read_request(path)


def test_flags_win_over_the_file() -> None:
    """What a flag sets replaces what the file says; what it leaves out stays."""
    merged = merge_requests(RunRequest(load="a/b", batch=8), RunRequest(batch=1))

    assert RunRequest(load="a/b", batch=1) == merged


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lod = 'x'", "Did you mean 'load'?"),
        ("batch = 'eight'", "$.batch"),
        ("batch = ", "not TOML"),
        ("batch = " + "9" * 5000, "not TOML"),
        ("power = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("window_s = inf", "$.window_s"),
        ("load = 2026-01-01", "$.load"),
        ("#" * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    """An unknown key, a wrong type and broken TOML each name the file and what is wrong."""
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_request(path)

    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """A plan file that is not there is named."""
    with pytest.raises(UsageError, match="No such file"):
        read_request(tmp_path / "none.toml")


def test_a_wrong_value_is_not_to_be_measured_again(tmp_path: Path) -> None:
    """The remedy for a plan file is its own, not that of a result file."""
    path = tmp_path / "plan.toml"
    path.write_text("batch = 1.5")
    with pytest.raises(UsageError) as caught:
        read_request(path)

    assert "measure again" not in str(caught.value)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe, a device and a folder are refused without being read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(UsageError, match="not a regular file"):
            read_request(path)
