"""Sensors that freeze: what repeats one value against its own past is doubted, what may rest is not."""

import csv
import io
import lzma
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from records import PLAIN_POWER

from wattbench.harness.power.frozen import frozen_facts
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
TRACES = Path(__file__).parent / "data" / "oxford_traces"
IDLE = (Window(start_ns=0, end_ns=10 * SECOND), Window(start_ns=70 * SECOND, end_ns=80 * SECOND))
LOAD = tuple(Window(start_ns=s * SECOND, end_ns=(s + 15) * SECOND) for s in (15, 32, 49))
"""Idle for 10 s, three windows of 15 s, idle for 10 s; in between the load is on from 12 s to 66 s."""

POWER = replace(PLAIN_POWER, update_period_s=0.1)
PLUG = replace(POWER, id="plug:wall", scope="wall", resolution=1.0, update_period_s=1.0)
COUNTER = replace(POWER, id="fake:counter", kind="counter", unit="J")


def level_w(at_s: float) -> float:
    """Return 60 W in idle and 250 W under load."""
    return 250.0 if 12 <= at_s < 66 else 60.0


def noisy(seed: int = 1, spread_w: float = 2.0, digits: int = 3) -> Callable[[float], float]:
    """Return a sensor that is updated every 100 ms with noise, rounded to so many digits."""
    drawn = random.Random(seed)
    noise = [drawn.gauss(0, spread_w) for _ in range(1000)]
    return lambda at_s: round(level_w(at_s) + noise[int(at_s * 10 + 1e-6)], digits)


def frozen_from(shown: Callable[[float], float], start_s: float, end_s: float = 1e9) -> Callable[[float], float]:
    """Return the sensor as it is until an instant, and its value there until another."""
    return lambda at_s: shown(start_s) if start_s <= at_s < end_s else shown(at_s)


def polled(shown: Callable[[float], float], channel: ChannelRecord = POWER, rate_hz: int = 20) -> tuple[Polls, ...]:
    """Return the polls of 80 s."""
    times = [n * SECOND // rate_hz for n in range(80 * rate_hz)]
    values = tuple(shown(t / SECOND) for t in times)
    return (
        Polls(
            channel=channel.id, before_ns=tuple(times), after_ns=tuple(times), value=values, sensor_ns=None, errors={}
        ),
    )


def found(
    shown: Callable[[float], float],
    channel: ChannelRecord = POWER,
    idle: Sequence[Window] = IDLE,
    load: Sequence[Window] = LOAD,
) -> str | None:
    """Return what is said of the sensor."""
    return frozen_facts(channel, polled(shown, channel), idle, load)


def test_a_noisy_sensor_that_freezes_under_load_is_found() -> None:
    """20 s of one value after 500 changes are no chance; value, times and its own past are said."""
    facts = found(frozen_from(noisy(), 40.0, 60.0))

    assert facts is not None
    assert facts.startswith("fake:power gave ")
    assert "from 40.0 to 60.0 s without a change" in facts
    assert "of it under load; it had changed" in facts
    assert "every 0.1 s on average" in facts


@pytest.mark.parametrize("start_s", [8.0, 25.0, 55.0, 68.0])
def test_it_is_found_wherever_it_begins(start_s: float) -> None:
    """In the first idle window, in any measured one, or after the last: it stays frozen to the end."""
    assert found(frozen_from(noisy(), start_s)) is not None


def test_a_counter_that_stops_is_found() -> None:
    """A counter has no noise to judge by: what is powered always draws."""
    counting = lambda at_s: round(100 * int(at_s * 10 + 1e-6) / 10, 3)  # noqa: E731

    assert found(counting, COUNTER) is None
    assert "gave 5000 J from 50.0 to" in str(found(frozen_from(counting, 50.0), COUNTER))


@pytest.mark.parametrize("seed", range(5))
def test_a_sound_sensor_is_not_accused(seed: int) -> None:
    """Noise of any width, from a fifth of a step to hundreds of steps, is no freeze."""
    for spread_w, digits in ((0.2, 0), (0.6, 0), (2.0, 0), (6.0, 0), (2.0, 3), (0.01, 3)):
        assert found(noisy(seed, spread_w, digits)) is None


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5])
def test_a_coarse_plug_may_rest(level: float) -> None:
    """A plug of 1 W whose noise is a fraction of a step toggles at one level and rests at another."""
    drawn = random.Random(2)
    noise = [drawn.gauss(0, 0.15) for _ in range(100)]

    def plug(at_s: float) -> float:
        return float(round((45.5 if level_w(at_s) < 100 else 118.0 + level) + noise[int(at_s)]))

    assert found(plug, PLUG) is None
    assert found(plug, replace(PLUG, resolution=None, update_period_s=None)) is None


