"""The roofline as text: its lines, and where the points lie in them."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.harness.cli.roofline import roofline_lines
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.document import Result
from wattbench.results.files import write_result
from wattbench.results.summarise import summarise

LEFT = 9
"""Columns before the drawing."""

DRAWING = r"""
 FLOP/s    roofline: tiny-decoder/tiny on cpu (Made-up CPU)
  100 G +                                       __----------------
        |                                __---''
   10 G +                         __---''          P
        |                  __---''
    1 G +           __---''
        |    __---''   D
  100 M +--''
        |
   10 M +
         +-------------+-------------+-------------+-------------+
        0.1            1            10            100           1 k FLOP/byte
--- 100 GFLOP/s: float32 products of 8x8x8, torch
_-' 1 GB/s: memory, reads of 512 MiB, torch
P   prefill 10 GFLOP/s: 10 % of 100 GFLOP/s attainable at 100 FLOP/byte
D   decode 200 MFLOP/s: 20 % of 1 GFLOP/s attainable at 1 FLOP/byte
"""


def entry(kind: str, rate: float, precision: str | None = None) -> CeilingEntry:
    """Return one ceiling."""
    return CeilingEntry(
        kind=kind,  # type: ignore[arg-type] # a literal at each call
        precision=precision,
        shape="8x8x8" if precision else "512 MiB",
        unit="FLOP/s" if precision else "By/s",
        samples=(rate,),
        library="torch",
        threads=None,
    )


def ceilings(flops_per_s: float = 1e11, bytes_per_s: float = 1e9, cache_bytes: int | None = None) -> CeilingsRecord:
    """Return the ceilings of a device; the ridge is at 100 FLOP/byte."""
    return CeilingsRecord(
        device="cpu",
        device_name=None,
        measured_at="2026-01-02T03:04:05Z",
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=cache_bytes,
        entries=(entry("matmul", flops_per_s, "float32"), entry("memory_read", bytes_per_s)),
    )


def made(
    factories: ModuleType,
    limits: CeilingsRecord | None,
    *,
    output_tokens: int = 4,
    turns: int = 1,
    mock: bool = False,
    **work: Any,  # any: values of any field
) -> Result:
    """Return a run of ten executions of two requests: 0.4 s of prefill, 0.6 s of three decode steps.

    Each step reads 4e7 bytes of weights and no cache: decode does 1 FLOP/byte at 200 MFLOP/s, prefill (or an encoder's
    pass) 100 FLOP/byte, at 10 GFLOP/s (an encoder, which has the whole second, at 4 GFLOP/s).
    """
    counts = {"prefill_flops": 2e9, "decode_flops": 6e7 if output_tokens else None, "weight_bytes": 40_000_000}
    load = factories.make_load(output_tokens=output_tokens, turns=turns)
    load = replace(load, work=replace(load.work, **{**counts, "kv_bytes_per_token": 0, "decode_kv_bytes": 0, **work}))
    done = factories.make_completions(output_tokens=output_tokens)
    repeats = tuple(factories.make_repeat(i, completions=done) for i in range(2))
    backend = replace(factories.make_backend(), mock=mock, device_name="Made-up CPU")
    summary = summarise(
        load,
        repeats,
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason="no sensor",
        backend=backend,
        ceilings=limits,
    )
    found: Result = factories.make_result(load=load, repeats=repeats, backend=backend, ceilings=limits, summary=summary)
    return found


def position(lines: list[str], mark: str) -> tuple[int, int]:
    """Return the row (0: the topmost) and the column of a mark within the drawing."""
    drawing = [line[LEFT:] for line in lines[1 : next(i for i, line in enumerate(lines) if "FLOP/byte" in line)]]
    (place,) = [(row, line.index(mark)) for row, line in enumerate(drawing) if mark in line]
    return place


def test_the_drawing(factories: ModuleType) -> None:
    """Prefill at 100 FLOP/byte and decode at 1 FLOP/byte stand under the roofs that limit them."""
    assert DRAWING.strip("\n").splitlines() == roofline_lines(made(factories, ceilings()))


def test_where_the_points_lie(factories: ModuleType) -> None:
    """A decade is 14 columns wide and 2 rows high here, from 0.1 FLOP/byte and from 100 GFLOP/s downwards."""
    lines = roofline_lines(made(factories, ceilings()))
    decode_row = 2 * math.log10(1e11 / 2e8)

    assert (round(2 * math.log10(1e11 / 1e10)), 14 * 3) == position(lines, "P")
    assert (round(decode_row), 14 * 1) == position(lines, "D")


@pytest.mark.parametrize("factor", [0.5, 2.0, 8.0])
def test_points_move_with_their_rates(factories: ModuleType, factor: float) -> None:
    """More FLOPs from the same bytes in the same time lie further right and higher."""
    before = position(roofline_lines(made(factories, ceilings(1e12))), "P")
    after = position(roofline_lines(made(factories, ceilings(1e12), prefill_flops=2e9 * factor)), "P")

    assert (factor > 1) == (after[0] < before[0] and after[1] > before[1])


def test_an_encoder(factories: ModuleType) -> None:
    """An encoder has one point, its whole pass."""
    lines = roofline_lines(made(factories, ceilings(), output_tokens=0))

    assert "E   encoder 4 GFLOP/s: 4 % of 100 GFLOP/s attainable at 100 FLOP/byte" == lines[-1]
    assert not any(line.startswith(("P ", "D ")) for line in lines)
    assert position(lines, "E")


def test_a_prompt_alone(factories: ModuleType) -> None:
    """A load of one token out has a prefill and no decode to miss."""
    lines = roofline_lines(made(factories, ceilings(), output_tokens=1))

    assert lines[-1].startswith("P   prefill 10 GFLOP/s: 10 % of")


@pytest.mark.parametrize("flops_per_s", [1e8, 1e10, 1e12, 1e15])
@pytest.mark.parametrize("bytes_per_s", [1e6, 1e9, 5e12])
@pytest.mark.parametrize("prefill_flops", [2e3, 2e9, 7e13])
@pytest.mark.parametrize("output_tokens", [0, 4])
def test_the_size(
    factories: ModuleType, flops_per_s: float, bytes_per_s: float, prefill_flops: float, output_tokens: int
) -> None:
    """No roofline is larger than 16 lines of 78 columns, and all points are in it, wherever they lie."""
    limits = ceilings(flops_per_s, bytes_per_s)
    lines = roofline_lines(made(factories, limits, prefill_flops=prefill_flops, output_tokens=output_tokens))

    assert len(lines) <= 16
    assert max(map(len, lines)) <= 78
    assert [True] * (2 if output_tokens else 1) == [
        position(lines, mark)[1] >= 0 for mark in ("PD" if output_tokens else "E")
    ]


def test_two_phases_at_one_place(factories: ModuleType) -> None:
    """Marks that would hide each other stand side by side: both at 1 FLOP/byte, at 100 and 200 MFLOP/s."""
    lines = roofline_lines(made(factories, ceilings(1e15), prefill_flops=2e7))
    row, column = position(lines, "P")

    assert (row, column + 1) == position(lines, "D")


def test_a_point_above_the_roof_is_drawn(factories: ModuleType) -> None:
    """A rate above its ceiling is a contradiction to be seen, not to be hidden."""
    lines = roofline_lines(made(factories, ceilings(1e9)))

    assert "P   prefill 10 GFLOP/s: 1000 % of 1 GFLOP/s attainable at 100 FLOP/byte" in lines
    assert position(lines, "P")[0] == 0


def test_a_phase_that_cannot_be_placed(factories: ModuleType) -> None:
    """Weights that fit into the cache leave decode out, with the reason in the legend."""
    lines = roofline_lines(made(factories, ceilings(cache_bytes=50_000_000)))

    assert lines[-1].startswith("D   decode is not drawn: the weights (40 MB) fit into the cache (50 MB)")
    assert not any(" D" in line for line in lines[:-1])


def test_a_prefill_that_cached_weights_would_limit(factories: ModuleType) -> None:
    """Left of the ridge a prefill would be limited by traffic that does not happen, so it is not placed either."""
    result = made(factories, ceilings(cache_bytes=50_000_000), prefill_flops=2e8)

    assert [
        "roofline        not drawn: the weights (40 MB) fit into the cache (50 MB), so they are not read from memory"
    ] == roofline_lines(result)


def test_a_prefill_of_two_towers(factories: ModuleType) -> None:
    """What an encoder-decoder's prefill reads is not known, so only decode is placed."""
    result = made(factories, ceilings())
    lines = roofline_lines(replace(result, load=replace(result.load, family="encoder-decoder")))

    assert "P   prefill is not drawn: how much of its weights it reads is not known" == lines[-1]


