"""The power trace of a page: watts of power fields and counters, and fewer points that keep every peak."""

import math
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import BOARD_POWER

from wattbench.results.energy import ChannelRecord, Polls, PowerRecord
from wattbench.results.report.trace import LONG, Curve, curves_of, downsampled, spans_of, trace_chart

S = 1_000_000_000
COUNTER = replace(BOARD_POWER, id="nvml:a:energy", kind="counter", unit="J", lag_s=None)


def power_of(*channels: ChannelRecord) -> PowerRecord:
    """Return the record of some channels."""
    return PowerRecord(samplers=(), channels=channels, health=(), polls=(), unavailable_reason=None)


def log(channel: str, values: list[float | None], **more: tuple[int | None, ...]) -> Polls:
    """Return one poll a second that took no time."""
    at = tuple(i * S for i in range(len(values)))
    return Polls(channel=channel, before_ns=at, after_ns=at, value=tuple(values), sensor_ns=None, errors={}, **more)


def test_a_power_field_is_drawn_where_it_was_true() -> None:
    """Failed reads fall out, the lag is taken off, and the source's own instants win over those of the read."""
    lagged = replace(BOARD_POWER, lag_s=0.25)
    plain = curves_of(power_of(lagged), (log(lagged.id, [100.0, None, 300.0]),))
    taken = curves_of(power_of(BOARD_POWER), (log(BOARD_POWER.id, [100.0, 300.0], taken_ns=(5 * S, None)),))

    assert [Curve(name=lagged.id, times_s=(-0.25, 1.75), watts=(100.0, 300.0))] == list(plain)
    assert (1.0, 5.0) == taken[0].times_s


def test_a_counters_steps_are_watts() -> None:
    """Joules between two moves over the time between them; a counter that begins anew parts the curve."""
    curve = curves_of(power_of(COUNTER), (log(COUNTER.id, [0.0, 100.0, 100.0, 300.0, 10.0, 60.0]),))[0]

    assert (0.5, 2.0, 3.5, 4.5) == curve.times_s
    assert (100.0, 100.0) == curve.watts[:2]
    assert math.isnan(curve.watts[2])
    assert 50.0 == curve.watts[3]


def test_a_source_is_drawn_once() -> None:
    """Of two views of one source the power field is drawn; a source with one good poll is not."""
    logs = (log(COUNTER.id, [0.0, 100.0, 200.0]), log(BOARD_POWER.id, [90.0, 91.0, 92.0]))
    both = curves_of(power_of(COUNTER, BOARD_POWER), logs)
    counter = curves_of(power_of(COUNTER, BOARD_POWER), (logs[0], log(BOARD_POWER.id, [90.0, None, None])))

    assert [BOARD_POWER.id] == [curve.name for curve in both]
    assert [COUNTER.id] == [curve.name for curve in counter]
    assert () == curves_of(power_of(COUNTER), (log(COUNTER.id, [1.0]),))


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=400), st.integers(2, 60))
def test_fewer_points_keep_the_peaks(watts: list[float], most: int) -> None:
    """Least and greatest stay, in their order, and no more points than asked for are left."""
    curve = Curve(name="a", times_s=tuple(map(float, range(len(watts)))), watts=tuple(watts))
    thin = downsampled(curve, most)

    assert len(thin.times_s) <= max(most, 2)
    assert (min(watts), max(watts)) == (min(thin.watts), max(thin.watts))
    assert sorted(thin.times_s) == list(thin.times_s)
    assert set(zip(thin.times_s, thin.watts, strict=True)) <= set(zip(curve.times_s, curve.watts, strict=True))


def test_gaps_stay_gaps_in_fewer_points() -> None:
    """A break of the curve is still one when points are left out."""
    watts = (*[1.0] * 50, math.nan, *[2.0] * 50)
    thin = downsampled(Curve(name="a", times_s=tuple(map(float, range(101))), watts=watts), 10)

    assert 1 == sum(map(math.isnan, thin.watts))


def test_phases_and_windows_stand_behind_the_curve(factories: ModuleType) -> None:
    """A run has its phases and its measured windows, in seconds of the run's clock."""
    spans = spans_of(factories.make_result())

    assert ["idle"] == [span.name for span in spans if not span.measured]
    assert [(60.0, 70.0), (72.0, 82.0)] == [(span.start_s, span.end_s) for span in spans if span.measured][:2]


@pytest.mark.parametrize(("count", "long"), [(LONG, False), (LONG + 1, True)])
def test_only_long_curves_are_kept_for_zooming(factories: ModuleType, count: int, long: bool) -> None:
    """A curve that the drawing cannot hold is in the page as numbers too; gaps are null there."""
    pytest.importorskip("vl_convert", reason="needs vl-convert: pip install 'wattbench[report]'")
    watts = (math.nan, *[float(100 + i % 5) for i in range(count - 1)])
    curve = Curve(name="a", times_s=tuple(map(float, range(count))), watts=watts)
    chart = trace_chart("power-chart", factories.make_result(), [curve])

    assert long == (chart.samples is not None)
    if chart.samples is not None:
        assert chart.samples["channels"][0]["watts"][0] is None
        assert count == len(chart.samples["channels"][0]["times_s"])
