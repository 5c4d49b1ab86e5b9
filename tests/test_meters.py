"""Trusted meters: any sampler or typed readings, with an identity and an accuracy, or refused."""

import math
from pathlib import Path

import pytest

from wattbench.harness.clock import RunClock
from wattbench.harness.meters import MeterFacts, TypedMeter, open_meter, parse_reading
from wattbench.results.errors import SensorError, UsageError
from wattbench.results.measurement import Window

WINDOW = Window(start_ns=0, end_ns=20 * 10**9)


def trace(folder: Path, *lines: str, accuracy: bool = True) -> str:
    """Write a recording and return the meter that replays it."""
    path = folder / "meter.csv"
    facts = ["# accuracy_rel: 0.001", "# accuracy_basis: certificate"] if accuracy else []
    path.write_text("\n".join([*facts, *(lines or ("time_s,power_w,scope", "0,200,wall", "60,200,wall"))]) + "\n")
    return f"replay:{path}"


def test_a_sampler_is_a_meter_with_its_own_accuracy(tmp_path: Path) -> None:
    """What the sampler states is the meter's, and its name is the identity."""
    word = trace(tmp_path)
    meter = open_meter(word, MeterFacts())
    meter.close()

    assert (word, "sampler", "wall", 0.001) == (
        meter.record.identity,
        meter.record.source,
        meter.record.scope,
        meter.record.accuracy_rel,
    )
    assert "replayed" == meter.provenance
    meter.close()


def test_the_user_knows_the_meter_better(tmp_path: Path) -> None:
    """Name, accuracy, boundary and step that are given win over the sampler's."""
    facts = MeterFacts(identity="WT310", accuracy_rel=0.002, boundary="node", resolution_w=0.5)
    record = open_meter(trace(tmp_path, accuracy=False), facts).record

    assert ("WT310", 0.002, "node", 0.5) == (
        record.identity,
        record.accuracy_rel,
        record.scope,
        record.resolution_w,
    )
    limits = "limits of error +-0.3464 % as a rectangular bound, stated with --meter-accuracy"
    assert limits == record.accuracy_basis


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("wattmeter", UsageError, "Unknown meter"),
        ("replay:/not/there.csv", SensorError, "cannot be read"),
        ("replay", SensorError, "runs only on request"),
        ("model:40,180", UsageError, "A model is no meter"),
    ],
)
def test_what_is_no_meter_is_refused(word: str, error: type[Exception], says: str) -> None:
    """Unknown names, missing files and models are refused with what to do."""
    with pytest.raises(error, match=says):
        open_meter(word, MeterFacts())


def test_a_meter_of_unknown_accuracy_is_refused(tmp_path: Path) -> None:
    """A calibration is never better than its meter."""
    with pytest.raises(UsageError, match=r"accuracy of .* is not known"):
        open_meter(trace(tmp_path, accuracy=False), MeterFacts())
    with pytest.raises(UsageError, match="accuracy of WT310 is not known"):
        TypedMeter(lambda _: "1", MeterFacts(identity="WT310"))


def test_one_source_of_several_is_named_by_its_scope(tmp_path: Path) -> None:
    """A meter with several channels needs a choice, and gets it from --boundary."""
    word = trace(tmp_path, "time_s,power_w,scope", "0,200,wall", "0,100,node", "60,200,wall", "60,100,node")
    with pytest.raises(UsageError, match="several sources"):
        open_meter(word, MeterFacts())

    assert "node" == open_meter(word, MeterFacts(boundary="node")).record.scope


def test_a_meter_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    """A window that the meter's log does not hold gives no reading, with the cause."""
    meter = open_meter(trace(tmp_path), MeterFacts())
    meter.start(RunClock())
    with pytest.raises(SensorError, match="gave no power for level 1"):
        meter.reading("level 1", Window(start_ns=-(10**12), end_ns=-(10**11)))
    meter.close()


def test_a_typed_reading_carries_its_last_digit() -> None:
    """212.5 W are known to a tenth of a watt (rectangular); the coarsest reading is the meter's step."""
    lines = iter(["212.5", "300 W"])
    meter = TypedMeter(lambda _: next(lines), MeterFacts(identity="P3 Kill A Watt", accuracy_rel=0.002))
    meter.start(RunClock())
    fine, coarse = meter.reading("level 1", WINDOW), meter.reading("level 2", WINDOW)
    meter.close()

    assert (212.5, 300.0) == (fine.power_w, coarse.power_w)
    assert (0.1 / math.sqrt(12), 1 / math.sqrt(12)) == (pytest.approx(fine.u_w), pytest.approx(coarse.u_w))
    assert (1.0, "wall", "typed") == (meter.record.resolution_w, meter.record.scope, meter.record.source)


def test_a_stated_step_wins_over_the_typed_digits() -> None:
    """Who types 200.0 of a meter with steps of 2 W says so."""
    meter = TypedMeter(lambda _: "200.0", MeterFacts(identity="plug", accuracy_rel=0.01, resolution_w=2.0))

    assert 2 / math.sqrt(12) == pytest.approx(meter.reading("level 1", WINDOW).u_w)
    assert 2.0 == meter.record.resolution_w


def test_a_typed_meter_has_a_name() -> None:
    """A calibration says what it rests on."""
    with pytest.raises(UsageError, match="no name"):
        TypedMeter(lambda _: "1", MeterFacts(accuracy_rel=0.01))


@pytest.mark.parametrize("line", ["", "none", "-5", "nan", "1e3", "12,5", "12.5 kW", "9" * 400])
def test_what_is_no_power_is_refused(line: str) -> None:
    """Only plain watts are taken, so that nothing is misread."""
    with pytest.raises(UsageError, match="level 2 is no power"):
        parse_reading(line, "level 2")
