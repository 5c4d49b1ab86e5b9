"""The alias guard: rhythms of a load, beats against a sensor's looks, and how much they may leave."""

import math
import random
from dataclasses import replace

import pytest
from records import BOARD_POWER

from wattbench.harness.power.alias import Looks, Rhythm, beats, independent_looks, rhythms
from wattbench.harness.power.energy import channel_energy
from wattbench.results.energy import ChannelEnergy, Polls
from wattbench.results.measurement import Completions, Window

MS = 1_000_000
SECOND = 1000 * MS
LOOKS = Looks(period_s=0.1, period_u_s=0.0001, window_s=0.025, count=600)
LOCKED = Rhythm(what="token", period_s=0.05, jitter_s=0.0)

QUARTER = replace(BOARD_POWER, averaging_window_s=0.025, seen_share=0.25)


def executions(cycle_ns: int, count: int, *, tokens: int = 0, jitter_ns: int = 0) -> Completions:
    """Return executions back to back, each of one cycle; with tokens, that many in even steps."""
    draw = random.Random(7)
    starts = [n * cycle_ns + (draw.randint(-jitter_ns, jitter_ns) if n else 0) for n in range(count)]
    step_ns = cycle_ns // (tokens + 1)
    return Completions(
        planned_start_ns=tuple(starts),
        start_ns=tuple(starts),
        first_output_ns=tuple(s + step_ns if tokens else None for s in starts),
        step_end_ns=tuple(tuple(s + step_ns * (k + 2) for k in range(tokens - 1)) for s in starts),
        end_ns=tuple(s + cycle_ns - 2 * jitter_ns for s in starts),
        requests=(1,) * count,
        input_tokens=(1,) * count,
        output_tokens=(tokens,) * count,
        error=(None,) * count,
    )


