"""The energy of prefill and decode by their windows."""

import math
from dataclasses import replace

import pytest
from records import BOARD_POWER

from wattbench.harness.power.phases import phase_energies, phase_energy, phase_windows
from wattbench.results.energy import Polls
from wattbench.results.measurement import Completions, Window

SECOND = 1_000_000_000
TIMES = [n * SECOND // 20 for n in range(-40, 400)]

POWER = replace(BOARD_POWER, id="p", sampler="s", group="g", covers=None)


def log(watts: float = 300.0, channel: str = "p") -> Polls:
    """Return 20 s of a constant power at 20 Hz."""
    zeros = tuple(TIMES)
    return Polls(
        channel=channel, before_ns=zeros, after_ns=zeros, value=(watts,) * len(zeros), sensor_ns=None, errors={}
    )


def windows(*spans: tuple[float, float]) -> list[Window]:
    """Return windows from seconds."""
    return [Window(start_ns=int(a * SECOND), end_ns=int(b * SECOND)) for a, b in spans]


def test_a_phase_is_the_sum_of_its_windows() -> None:
    """Two windows of 2 and 3 s at 300 W are 1500 J."""
    found = phase_energy([POWER], [log()], windows((0, 2), (5, 8)), rate_hz=20)

    assert (1500.0, 5.0, None) == (found.energy_j, found.duration_s, found.reason)


def test_a_window_below_twenty_periods_is_not_resolved() -> None:
    """A window of 1 s is too short for a sensor of 0.1 s: the phase has no energy, not a part of it."""
    found = phase_energy([POWER], [log()], windows((0, 5), (6, 7)), rate_hz=20)

    assert found.energy_j is None
    assert "needs windows of 2 s" in str(found.reason)


def test_the_finest_channel_is_used() -> None:
    """Beside a field that averages over a second the instant one resolves the phase."""
    average = replace(POWER, id="a", averaging_window_s=1.0)
    found = phase_energy([average, POWER], [log(), log(200.0, "a")], windows((0, 2)), rate_hz=20)

    assert 600.0 == found.energy_j


@pytest.mark.parametrize(
    ("logs", "spans", "said"),
    [
        ([log()], [], "no window"),
        ([], [(0.0, 5.0)], "no sample"),
        ([log()], [(0.0, 5.0), (18.0, 30.0)], "do not cover"),
        ([log(5000.0)], [(0.0, 5.0)], "10 times its limit"),
    ],
)
def test_what_is_not_known_has_a_reason(logs: list[Polls], spans: list[tuple[float, float]], said: str) -> None:
    """No window, no sample, a gap, an absurd value: each is a reason instead of a figure."""
    found = phase_energy([POWER], logs, windows(*spans), rate_hz=20)

    assert found.energy_j is None
    assert said in str(found.reason)


def test_a_phase_is_less_sure_than_the_whole() -> None:
    """Its edges are many: two windows of 2 s have four, which cost 0.1 s x sqrt(2) / sqrt(6) / 4 s."""
    known = replace(POWER, accuracy_rel=0.05)
    found = phase_energy([known], [log()], windows((0, 2), (5, 7)), rate_hz=20)

    assert 0.1 * math.sqrt(2 / 6) / 4 == pytest.approx(found.u_comparison_rel)
    assert 0.05 < (found.u_absolute_rel or 0) < 0.06


def done(*spans: tuple[float, float, float]) -> Completions:
    """Return executions from the seconds of their start, first output and end."""
    start, first, end = ([round(s[k] * SECOND) for s in spans] for k in range(3))
    return Completions(
        planned_start_ns=tuple(start),
        start_ns=tuple(start),
        first_output_ns=tuple(first),
        step_end_ns=((),) * len(spans),
        end_ns=tuple(end),
        requests=(1,) * len(spans),
        input_tokens=(1,) * len(spans),
        output_tokens=(1,) * len(spans),
        error=(None,) * len(spans),
    )


def test_the_sources_of_a_rung_are_added() -> None:
    """Two packages at 300 W and 100 W: joules add, so do absolute uncertainties; those of comparisons as squares."""
    one, two = replace(POWER, accuracy_rel=0.05), replace(POWER, id="q", group="h", accuracy_rel=0.05)
    logs = [log(), log(100.0, "q")]
    found = phase_energies([[one], [two]], logs, done((0, 4, 9)), rate_hz=20)
    first, second = (phase_energy([c], logs, windows((0, 4)), rate_hz=20) for c in (one, two))

    assert (1600.0, 2000.0) == (found.prefill.energy_j, found.decode.energy_j)
    assert first.u_absolute_rel == pytest.approx(found.prefill.u_absolute_rel)
    assert math.hypot(3 * (first.u_comparison_rel or 0), second.u_comparison_rel or 0) / 4 == pytest.approx(
        found.prefill.u_comparison_rel
    )


def test_a_sum_with_an_unknown_uncertainty_has_none() -> None:
    """Where one source states no accuracy, the sum's absolute uncertainty is unknown."""
    two = replace(POWER, id="q", group="h", accuracy_rel=0.05)
    found = phase_energies([[POWER], [two]], [log(), log(100.0, "q")], done((0, 4, 9)), rate_hz=20)

    assert found.prefill.u_absolute_rel is None


def test_a_sum_with_an_unknown_member_is_unknown() -> None:
    """One package without a sample leaves the phase unknown, with that reason."""
    two = replace(POWER, id="q", group="h")
    found = phase_energies([[POWER], [two]], [log()], done((0, 4, 9)), rate_hz=20)

    assert (None, "q gave no sample", 4.0) == (found.prefill.energy_j, found.prefill.reason, found.prefill.duration_s)


def test_executions_at_the_same_time_share_their_energy() -> None:
    """Where one execution begins before another ends, neither phase has an energy of its own."""
    found = phase_energies([[POWER]], [log()], done((0, 4, 9), (3, 6, 12)), rate_hz=20)

    assert "at the same time" in str(found.prefill.reason)
    assert (None, 7.0) == (found.prefill.energy_j, found.prefill.duration_s)


def test_the_phases_meet_at_the_first_output() -> None:
    """Prefill ends where decode begins; failed executions, and those without tokens out, have neither."""
    done = Completions(
        planned_start_ns=(0, 10, 20, 30),
        start_ns=(0, 10, 20, 30),
        first_output_ns=(4, None, 24, 30),
        step_end_ns=((), (), (), ()),
        end_ns=(9, 19, 29, 39),
        requests=(1, 1, 1, 1),
        input_tokens=(1, 1, 1, 1),
        output_tokens=(1, 1, 1, 1),
        error=(None, None, "lost", None),
    )
    found = phase_windows(done)

    assert (Window(start_ns=0, end_ns=4),) == found.prefill
    assert (Window(start_ns=4, end_ns=9), Window(start_ns=30, end_ns=39)) == found.decode
