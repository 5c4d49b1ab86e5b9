"""The table of a sweep, from result files made by hand."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.folder import Folder
from wattbench.harness.sweep.lines import report_lines
from wattbench.harness.sweep.manifest import GroupRecord, SweepPlan
from wattbench.harness.sweep.points import Axes, Point
from wattbench.harness.sweep.table import report_of
from wattbench.results.files import write_result
from wattbench.results.summarise import summarise

S = 1_000_000_000
LOAD = "tiny-decoder/tiny"


def result(factories: ModuleType, *, requests: int, seconds: float, energy_j: float | None, valid: bool = True):
    """Return a run of five equal windows: executions of `requests` requests and 4 tokens each, each `seconds` long."""
    executions = int(10 / seconds)
    repeats = tuple(
        factories.make_repeat(
            i,
            completions=factories.make_completions(
                (60 + 12 * i) * S, executions=executions, duration_ns=int(seconds * S), requests=requests
            ),
            energy=() if energy_j is None else (factories.make_channel_energy(energy_j),),
        )
        for i in range(5)
    )
    summary = summarise(
        factories.make_load(),
        repeats,
        rung_energies=[] if energy_j is None else [[factories.make_rung(energy_j)] for _ in repeats],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason="no power sensor can be used here",
    )
    backend = replace(factories.make_backend(), mock=not valid)
    doubts = {} if not valid else {"doubts": ()}
    return factories.make_result(repeats=repeats, summary=summary, backend=backend, **doubts)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    points = [Point(load=LOAD, batch=batch) for batch in (1, 2, 4, 8, 16, 32, 64)]
    plan = SweepPlan(axes=Axes(load=(LOAD,), batch=tuple(p.batch for p in points)), request=RunRequest(), together=6)
    return Folder.create(tmp_path / "sweep", plan, points)


def fill(folder: Folder, factories: ModuleType, energies_j: tuple[float | None, ...]) -> None:
    """Write five results: throughput 4, 16, 64, 80 and 64 tokens/s at 1, 0.5, 0.25, 0.5 and 2 s; the fifth is a mock's.

    Batch 2 is beaten by batch 4; the front is batch 4 and 8. Batch 32 was too big.
    """
    figures = ((1, 1.0), (2, 0.5), (4, 0.25), (10, 0.5), (32, 2.0))
    for record, (requests, seconds), energy_j in zip(folder.manifest.points, figures, energies_j, strict=False):
        made = result(factories, requests=requests, seconds=seconds, energy_j=energy_j, valid=requests != 32)
        write_result(made, folder.file_of(record.name))
        folder.mark(record.name, "complete")
    folder.mark(f"{LOAD}, batch 32", "out_of_memory", "The device ran out of memory: by far")
    folder.mark(f"{LOAD}, batch 64", "skipped", "larger than batch 32, which ran out of memory")
    folder.note_group(GroupRecord(points=("a", "b"), interleaved=True, reason="", turns=("a", "b")))


def test_the_front_has_no_point_that_another_beats(folder: Folder, factories: ModuleType) -> None:
    """Batch 4 beats 1 and 2 in both; batch 8 has more throughput; the mock's point is left out."""
    fill(folder, factories, (3000.0,) * 5)
    (load,) = report_of(folder).loads

    assert (f"{LOAD}, batch 4", f"{LOAD}, batch 8") == load.front
    assert (f"{LOAD}, batch 16",) == load.left_out


def test_a_row_has_the_figures_of_its_result(folder: Folder, factories: ModuleType) -> None:
    """Batch 4: 40 executions of 4 requests with 4 tokens in 10 s are 64 tokens/s; 3000 J over 640 tokens are 4.69 J."""
    fill(folder, factories, (3000.0,) * 5)
    row = report_of(folder).rows[2]

    assert (64.0, 64.0, 64.0) == (row.throughput.value, row.throughput.low, row.throughput.high)
    assert 0.25 == pytest.approx(row.latency.value)
    assert 3000 / 640 == pytest.approx(row.energy.value)
    assert 640 / 3000 == pytest.approx(row.tokens_per_j)
    assert ("valid", "tokens/s", "J/token") == (row.verdict, row.throughput_unit, row.energy_unit)


