"""The Python interface: what `import wattbench` gives, and a run in three lines."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import SOON

import wattbench
from wattbench.harness.request import RunRequest
from wattbench.results.document import Result
from wattbench.results.errors import UsageError

SHORT = {"window_s": 0.2, "repeats": 2, "power": "none"}


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep results and caches of these tests out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))


class Measured(NamedTuple):
    """What a run gave, and the folder of its data."""

    result: Result
    data: Path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Run once for all tests that look at what came of it."""
    folder, soon = tmp_path_factory.mktemp("measured"), {"idle_s": 0, "warmup_max_s": 0.1, "seed": int(SOON[1])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_DATA", str(folder))
        return Measured(wattbench.run("tiny-decoder/tiny", backend="mock", quick=True, **soon, **SHORT), folder)


def test_the_public_names_are_these() -> None:
    """A change of this list is a change of the interface."""
    assert ["Result", "WattbenchError", "load", "run", "save"] == sorted(wattbench.__all__)


def test_every_public_name_exists() -> None:
    """Each name can be imported, and `dir` shows it."""
    assert all(getattr(wattbench, name) is not None for name in wattbench.__all__)
    assert set(wattbench.__all__) <= set(dir(wattbench))


def test_another_name_is_an_attribute_error() -> None:
    """Unknown names fail as in any module."""
    with pytest.raises(AttributeError, match="nothing"):
        _ = wattbench.nothing


def test_a_run_gives_a_result_and_keeps_its_file(measured: Measured) -> None:
    """run() returns the document; its file in the data folder loads as the same document."""
    (path,) = (measured.data / "results").glob("*.json")

    assert measured.result == wattbench.load(path)


def test_a_result_becomes_a_frame(measured: Measured) -> None:
    """to_frame() has one row a repeat."""
    assert 2 == len(measured.result.to_frame())
    assert "<table" in measured.result._repr_html_()


def test_a_result_can_be_saved_elsewhere(measured: Measured, tmp_path: Path) -> None:
    """save() writes a document that loads again."""
    wattbench.save(measured.result, tmp_path / "copy.json")

    assert measured.result == wattbench.load(tmp_path / "copy.json")


def test_wrong_arguments_raise_our_errors() -> None:
    """An unknown load is a UsageError, which is a WattbenchError."""
    with pytest.raises(UsageError):
        wattbench.run("no-such-model/chat")

    assert issubclass(UsageError, wattbench.WattbenchError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": "8"},
        {"batch": 1.5},
        {"batch": True},
        {"load": 5},
        {"power": 5},
        {"power": (5,)},
        {"affinity": "0"},
        {"quick": "yes"},
        {"window_s": float("nan")},
        {"out": 5},
        {"out": ""},
        {"plan": 5},
        {"plan": ""},
    ],
)
def test_a_wrong_type_names_its_argument(wrong: dict[str, object]) -> None:
    """A value of another type is a UsageError that names the argument, before anything starts."""
    arguments = {"load": "tiny-decoder/tiny", "backend": "mock", **wrong}
    with pytest.raises(UsageError) as caught:
        wattbench.run(**arguments)

    assert next(iter(wrong)) in str(caught.value)


def test_every_knob_is_an_argument() -> None:
    """run() takes each knob of a request, those of traffic by name, a plan file and a place for the result."""
    names = set(inspect.signature(wattbench.run).parameters)
    traffic = {knob for knob in (f.name for f in fields(RunRequest)) if f"`{knob}`" in traffic_row()}

    assert {f.name for f in fields(RunRequest)} - traffic | {"traffic", "plan", "out"} == names


def traffic_row() -> str:
    """Return the row of docs/python.md that lists the knobs of traffic."""
    page = (Path(__file__).parent.parent / "docs" / "python.md").read_text()
    return next(line for line in page.splitlines() if "traffic={...}" in line)


def test_arguments_win_over_the_plan_file(tmp_path: Path) -> None:
    """What the plan file says holds where no argument says otherwise."""
    path = tmp_path / "plan.toml"
    path.write_text('load = "tiny-encoder"\nbackend = "mock"\nseed = 3\nbatch = 2\nquick = true\nwarmup_max_s = 0.1\n')
    plan = wattbench.run(plan=path, batch=4, idle_s=0, **SHORT).plan

    assert (3, 4, True, 0.1) == (plan.seed, plan.batch, plan.quick, plan.warmup_max_s)
