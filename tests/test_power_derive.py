"""Every energy of a run from its raw polls alone."""

import math
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.harness.power.derive import Derived, derive
from wattbench.results.document import Result
from wattbench.results.energy import ChannelRecord, Polls, PowerRecord
from wattbench.results.measurement import Completions, Repeat, Window

SECOND = 1_000_000_000
TIMES = tuple(range(-2 * SECOND, 50 * SECOND, SECOND // 20))


@pytest.fixture(name="result")
def _result(factories: ModuleType) -> Result:
    result: Result = factories.make_result()
    return result


def board(result: Result, **changes: object) -> ChannelRecord:
    """Return a power channel of the board."""
    facts = {"id": "fake:power", "group": "fake", "kind": "power", "unit": "W", "lag_s": 0.0, "limit_w": None}
    return replace(result.power.channels[0], **(facts | changes))  # type: ignore[arg-type]  # the tests pass the types


def power_of(result: Result, *channels: ChannelRecord, covers: str | None = "GPU-00000000") -> PowerRecord:
    """Return a record of 50 s: 100 W until 20 s, 300 W from there on."""
    watts = tuple(100.0 if t < 20 * SECOND else 300.0 for t in TIMES)
    logs = tuple(
        Polls(channel=c.id, before_ns=TIMES, after_ns=TIMES, value=watts, sensor_ns=None, errors={}) for c in channels
    )
    return replace(result.power, channels=channels, polls=logs, covers=covers)


def executed(first_s: float) -> Completions:
    """Return one execution from 30 s to 42 s whose first token comes after `first_s`."""
    start, end = 30 * SECOND, 42 * SECOND
    return Completions(
        planned_start_ns=(start,),
        start_ns=(start,),
        first_output_ns=(start + round(first_s * SECOND),),
        step_end_ns=((end,),),
        end_ns=(end,),
        requests=(2,),
        input_tokens=(32,),
        output_tokens=(4,),
        error=(None,),
    )


def derived(result: Result, power: PowerRecord, first_s: float = 4.0) -> Derived:
    """Return what the polls give of an idle window at 100 W and a repeat of 12 s at 300 W."""
    idle = replace(result.idle[0], window=Window(start_ns=SECOND, end_ns=11 * SECOND), energy=())
    window = Window(start_ns=30 * SECOND, end_ns=42 * SECOND)
    repeats: Sequence[Repeat] = [
        replace(result.repeats[0], window=window, completions=executed(first_s), energy=()),
    ]
    return derive(power, [idle], repeats, rate_hz=20)


def test_everything_follows_from_the_polls(result: Result) -> None:
    """300 W over 12 s are 3600 J, 2400 J of them net of 100 W idle; the board's rung leads."""
    found = derived(result, power_of(result, board(result)))
    energy = found.repeats[0].energy[0]

    assert (3600.0, 2400.0) == (pytest.approx(energy.energy_j), pytest.approx(energy.energy_net_j))
    assert {"board:GPU-00000000": pytest.approx(100.0)} == found.idle_power_w
    assert ["board:GPU-00000000"] == [rung.name for rung in found.rung_energies[0]]


def test_net_energy_has_the_uncertainty_of_both_windows(result: Result) -> None:
    """Gain and clock are off by their share of the difference, the edges of both windows add as squares."""
    found = derived(result, power_of(result, board(result)))
    gross, idle, rung = found.repeats[0].energy[0], found.idle[0].energy[0], found.rung_energies[0][0]
    loads, rests = ({t.name: t.u_rel for t in e.budget} for e in (gross, idle))
    own = [(3600 * loads[name], 1200 * rests[name]) for name in ("edges", "lag", "resolution")]
    apart = math.hypot(*(x for pair in own for x in pair))

    assert gross.u_net_comparison_j == pytest.approx(apart)
    assert gross.u_net_absolute_j == pytest.approx(math.hypot(apart, 2400 * loads["gain"], 2400 * loads["clock"]))
    assert (gross.u_net_absolute_j, gross.u_net_comparison_j) == (rung.u_net_absolute_j, rung.u_net_comparison_j)


def test_phases_long_enough_have_their_energy(result: Result) -> None:
    """At 300 W a prefill of 4 s and a decode of 8 s cost 1200 J and 2400 J."""
    (phases,) = derived(result, power_of(result, board(result))).phases

    assert phases is not None
    assert (1200.0, 2400.0) == (pytest.approx(phases.prefill.energy_j), pytest.approx(phases.decode.energy_j))


def test_a_phase_that_is_too_short_has_a_reason(result: Result) -> None:
    """A sensor of 0.1 s cannot tell a prefill of 1 s."""
    (phases,) = derived(result, power_of(result, board(result)), first_s=1.0).phases

    assert phases is not None
    assert "fake:power needs windows of 2 s" in str(phases.prefill.reason)
    assert 3300.0 == pytest.approx(phases.decode.energy_j)


def test_an_unseen_device_has_no_phases(result: Result) -> None:
    """No other device's energy is split into this one's phases; the first rung says that nothing sees it."""
    found = derived(result, power_of(result, board(result), covers="GPU-1234"))

    assert (None,) == found.phases
    assert ["device:GPU-1234", "board:GPU-00000000"] == [rung.name for rung in found.rung_energies[0]]


def test_without_a_sensor_nothing_changes(result: Result) -> None:
    """A run without a channel keeps its windows, and has no rung."""
    found = derived(result, power_of(result))

    assert ((), (), {}) == (found.rung_energies, found.phases, found.idle_power_w)
    assert () == found.repeats[0].energy


def test_without_a_repeat_the_idle_windows_stand(result: Result) -> None:
    """A run that ended before its first repeat has its idle power."""
    found = derive(power_of(result, board(result)), [replace(result.idle[0], state="machine")], [], rate_hz=20)

    assert ((), {}) == (found.repeats, found.idle_power_w)
    assert found.idle[0].energy[0].energy_j is not None


def test_net_energy_needs_an_idle_window(result: Result) -> None:
    """Without a window with the model loaded there is no net energy."""
    power = power_of(result, board(result))
    idle = replace(result.idle[0], state="machine", window=Window(start_ns=SECOND, end_ns=11 * SECOND))
    repeat = replace(result.repeats[0], window=Window(start_ns=30 * SECOND, end_ns=42 * SECOND))

    assert derive(power, [idle], [repeat], rate_hz=20).repeats[0].energy[0].energy_net_j is None
