"""The power side of a run: which rung leads, how long to wait, and what is told of aliases."""

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.clock import RunClock
from wattbench.harness.power.contract import Availability, Reading
from wattbench.harness.power.select import Selection
from wattbench.harness.watts import PowerSession
from wattbench.results.energy import BudgetTerm, ChannelEnergy, ChannelRecord, Polls
from wattbench.results.measurement import Repeat, Window
from wattbench.results.plan import Plan
from wattbench.results.summarise import summarise

SECOND = 1_000_000_000


class FakeSampler:
    """A sampler that is open and gives 100 W."""

    name = "fake"

    def __init__(self, *channels: ChannelRecord) -> None:
        self.channels = channels

    def probe(self) -> Availability:
        """Be there."""
        return Availability(state="present", reason="fake")

    def read(self) -> tuple[Reading, ...]:
        """Read 100 W."""
        return tuple(Reading(channel=c.id, value=100.0) for c in self.channels)

    def close(self) -> None:
        """Do nothing."""


class FakeRecorder:
    """A recorder whose log is made by hand: 14 s of 100 W at 20 Hz."""

    def __init__(self, *channels: ChannelRecord) -> None:
        self.channels = channels
        self.watts: dict[str, float] = {}

    def polls(self) -> tuple[Polls, ...]:
        """Return the log."""
        times = tuple(range(-SECOND, 13 * SECOND, SECOND // 20))
        return tuple(
            Polls(
                channel=c.id,
                before_ns=times,
                after_ns=times,
                value=(self.watts.get(c.id, 100.0),) * len(times),
                sensor_ns=None,
                errors={},
            )
            for c in self.channels
        )

    def latest_w(self, channels: Sequence[ChannelRecord]) -> float | None:
        """Return 100 W of any channel."""
        return 100.0 if channels else None


class Parts:
    """Makes sessions, channels and energies for the tests."""

    def __init__(self, factories: ModuleType) -> None:
        self._result = factories.make_result()
        self.energy: ChannelEnergy = factories.make_channel_energy()

    def channel(self, **changes: Any) -> ChannelRecord:  # any: values of any field
        """Return a power channel of a board with some fields replaced."""
        power = {"id": "fake:power", "group": "fake", "kind": "power", "unit": "W", "limit_w": None}
        return replace(self._result.power.channels[0], **(power | changes))

    @property
    def plan(self) -> Plan:
        """Return a plan."""
        plan: Plan = self._result.plan
        return plan

    def session(self, covers: str | None, *channels: ChannelRecord) -> PowerSession:
        """Return a session of a fake sampler with these channels; without any, one without a sensor."""
        samplers = (FakeSampler(*channels),) if channels else ()
        reason = None if channels else "no power sensor can be used here"
        return PowerSession(
            self._result.plan, covers, Selection(samplers=samplers, records=(), unavailable_reason=reason)
        )

    def recorded(self, covers: str | None, *channels: ChannelRecord) -> PowerSession:
        """Return a session whose log is made by hand."""
        session = self.session(covers, *channels)
        session._recorder = FakeRecorder(*channels)  # type: ignore[assignment]  # a log instead of threads
        return session

    def package(self) -> ChannelEnergy:
        """Return the energy of a CPU package."""
        return replace(self.energy, channel="rapl:package-0", scope="package", covers="cpu:0")

    def repeat(self, energy: ChannelEnergy) -> Repeat:
        """Return one repeat with this energy."""
        repeat: Repeat = self._result.repeats[0]
        return replace(repeat, energy=(energy,))

    def energy_per_request(self, session: PowerSession, repeat: Repeat) -> list[Any]:  # any: Metrics
        """Return a summary's energies per request in their order."""
        summary = summarise(
            self._result.load,
            [repeat],
            rung_energies=[session.rungs(repeat.energy)],
            idle_power_w={},
            memory_peak_bytes=None,
            no_energy_reason=None,
        )
        return [metric for metric in summary.metrics if metric.name == "energy.per_request"]


@pytest.fixture(name="parts")
def _parts(factories: ModuleType) -> Parts:
    return Parts(factories)


def test_a_device_without_any_sensor_is_named_in_the_reason(parts: Parts) -> None:
    """A TPU has no power sensor: that stands behind the reason why nothing was measured."""
    plan = replace(parts.plan, backend="torch", device="xla:0")
    nothing = Selection(samplers=(), records=(), unavailable_reason="no power sensor can be used here")
    something = Selection(samplers=(FakeSampler(parts.channel()),), records=(), unavailable_reason=None)

    assert "no power sensor can be used here; Google TPU has no power sensor" in str(
        PowerSession(plan, None, nothing).unavailable_reason
    )
    assert PowerSession(plan, None, something).unavailable_reason is None


def test_another_devices_energy_is_not_the_headline(parts: Parts) -> None:
    """A GPU under test and only a CPU sensor: the first rung has no energy but a reason, the package stands below."""
    first, second = parts.session("GPU-1234", parts.channel()).rungs([parts.package()])

    assert ("device:GPU-1234", "board", None) == (first.name, first.scope, first.energy_j)
    assert "no sensor sees GPU-1234 (read were: package:cpu)" == first.reason
    assert "package:cpu" == second.name


def test_a_device_without_a_sensor_has_no_figures(parts: Parts) -> None:
    """The summary's first energy per request is null with the reason; the package's own comes after it."""
    found = parts.energy_per_request(parts.session("GPU-1234", parts.channel()), parts.repeat(parts.package()))

    assert [True, False] == [metric.value is None for metric in found]
    assert "no sensor sees GPU-1234" in str(found[0].reason)


def test_a_device_without_a_sensor_has_no_power(parts: Parts) -> None:
    """The progress of a run shows no other device's watts as the device's."""
    assert parts.session("GPU-1234", parts.channel()).primary_w([parts.package()]) is None


@pytest.mark.parametrize(("covers", "expected_w"), [("GPU-00000000", 100.0), ("GPU-1234", None)])
def test_the_display_shows_only_the_devices_watts(parts: Parts, covers: str, expected_w: float | None) -> None:
    """While the run goes on, the watts of another device are not shown."""
    assert expected_w == parts.recorded(covers, parts.channel()).latest_w()


def test_the_devices_own_rung_leads(parts: Parts) -> None:
    """With the board read, it is first and has its watts."""
    session, energies = parts.session("GPU-00000000", parts.channel()), [parts.package(), parts.energy]

    assert ["board:GPU-00000000", "package:cpu"] == [rung.name for rung in session.rungs(energies)]
    assert 300.0 == session.primary_w(energies)


def test_without_a_sensor_there_is_no_rung(parts: Parts) -> None:
    """The reason is then the session's, not a rung's."""
    assert () == parts.session("GPU-1234").rungs([])


@pytest.mark.parametrize(
    ("facts", "expected_s"),
    [([(0.07, 0.1), (0.3, 1.0)], 2.3), ([(None, None)], 1.0), ([], 0.0)],
)
def test_idle_waits_until_no_sensor_shows_the_load(
    parts: Parts, facts: list[tuple[float | None, float | None]], expected_s: float
) -> None:
    """The wait is the longest lag with its averaging window and a second; nothing without a sensor."""
    channels = [parts.channel(id=f"c{n}", lag_s=lag, averaging_window_s=mean) for n, (lag, mean) in enumerate(facts)]

    assert expected_s == pytest.approx(parts.session(None, *channels).settle_before_idle_s)


def test_an_alias_of_the_budget_is_told(parts: Parts) -> None:
    """A window whose budget has an alias is named with its facts."""
    term = BudgetTerm(name="alias", kind="A", u_rel=0.08, absolute_only=False, basis="they keep step")
    repeat = parts.repeat(replace(parts.energy, budget=(term,)))

    assert (f"repeat 1, {parts.energy.channel}: they keep step",) == parts.recorded(None, parts.channel()).aliases(
        [repeat]
    )
    assert () == parts.session(None).aliases([repeat])


def test_views_that_lie_apart_are_told(parts: Parts) -> None:
    """A part-time view 10 % off the other view of its board is named, whichever of the two is taken."""
    part, whole = parts.channel(id="part", seen_share=0.25), parts.channel(id="whole")
    session = parts.recorded(None, part, whole)
    session._recorder.watts = {"part": 110.0}  # type: ignore[union-attr]  # the log by hand
    (found,) = session.aliases([replace(parts.repeat(parts.energy), window=Window(start_ns=0, end_ns=10 * SECOND))])

    assert "repeat 1, fake: +10.0 % off the other views" == found


def test_a_session_keeps_its_log_after_the_end(parts: Parts) -> None:
    """What was recorded can be asked for after the stop, and closing again does nothing."""
    session = parts.session(None, parts.channel())
    session.start(RunClock())
    session.stop()
    session.close()

    assert ["fake:power"] == [polls.channel for polls in session.record().polls]
