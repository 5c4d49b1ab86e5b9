"""The energy of prefill and decode by their windows."""

from dataclasses import replace

import pytest

from wattbench.harness.power.phases import phase_energy, phase_windows
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.measurement import Completions, Window

SECOND = 1_000_000_000
TIMES = [n * SECOND // 20 for n in range(-40, 400)]

POWER = ChannelRecord(
    id="p",
    sampler="s",
    group="g",
    scope="board",
    kind="power",
    provenance="measured",
    unit="W",
    covers=None,
    resolution=None,
    update_period_s=0.1,
    averaging_window_s=0.1,
    lag_s=0.0,
    seen_share=1.0,
    wraps_at_j=None,
    limit_w=400.0,
    accuracy_rel=None,
    accuracy_basis="",
)


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
