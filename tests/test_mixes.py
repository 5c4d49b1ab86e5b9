"""The regression of energy over result files: which belong together, and what the command prints."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.harness.mixes import split_lines, split_report
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.files import write_result

IN_J, OUT_J, IDLE_W = 0.05, 2.0, 100.0
SHAPES = ((16, 4), (256, 4), (16, 64), (256, 64), (1024, 16), (64, 32), (512, 8))


def measured(factories: ModuleType, tokens: tuple[int, int]) -> Result:
    """Return a result of two repeats whose energy follows from the prices above and 100 W idle."""
    whole = factories.make_result()
    repeats = []
    for repeat in whole.repeats[:2]:
        done = repeat.completions
        inputs, outputs = (tuple(2 * n for _ in done.start_ns) for n in tokens)
        energy_j = IN_J * sum(inputs) + OUT_J * sum(outputs) + IDLE_W * repeat.window.duration_s
        work = replace(done, input_tokens=inputs, output_tokens=outputs)
        repeats.append(replace(repeat, completions=work, energy=(factories.make_channel_energy(energy_j),)))
    power = replace(whole.power, covers="GPU-00000000")
    idle = replace(whole.idle[0], energy=(factories.make_channel_energy(IDLE_W * 30, duration_s=30.0),))
    load = replace(whole.load, name=f"tiny-decoder/{tokens[0]}-{tokens[1]}")
    run = replace(whole.run, id=f"{whole.run.id[:24]}{tokens[0]:06d}{tokens[1]:06d}")
    result: Result = replace(whole, run=run, repeats=tuple(repeats), power=power, idle=(idle,), load=load)
    return result


@pytest.fixture(name="folder")
def _folder(factories: ModuleType, tmp_path: Path) -> Path:
    """Return a folder of seven mixes, a sweep's manifest, and a result that was put aside."""
    for n, shape in enumerate(SHAPES):
        write_result(measured(factories, shape), tmp_path / f"point{n}.json")
    write_result(measured(factories, (9, 9)), tmp_path / "point0.old1.json")
    (tmp_path / "sweep.json").write_text("{}")
    return tmp_path


def test_the_prices_come_back(folder: Path) -> None:
    """Seven mixes at 50 mJ a token in and 2 J a token out give just these."""
    (group,) = split_report([folder]).groups
    split = group.split
    assert split.input_token_j is not None
    assert split.output_token_j is not None

    assert (IN_J, OUT_J) == (pytest.approx(split.input_token_j.value), pytest.approx(split.output_token_j.value))
    assert ("measured", IDLE_W, 7) == (split.idle_source, pytest.approx(split.idle_power_w), len(split.mixes))
    assert ("mock",) == group.invalid_because


def test_the_text_names_unknowns_intervals_and_residual(folder: Path) -> None:
    """People get the formula, both prices, the idle power and the residual."""
    text = "\n".join(split_lines(split_report([folder])))

    assert "E = a x tokens in + b x tokens out + P_idle x T over 7 mixes" in text
    assert "b       2 J/token   95 %" in text
    assert "P_idle  100 W measured" in text
    assert "residual 0.00 % rms" in text
    assert "not to be published: mock" in text


def test_other_models_make_another_group(factories: ModuleType, folder: Path) -> None:
    """One result of another batch has too few mixes of its own, and says so; the command still succeeds."""
    other = measured(factories, (8, 8))
    write_result(replace(other, plan=replace(other.plan, batch=64)), folder / "point9.json")
    report = split_report([folder])

    assert [None, True] == [g.split.reason and "at least 6" in g.split.reason for g in report.groups]
    assert 0 == CliRunner().invoke(bench, ["energy-split", str(folder)], standalone_mode=False).return_value


def test_a_second_document_of_a_run_counts_once(factories: ModuleType, folder: Path) -> None:
    """A run to which a meter was attached has two documents of the same windows: the second is left out by name."""
    write_result(measured(factories, SHAPES[0]), folder / "point0-meter.json")
    report = split_report([folder])

    assert 7 == len(report.groups[0].split.mixes)
    assert ["it is the same run as point0-meter.json"] == [left.reason for left in report.left_out]


def test_what_tells_nothing_is_left_out_with_its_reason(factories: ModuleType, tmp_path: Path) -> None:
    """A broken file, an unfinished run, and one without a sensor are named."""
    (tmp_path / "broken.json").write_text("{")
    write_result(factories.make_result(status="partial"), tmp_path / "partial.json")
    bare = measured(factories, (1, 1))
    power = replace(bare.power, unavailable_reason="no sensor here")
    unpowered = replace(bare, power=power, repeats=tuple(replace(r, energy=()) for r in bare.repeats), idle=())
    write_result(unpowered, tmp_path / "unpowered.json")
    report = split_report([tmp_path])
    lines = split_lines(report)

    assert ["broken", "partial", "unpowered"] == [Path(left.file).stem for left in report.left_out]
    assert 1 == "".join(lines).count("broken.json")
    assert "no sensor here" in lines[-1]
    assert "No result has an energy to split." == lines[0]


def test_a_named_file_must_be_a_result(tmp_path: Path) -> None:
    """A file that was asked for by name is refused, not left out."""
    with pytest.raises(DocumentError):
        split_report([tmp_path / "missing.json"])


def test_machines_get_every_residual(folder: Path) -> None:
    """--json holds the mixes with what the model misses each by; without a split the exit code is 1."""
    answer = CliRunner().invoke(bench, ["energy-split", "--json", str(folder)], standalone_mode=False)
    alone = CliRunner().invoke(bench, ["energy-split", str(folder / "point0.json")], standalone_mode=False)

    assert 7 == len(json.loads(answer.stdout)["groups"][0]["split"]["residuals_rel"])
    assert (0, 1) == (answer.return_value, alone.return_value)
    assert "no split: 1 mix;" in alone.stdout