def test_the_energy_front_has_its_own_points(folder: Folder, factories: ModuleType) -> None:
    """With 1 W at batch 1 nobody needs less energy a token; batch 8 has the highest throughput."""
    fill(folder, factories, (10.0, 3000.0, 3000.0, 4000.0, 3000.0))
    (load,) = report_of(folder).loads

    assert (f"{LOAD}, batch 1", f"{LOAD}, batch 4", f"{LOAD}, batch 8") == load.energy_front


def test_without_a_sensor_there_is_no_energy_front(folder: Folder, factories: ModuleType) -> None:
    """The table shows a dash, and the reason stands below."""
    fill(folder, factories, (None,) * 5)
    report = report_of(folder)
    lines = report_lines(report)

    assert () == report.loads[0].energy_front
    assert any(line.startswith("no energy") and "no power sensor can be used here" in line for line in lines)


def test_points_with_the_same_figures_are_called_equal(folder: Folder, factories: ModuleType) -> None:
    """Two results with the same repeats overlap in both intervals."""
    for name in (f"{LOAD}, batch 1", f"{LOAD}, batch 2"):
        write_result(result(factories, requests=2, seconds=0.5, energy_j=None), folder.file_of(name))
        folder.mark(name, "complete")
    (load,) = report_of(folder).loads

    assert ((f"{LOAD}, batch 1", f"{LOAD}, batch 2"),) == load.equal


@pytest.mark.parametrize(("limit_s", "best"), [(0.3, "batch 4"), (0.5, "batch 8"), (0.1, None)])
def test_the_best_within_a_limit_is_named(
    folder: Folder, factories: ModuleType, limit_s: float, best: str | None
) -> None:
    """The highest throughput whose p99 is at most the limit; no point where none is fast enough."""
    fill(folder, factories, (3000.0,) * 5)
    report = report_of(folder, slo_latency_s=limit_s)
    text = "\n".join(report_lines(report))

    assert (None if best is None else f"{LOAD}, {best}") == report.loads[0].within_limit
    assert f"{best or 'no point'}: highest throughput whose p99 request latency is at most that" in text


def test_points_without_figures_stand_in_the_table_with_their_reason(folder: Folder, factories: ModuleType) -> None:
    """Too big, skipped: the state is in the row, the reason below."""
    fill(folder, factories, (3000.0,) * 5)
    lines = report_lines(report_of(folder))

    assert any(line.split() == ["batch", "32", "-", "-", "-", "-", "-", "out", "of", "memory"] for line in lines)
    assert any("ran out of memory: by far" in line for line in lines)
    assert any("the repeats of 2 points alternated" in line for line in lines)


def test_a_result_that_was_altered_is_an_error_in_its_row(folder: Folder, factories: ModuleType) -> None:
    """A complete point whose file does not verify has no figures."""
    fill(folder, factories, (3000.0,) * 5)
    path = folder.file_of(f"{LOAD}, batch 4")
    path.write_bytes(path.read_bytes().replace(b'"seed":1', b'"seed":2'))
    row = report_of(folder).rows[2]

    assert ("error", None) == (row.status, row.throughput)
    assert "altered" in row.reason


def test_the_latency_can_be_another_one(folder: Folder, factories: ModuleType) -> None:
    """Of an execution of 1 s the first token takes 0.4 s."""
    fill(folder, factories, (3000.0,) * 5)

    assert 0.4 == pytest.approx(report_of(folder, latency="ttft").rows[0].latency.value)


def test_watts_that_were_not_measured_are_called_so(folder: Folder, factories: ModuleType) -> None:
    """The column of energies says where they come from."""
    made = result(factories, requests=1, seconds=1.0, energy_j=3000.0)
    channel = replace(made.power.channels[0], provenance="modelled")
    write_result(replace(made, power=replace(made.power, channels=(channel,))), folder.file_of(f"{LOAD}, batch 1"))
    folder.mark(f"{LOAD}, batch 1", "complete")

    assert "J/token (modelled)" in "\n".join(report_lines(report_of(folder)))