def test_a_coarse_sensor_that_warms_up_and_then_rests_is_sound() -> None:
    """A rise in single steps has many values and changes, and is no noise."""
    rising = lambda at_s: level_w(at_s) + (min(int(5 * max(at_s - 15, 0.0)), 40) if level_w(at_s) > 100 else 0)  # noqa: E731

    assert found(rising, replace(PLUG, update_period_s=0.2)) is None


@pytest.mark.parametrize("watts", [0.0, 5.0, 60.25])
def test_a_constant_source_is_sound(watts: float) -> None:
    """What never changed has no past to be judged by."""
    assert found(lambda _: watts) is None


def test_a_sensor_that_is_quiet_in_idle_may_be_so_again() -> None:
    """Noise under load says nothing of a board that sleeps."""
    awake = noisy()

    assert found(lambda s: awake(s) if level_w(s) > 100 else 8.5) is None


def test_an_edge_that_passes_without_a_change_is_found() -> None:
    """A plug without any noise that freezes under load still shows the load's watts in idle."""
    quiet = frozen_from(level_w, 40.0)

    assert found(level_w, PLUG) is None
    assert "though the load ended meanwhile; at an edge before it had moved from 60 to 250 W" in str(found(quiet, PLUG))


def test_an_edge_counts_only_when_the_sensor_had_time() -> None:
    """A gauge that is updated once a minute may still show what was; so may one of which no period is known."""
    late = lambda at_s: level_w(at_s - 14.5)  # noqa: E731

    assert found(late, replace(PLUG, update_period_s=60.0)) is None
    assert found(late, replace(PLUG, update_period_s=None)) is None


def test_an_edge_must_have_been_seen_before() -> None:
    """A plug that never showed the load may see something else, or too coarsely."""
    blind = lambda at_s: 45.0 if at_s < 5 else 46.0  # noqa: E731

    assert found(blind, PLUG) is None


@pytest.mark.parametrize(
    "changes", [{"scope": "other"}, {"kind": "model"}, {"provenance": "modelled"}, {"provenance": "declared"}]
)
def test_only_what_measures_for_the_ladder_is_judged(changes: dict[str, str]) -> None:
    """Rails that stand in no rung may be switched off; a model's watts are constant under a constant load."""
    assert found(frozen_from(noisy(), 40.0), replace(POWER, **changes)) is None


def test_failed_reads_are_no_freeze() -> None:
    """A log with a hole is a gap, which has doubts of its own."""
    (polls,) = polled(noisy())
    holed = tuple(None if 40 <= t / SECOND < 60 else v for t, v in zip(polls.before_ns, polls.value, strict=True))

    assert frozen_facts(POWER, (replace(polls, value=holed),), IDLE, LOAD) is None
    assert frozen_facts(POWER, (), IDLE, LOAD) is None


def _text(trace: str, name: str) -> str:
    with lzma.open(TRACES / trace / f"{name}.xz", "rt", encoding="utf-8") as file:
        return file.read()


def logged(trace: str, column: str) -> tuple[list[int], list[float], list[int]]:
    """Return times (ns) and watts that nvidia-smi logged of a real board, and the edges of its load."""
    rows = list(csv.DictReader(io.StringIO(_text(trace, "gpudata.csv")), skipinitialspace=True))
    stamps = [datetime.strptime(r["timestamp"], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC) for r in rows]
    times = [round((s - stamps[0]).total_seconds() * 1e6) * 1000 for s in stamps]
    edges = [int(row["timestamp"]) for row in csv.DictReader(io.StringIO(_text(trace, "timestamps.csv")))]
    return times, [float(r[column]) for r in rows], [1000 * (e - edges[0]) for e in edges]


REAL = [
    (trace, column)
    for trace, columns in (
        ("A100_TR", ("power.draw.instant [W]", "power.draw [W]")),
        ("A100_square", ("power.draw.instant [W]", "power.draw [W]")),
        ("3090_TR", ("power.draw.instant [W]", "power.draw [W]")),
        ("K40m_TR", ("power.draw [W]",)),
    )
    for column in columns
]


@pytest.mark.parametrize(("trace", "column"), REAL)
def test_real_boards_are_not_accused_until_they_freeze(trace: str, column: str) -> None:
    """What real boards showed is sound; the same log that stands still from its middle on is not."""
    times, watts, _ = logged(trace, column)
    whole = (Window(start_ns=0, end_ns=times[-1] + 1),)
    middle = len(watts) // 2
    still = [*watts[:middle], *[watts[middle]] * (len(watts) - middle)]

    def said(values: Sequence[float]) -> str | None:
        log = Polls(
            channel=POWER.id,
            before_ns=tuple(times),
            after_ns=tuple(times),
            value=tuple(values),
            sensor_ns=None,
            errors={},
        )
        return frozen_facts(POWER, (log,), (), whole)

    assert said(watts) is None
    assert said(still) is not None
