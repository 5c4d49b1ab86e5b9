"""Warm-up ends when rate, power and temperature stand still, or at its cap, which says what did not."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.clock import RunClock
from wattbench.harness.messages import WarmUp
from wattbench.harness.power.steadiness import POWER_TEST, TEMPERATURE_TEST, Slope
from wattbench.harness.temperatures import TemperatureLog, read_temperature_c
from wattbench.harness.warming import RATE_TEST, warm_up
from wattbench.results.measurement import WarmupRecord, Window
from wattbench.results.plan import Plan
from wattbench.results.stats import STEADY_TEST

SECOND = 10**9


class Clockwork:
    """A worker, a power session and a clock in one, all on made-up time."""

    def __init__(self, power: Callable[[float], Slope | None], rate: Callable[[float], float], active: bool) -> None:
        self.now = 0
        self.active = active
        self.asked: list[WarmUp] = []
        self._power, self._rate = power, rate

    def ask(self, command: WarmUp, expected: type, timeout_s: float) -> WarmupRecord:
        """Execute ten times a second for a slice, or once for the whole warm-up."""
        self.asked.append(command)
        start = self.now
        seconds = command.slice_s or command.min_s
        self.now += round(seconds * SECOND)
        rates = tuple(self._rate(start / SECOND + i / 10) for i in range(int(seconds * 10)))
        window = Window(start_ns=start, end_ns=self.now)
        return WarmupRecord(window=window, rates_per_s=rates, test=STEADY_TEST, steady=True, execution_s=0.1)

    def slope(self, window: Window) -> Slope | None:
        """Return the slope of power at a window's end."""
        return self._power(window.end_ns / SECOND)


def settling(until_s: float) -> Callable[[float], Slope]:
    """Return a power that rises by 2 % in 30 s until it stands still."""
    return lambda t: Slope(per_s=0.2 if t < until_s else 0.0, u_per_s=0.0, mean=300.0, span_s=30.0)


@pytest.fixture(name="plan")
def _plan(factories: ModuleType) -> Plan:
    """Give a plan that warms up for 10 to 60 s."""
    plan: Plan = factories.make_plan()
    return replace(plan, warmup_min_s=10.0, warmup_max_s=60.0)


def warmed(work: Any, plan: Plan, covers: str | None = None) -> WarmupRecord:  # any: stands for three things
    """Return the warm-up on a clockwork."""
    return warm_up(work, plan, work, RunClock(lambda: 0), covers, 1.0)


def test_warm_up_waits_for_power(plan: Plan) -> None:
    """The rate stands from the start, power from 32 s on: the warm-up ends after that, not before."""
    found = warmed(Clockwork(settling(32.0), lambda _: 10.0, active=True), plan)

    assert (True, ()) == (found.steady, found.moving)
    assert 35.0 == found.window.duration_s
    assert f"{STEADY_TEST}; and {POWER_TEST}" == found.test


def test_warm_up_lasts_its_least_time(plan: Plan) -> None:
    """What stands still at once still warms up for the least time."""
    found = warmed(Clockwork(settling(0.0), lambda _: 10.0, active=True), plan)

    assert 10.0 == found.window.duration_s


def test_the_cap_names_what_did_not_hold(plan: Plan) -> None:
    """At the cap the record says which of rate, power and temperature still moved."""
    found = warmed(Clockwork(settling(1e9), lambda t: 10.0 + t, active=True), plan)

    assert not found.steady
    assert (RATE_TEST, "power moves by +2.0% in 30 s") == found.moving
    assert 60.0 == found.window.duration_s


def test_slices_join_to_one_warm_up(plan: Plan) -> None:
    """The first slice measures a whole execution, the others go on; all rates are kept."""
    work = Clockwork(settling(0.0), lambda _: 10.0, active=True)
    found = warmed(work, plan)

    assert [False, True] == [command.more for command in work.asked]
    assert 100 == len(found.rates_per_s)
    assert 0.1 == found.execution_s


def test_a_sensor_without_a_curve_is_judged_by_the_rate(plan: Plan) -> None:
    """Where the sensor sees another device there is no power to watch, and the test says only what was tested."""
    found = warmed(Clockwork(lambda _: None, lambda _: 10.0, active=True), plan)

    assert (True, STEADY_TEST) == (found.steady, found.test)


def test_without_a_sensor_the_worker_judges_alone(plan: Plan) -> None:
    """One command for the whole warm-up, as there is nothing to look at between."""
    work = Clockwork(lambda _: None, lambda _: 10.0, active=False)
    warmed(work, plan)

    assert [None] == [command.slice_s for command in work.asked]


def test_temperature_is_watched_where_there_is_one(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that heats up is not steady, and the test names the temperature."""
    work = Clockwork(settling(0.0), lambda _: 10.0, active=True)

    class Heating(TemperatureLog):
        def __enter__(self) -> TemperatureLog:
            self.points += [(i * SECOND, 50.0 + 0.2 * i) for i in range(70)]
            return self

    monkeypatch.setattr("wattbench.harness.warming.TemperatureLog", Heating)
    found = warmed(work, plan)

    assert ("temperature moves by +6.0 degrees C in 30 s",) == found.moving
    assert found.test.endswith(TEMPERATURE_TEST)


def test_a_log_without_a_thermometer_stays_empty() -> None:
    """Where nothing can be read, nothing is looked for again."""
    with TemperatureLog(None, lambda: 0, lambda _: None) as log:
        pass

    assert [] == log.points


def test_a_log_notes_time_and_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Temperatures are read at once and then by a thread."""
    monkeypatch.setattr("wattbench.harness.temperatures.PERIOD_S", 0.005)
    import time

    with TemperatureLog("GPU-1", lambda: 7, lambda _: 50.0) as log:
        end = time.monotonic() + 10
        while len(log.points) < 3 and time.monotonic() < end:
            time.sleep(0.005)

    assert [(7, 50.0)] * 3 == log.points[:3]


def test_a_device_without_a_name_has_no_thermometer() -> None:
    """Nobody knows which thermometer is that of an unknown device."""
    assert read_temperature_c(None) is None


def test_a_boards_temperature_needs_its_driver() -> None:
    """A board that is not here has no temperature."""
    assert read_temperature_c("GPU-not-here") is None


def test_the_processor_is_as_hot_as_its_hottest_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the processor's own drivers the highest figure counts; disks and boards do not."""
    from types import SimpleNamespace as Entry

    chips = {"coretemp": [Entry(current=51.0), Entry(current=58.0)], "nvme": [Entry(current=70.0)]}
    monkeypatch.setattr("psutil.sensors_temperatures", lambda: chips, raising=False)

    assert 58.0 == read_temperature_c("cpu")


def test_a_system_without_thermometers_has_no_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems have no such function in psutil."""
    monkeypatch.delattr("psutil.sensors_temperatures", raising=False)

    assert read_temperature_c("cpu:0") is None