def looked(shown: list[float], load: Completions | None, window: Window) -> ChannelEnergy:
    """Return the energy of a window from readings that are updated every 100 ms and polled at 20 Hz."""
    times = tuple(n * 50 * MS for n in range(2 * len(shown)))
    log = Polls(
        channel=QUARTER.id,
        before_ns=times,
        after_ns=times,
        value=tuple(shown[n // 2] for n in range(2 * len(shown))),
        sensor_ns=None,
        errors={},
    )
    ran = rhythms(load, window) if load else ()
    return channel_energy([QUARTER], [log], window, rate_hz=20, load=ran)


def test_a_load_has_the_rhythms_of_its_executions_and_tokens() -> None:
    """Executions of 400 ms with 7 tokens beat every 400 ms and every 50 ms."""
    done = executions(400 * MS, 20, tokens=7)
    found = rhythms(done, Window(start_ns=0, end_ns=8 * SECOND))

    assert [("execution", 0.4), ("token", 0.05)] == [(r.what, r.period_s) for r in found]


def test_too_few_cycles_are_no_rhythm() -> None:
    """Seven executions say too little, and those outside the window do not count."""
    done = executions(400 * MS, 100)

    assert () == rhythms(done, Window(start_ns=0, end_ns=3 * SECOND))


def test_executions_that_take_no_time_are_no_rhythm() -> None:
    """Stamps that do not move have no period."""
    assert () == rhythms(executions(0, 100), Window(start_ns=0, end_ns=SECOND))


def test_a_load_that_keeps_step_leaves_its_whole_swing() -> None:
    """Two tokens in each look's period: every look sees the same quarter, however long the window."""
    worst = beats(LOOKS, [LOCKED])[0]

    assert (1, math.inf) == (worst.harmonic, worst.looks_per_beat)
    assert worst.leftover > 0.5
    assert "keep step for good" in worst.facts


def test_a_slow_beat_averages_out_over_a_long_window() -> None:
    """Tokens of 52 ms beat once in 13 looks: what is left shrinks with the window."""
    slow = replace(LOCKED, period_s=0.052)
    short, long = (beats(replace(LOOKS, count=n), [slow])[0] for n in (20, 600))

    assert 13 == pytest.approx(short.looks_per_beat, abs=0.01)
    assert short.leftover > 10 * long.leftover
    assert "beat once in 13 looks" in short.facts


def test_a_jittering_load_is_sampled_fairly() -> None:
    """Tokens that scatter by a quarter of their length lose step from look to look."""
    assert () == beats(LOOKS, [replace(LOCKED, jitter_s=0.0125)])


@pytest.mark.parametrize(
    ("period_s", "why"),
    [(0.04, "it moves half a cycle a look"), (0.01, "a look averages over it"), (1.0, "the sensor follows it")],
)
def test_other_rhythms_are_harmless(period_s: float, why: str) -> None:
    """A cycle far from the looks' own, much shorter than a look, or slow enough to be followed has no beat."""
    assert () == beats(LOOKS, [replace(LOCKED, period_s=period_s)]), why


def test_the_worst_overtone_comes_first() -> None:
    """A cycle as long as the looks' period beats with all its overtones."""
    found = beats(replace(LOOKS, window_s=0.0), [replace(LOCKED, period_s=0.1, what="execution")])

    assert [1, 2, 3] == sorted(b.harmonic for b in found)
    assert found[0].leftover == max(b.leftover for b in found)
    assert found[0].facts.startswith("an execution takes 100 ms")


def test_independent_looks() -> None:
    """Noise is worth its count, a constant too, a slow wave only its few swings."""
    draw = random.Random(1)
    noise = [draw.gauss(0, 1) for _ in range(1000)]
    wave = [math.sin(2 * math.pi * n / 100) for n in range(1000)]

    assert 500 < independent_looks(noise) <= 1000
    assert 40 == independent_looks([5.0] * 40)
    assert 20 < independent_looks(wave) < 50
    assert 1 == independent_looks([])
    assert 1 == independent_looks([7.0])


def test_a_lock_widens_the_interval_even_when_the_readings_are_quiet() -> None:
    """Each look sees the high half of a 300 W and 100 W square: steady readings 50 % too high, and the budget knows."""
    window = Window(start_ns=2 * SECOND, end_ns=62 * SECOND)
    steps = executions(50 * MS, 1300)
    shown = [60.0] * 20 + [300.0] * 640
    locked, unaware = looked(shown, steps, window), looked(shown, None, window)
    alias = next(t for t in locked.budget if t.name == "alias")

    assert [True, False] == ["part_time" in [t.name for t in e.budget] for e in (unaware, locked)]
    assert 2 * (locked.u_comparison_rel or 0) > 1 / 3  # the truth, 200 W, lies within k=2 of the 300 W
    assert (unaware.u_comparison_rel or 0) < 0.001
    assert "keep step for good" in alias.basis


def test_a_beat_is_as_unsure_as_its_few_swings() -> None:
    """Readings that swing slowly count as the few independent looks that they are."""
    window = Window(start_ns=2 * SECOND, end_ns=10 * SECOND)
    shown = [200 + 80 * math.sin(2 * math.pi * n / 13) for n in range(120)]
    beating, fair = looked(shown, executions(52 * MS, 300), window), looked(shown, executions(40 * MS, 300), window)

    assert (beating.u_comparison_rel or 0) > 1.9 * (fair.u_comparison_rel or 0)


def test_the_sampling_fraction_is_published() -> None:
    """A sensor that looks a quarter of the time says so beside its energy."""
    assert 0.25 == looked([100.0] * 200, None, Window(start_ns=0, end_ns=10 * SECOND)).sampling_fraction


def test_updates_that_were_missed_leave_the_stated_period() -> None:
    """Readings that seldom change do not make the sensor slower: the stated period holds, with a doubt about it."""
    window = Window(start_ns=0, end_ns=10 * SECOND)
    shown = [100.0 + n // 50 for n in range(220)]
    term = next(t for t in looked(shown, executions(50 * MS, 200), window).budget if t.name == "alias")

    assert "of every 100 ms" in term.basis


def test_views_that_lie_apart_widen_the_part_time_one() -> None:
    """A part-time field 10 % off the counter of its board is unsure by that, also in comparisons."""
    times = tuple(n * 50 * MS for n in range(240))
    window = Window(start_ns=SECOND, end_ns=11 * SECOND)
    part = Polls(channel=QUARTER.id, before_ns=times, after_ns=times, value=(330.0,) * 240, sensor_ns=None, errors={})
    counter = replace(QUARTER, id="nvml:a:counter", kind="counter", unit="J", averaging_window_s=None, lag_s=None)
    ticks = replace(part, channel=counter.id, value=tuple(300.0 * (n // 2) / 10 for n in range(240)))
    found = channel_energy([counter, QUARTER], [part, ticks], window, rate_hz=20)
    alias = next(t for t in found.budget if t.name == "alias")

    assert ("integral", False) == (found.method, alias.absolute_only)
    assert 0.1 / math.sqrt(3) == pytest.approx(alias.u_rel, rel=0.02)


def mean_w(start_s: float, end_s: float, cycle_s: float) -> float:
    """Return the mean of a load of 300 W in the first half of each cycle and 100 W in the other, between two times."""

    def area(t: float) -> float:
        cycles, rest = divmod(t, cycle_s)
        return 200 * cycles * cycle_s + 300 * min(rest, cycle_s / 2) + 100 * max(rest - cycle_s / 2, 0.0)

    return (area(end_s) - area(start_s)) / (end_s - start_s)


def test_the_stated_interval_holds_the_truth_of_square_waves() -> None:
    """Cycles of 46 to 56 ms at any phase: k=2 holds the truth in 95 of 100, and in fewer without the guard."""
    draw = random.Random(11)
    window = Window(start_ns=2 * SECOND, end_ns=22 * SECOND)
    held = {True: 0, False: 0}
    for _ in range(100):
        cycle_ns, phase_s = draw.randint(46 * MS, 56 * MS), draw.uniform(0, 0.1)
        looks = [n / 10 + phase_s for n in range(240)]
        shown = [60.0] * 10 + [mean_w(t, t + 0.025, cycle_ns / 1e9) for t in looks[10:]]
        truth_j = 20 * mean_w(2, 22, cycle_ns / 1e9)
        for guarded in (True, False):
            load = executions(cycle_ns, 460) if guarded else None
            found = looked(shown, load, window)
            held[guarded] += abs((found.energy_j or 0.0) - truth_j) <= 2 * (found.u_comparison_rel or 0.0) * truth_j

    assert held[True] >= 95
    assert held[False] < held[True]