@pytest.mark.parametrize(
    ("limits", "changes", "reason"),
    [
        (None, {}, "ceilings were not measured"),
        (ceilings(), {"mock": True}, "the backend is a mock: nothing was computed"),
        (ceilings(), {"turns": 2}, "all turns of a request run in one execution, so its phases cannot be told apart"),
    ],
)
def test_no_drawing(factories: ModuleType, limits: CeilingsRecord | None, changes: dict[str, Any], reason: str) -> None:
    """Where there is nothing to draw one line says why."""
    assert [f"roofline        not drawn: {reason}"] == roofline_lines(made(factories, limits, **changes))


def test_no_drawing_in_a_precision_without_ceiling(factories: ModuleType) -> None:
    """Without a ceiling of the run's own precision there is no roof."""
    result = made(factories, ceilings())
    assert result.backend is not None
    other = replace(result, backend=replace(result.backend, precision_effective="int4"))

    assert ["roofline        not drawn: no ceiling was measured for products in int4"] == roofline_lines(other)


def test_no_drawing_of_nothing(factories: ModuleType) -> None:
    """A run that measured nothing has no points."""
    result = replace(made(factories, ceilings()), status="started", verdict=None, summary=None)

    assert ["roofline        not drawn: nothing was measured"] == roofline_lines(result)


def test_text_from_a_file_cannot_steer_the_terminal(factories: ModuleType) -> None:
    """Escape codes and newlines in a name are shown as escapes, and long names are cut."""
    result = made(factories, ceilings())
    evil = replace(result.load, name="\x1b]0;x\x07\n" + "x" * 100)
    lines = roofline_lines(replace(result, load=evil))

    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith(r" FLOP/s    roofline: \x1b]0;x\x07\x0axxx")
    assert lines[0].endswith("xxx...")


@pytest.mark.parametrize(("flags", "drawn"), [([], True), (["--roofline"], True), (["--no-roofline"], False)])
def test_show_draws_it(factories: ModuleType, tmp_path: Path, flags: list[str], drawn: bool) -> None:
    """`bench show` ends with the roofline unless it is told not to."""
    path = tmp_path / "result.json"
    write_result(made(factories, ceilings()), path)
    done = CliRunner().invoke(bench, ["show", str(path), *flags], standalone_mode=False)

    assert done.exception is None
    assert drawn == done.output.endswith("\n" + DRAWING)
