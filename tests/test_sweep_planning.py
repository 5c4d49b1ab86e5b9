"""Planning a sweep with the mock backend: batches found, mistakes refused, groups made."""

from dataclasses import replace
from pathlib import Path

import pytest

from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.planning import Planned, groups_of, loads_with_lengths, plan_point, plan_points
from wattbench.harness.sweep.points import Axes, Point
from wattbench.results.errors import OutOfMemoryError, UsageError

LOAD = "tiny-decoder/tiny"
MOCK = RunRequest(backend="mock")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep caches of these tests out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))


def planned(*batches: int, limit_w: float | None = None) -> list[Planned]:
    """Return points of one series, planned."""
    return [plan_point(Point(load=LOAD, power_limit_w=limit_w, batch=batch), MOCK) for batch in batches]


def names(groups: object) -> list[list[int]]:
    """Return the batches of each group."""
    return [[p.point.batch for p in group.points] for group in groups]


def test_the_batches_of_a_series_ascend() -> None:
    """Whatever the order of the list, so that a batch that is too big is met before larger ones."""
    points = plan_points(Axes(load=(LOAD,), precision=("float32", "bfloat16"), batch=(4, 1)), MOCK)

    assert [("float32", 1), ("float32", 4), ("bfloat16", 1), ("bfloat16", 4)] == [
        (p.point.precision, p.point.batch) for p in points
    ]


def test_auto_batches_are_powers_of_two_up_to_the_given_limit() -> None:
    """The list's own batches are measured beside them."""
    points = plan_points(Axes(load=(LOAD,), batch=(3,), batch_auto=True, batch_max=8), MOCK)

    assert [1, 2, 3, 4, 8] == [p.point.batch for p in points]


def test_auto_batches_end_where_the_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest one still fits by the count of memory that `bench run` uses; twice as many requests would not."""
    free = 10_000_000
    for module in ("wattbench.harness.memory", "wattbench.harness.sweep.planning"):
        monkeypatch.setattr(f"{module}.available_bytes", lambda device: free)
    points = plan_points(Axes(load=(LOAD,), batch_auto=True), MOCK)
    largest = points[-1].point.batch

    assert [2**i for i in range(len(points))] == [p.point.batch for p in points]
    assert 1 < largest < 2**20
    assert all(p.refusal is None for p in points)
    assert isinstance(plan_point(Point(load=LOAD, batch=2 * largest), MOCK).refusal, OutOfMemoryError)


def test_auto_batches_stop_early_where_the_memory_is_unknown() -> None:
    """A device that tells nothing of its memory gets 64 at most."""
    assert 64 == plan_points(Axes(load=(LOAD,), batch_auto=True), MOCK)[-1].point.batch


def test_a_value_that_no_point_can_use_is_refused_at_once() -> None:
    """A misspelt precision beside a good one is a mistake, not a hole in the table."""
    with pytest.raises(UsageError, match="float23"):
        plan_points(Axes(load=(LOAD,), precision=("float32", "float23"), batch=(1, 2)), MOCK)


def test_a_batch_that_contradicts_the_scenario_is_refused_at_once() -> None:
    """Single-stream means batch 1, so every point of batch 2 is impossible."""
    with pytest.raises(UsageError, match="batch 2"):
        plan_points(Axes(load=(LOAD,), batch=(1, 2)), replace(MOCK, scenario="single-stream"))


def test_a_precision_that_one_load_lacks_leaves_the_others_points() -> None:
    """The point that cannot be planned keeps its error, which the table will show."""
    points = plan_points(Axes(load=(LOAD, "minilm-l6/embed-256"), precision=("float32", "float16")), MOCK)
    refused = [p for p in points if p.refusal is not None]

    assert [(LOAD, "float16")] == [(p.point.load, p.point.precision) for p in refused]
    assert "does not declare precision 'float16'" in refused[0].refusal.what


def test_groups_hold_at_most_so_many_points() -> None:
    """Five points, three at a time."""
    assert [[1, 2, 4], [8, 16]] == names(groups_of(planned(1, 2, 4, 8, 16), 3))


def test_a_group_needs_no_more_than_half_of_the_free_memory() -> None:
    """Each worker counts with a gigabyte of its own: two of them fit into half of 5 GB, three do not."""
    groups = groups_of(planned(1, 2, 4), 6, available=lambda point: 5_000_000_000)

    assert [[1, 2], [4]] == names(groups)
    assert "no neighbour fits beside it" in groups[1].reason
    assert "" == groups[0].reason


def test_points_of_two_power_limits_are_never_open_together() -> None:
    """The limit is the whole board's."""
    assert [[1, 2], [1]] == names(groups_of([*planned(1, 2, limit_w=250.0), *planned(1, limit_w=300.0)], 6))


def test_input_lengths_are_loads_of_their_own() -> None:
    """Each length of each load has the name that `--load` takes; a load's own length has its plain name."""
    assert ("tiny-decoder/tiny@8", "tiny-decoder/tiny") == loads_with_lengths(["tiny-decoder/tiny"], [8, 16])
    assert ("tiny-encoder/tiny-encode",) == loads_with_lengths(["tiny-encoder/tiny-encode"] * 2, [])


def test_output_lengths_go_with_each_input_length() -> None:
    """Every input length is measured with every output length; these alone say nothing of the input."""
    expected = tuple(f"tiny-decoder/tiny@{lengths}" for lengths in ("8x4", "8x6", "12x4", "12x6"))
    assert expected == loads_with_lengths(["tiny-decoder/tiny"], [8, 12], [4, 6])
    with pytest.raises(UsageError, match="--output-tokens needs --input-tokens"):
        loads_with_lengths(["tiny-decoder/tiny"], [], [4])


def test_lengths_said_twice_are_refused() -> None:
    """A length in --load and another one in --input-tokens contradict each other."""
    with pytest.raises(UsageError, match="--input-tokens contradicts --load"):
        loads_with_lengths(["tiny-decoder/tiny@8"], [4])
