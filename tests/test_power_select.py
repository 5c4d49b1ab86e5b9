"""Choosing power sources: what is opened, what is recorded, what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wattbench.harness.power import select
from wattbench.harness.power.contract import Availability, Reading, SamplerOptions
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.power.select import open_samplers, parse_wanted
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import SensorError, UsageError


class FakeSampler:
    """A sampler that is usable or not, and counts how often it was closed."""

    closed = 0

    def __init__(self, name: str, availability: Availability) -> None:
        self.name = name
        self.channels: tuple[ChannelRecord, ...] = ()
        self._availability = availability

    def probe(self) -> Availability:
        """Answer what the test says."""
        return self._availability

    def read(self) -> tuple[Reading, ...]:
        """Give nothing."""
        return ()

    def close(self) -> None:
        """Count."""
        type(self).closed += 1


def plugin(name: str, state: str) -> Callable[[SamplerOptions], FakeSampler]:
    """Return a plug-in whose probe answers a state."""
    found = Availability(state=state, reason=f"{name} is {state}", remedy="do this")  # type: ignore[arg-type]  # one of 3
    return lambda options: FakeSampler(name, found)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a machine with a usable, a missing and a broken sampler, and one that cannot be imported."""
    known = {"good": plugin("good", "present"), "gone": plugin("gone", "absent"), "unimportable": None}

    def load(group: str, name: str, what: str) -> Callable[[SamplerOptions], FakeSampler]:
        found = known[name]
        if found is None:
            raise UsageError("The sampler cannot be imported", "no module", "Reinstall.")
        return found

    monkeypatch.setattr(select, "plugin_names", lambda group: tuple(known))
    monkeypatch.setattr(select, "load_plugin", load)
    FakeSampler.closed = 0


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Write a recording."""
    path = tmp_path / "trace.csv"
    path.write_text("time_s,power_w\n0,300\n10,300\n")
    return path


@pytest.mark.usefixtures("machine")
def test_auto_takes_what_works_and_records_the_rest() -> None:
    """Every sampler has a record: used, or why not and what to do; a broken plug-in stops nothing."""
    found = open_samplers(["auto"], None)

    assert ["good"] == [s.name for s in found.samplers]
    assert [("good", True, "do this"), ("gone", False, "do this"), ("unimportable", False, "Reinstall.")] == [
        (r.name, r.used, r.remedy) for r in found.records
    ]
    assert found.unavailable_reason is None


@pytest.mark.usefixtures("machine")
def test_auto_may_be_joined_by_a_name_that_must_work() -> None:
    """What is named must work, beside whatever auto finds; nothing stays open when it does not."""
    with pytest.raises(SensorError, match="gone is absent"):
        open_samplers(["auto", "gone"], None)

    assert 1 == FakeSampler.closed


@pytest.mark.usefixtures("machine")
def test_a_named_plugin_that_cannot_be_imported_is_an_error() -> None:
    """Only auto forgives a broken plug-in."""
    with pytest.raises(UsageError, match="cannot be imported"):
        open_samplers(["unimportable"], None)


@pytest.mark.usefixtures("machine")
def test_a_name_alone_opens_that_alone() -> None:
    """The others are recorded as not asked for."""
    found = open_samplers(["good"], None)

    assert ["not asked for", "not asked for"] == [r.reason for r in found.records if not r.used]


def test_none_says_so(trace: Path) -> None:
    """Without power the reason is that it was turned off."""
    found = open_samplers(["none"], None)

    assert ((), ()) == (found.samplers, found.channels)
    assert "--power none" in str(found.unavailable_reason)


def test_nothing_usable_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without sensors says of each one why."""
    monkeypatch.setattr(select, "plugin_names", lambda group: ("gone",))
    monkeypatch.setattr(select, "load_plugin", lambda group, name, what: plugin("gone", "absent"))

    found = open_samplers(["auto"], None)

    assert ("gone", False, "gone is absent") == (found.records[0].name, found.records[0].used, found.records[0].reason)
    assert "looked for: gone" in str(found.unavailable_reason)


def test_a_replay_runs_on_request_for_the_device_under_test(trace: Path) -> None:
    """Its channels stand for the device under test."""
    found = open_samplers([f"replay:{trace}"], "GPU-a")

    assert isinstance(found.samplers[0], ReplaySampler)
    assert ["GPU-a"] == [c.covers for c in found.channels]


def test_a_path_with_colons_stays_whole() -> None:
    """Only the first colon parts name and argument."""
    assert "C:/x:y" == parse_wanted(["replay:C:/x:y"])[0].argument


def test_a_replay_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    """The wrong file is the user's to mend."""
    with pytest.raises(UsageError, match="'replay' cannot be used"):
        open_samplers([f"replay:{tmp_path / 'none'}"], None)


def test_an_absent_device_is_no_wrong_usage() -> None:
    """That there is no device is the same fact whether the source was named with an argument or without."""
    for wanted in ("neuron", "neuron:500"):
        with pytest.raises(SensorError, match="no Neuron device"):
            open_samplers([wanted], None)


def test_a_model_without_watts_names_the_remedy() -> None:
    """Asked for by name alone the model says how to declare its watts."""
    with pytest.raises(SensorError, match="model:IDLE_W,MAX_W"):
        open_samplers(["model"], None)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([], "No power source"),
        (["none", "auto"], "none contradicts"),
        (["rapl", "rapl"], "asked for twice"),
        (["auto:5"], "takes no argument"),
        (["raple"], "Did you mean 'rapl'?"),
        (["auto", "model:40,180"], "measured and modelled"),
    ],
)
def test_contradictions_are_refused(wanted: list[str], said: str) -> None:
    """What cannot be meant is refused with the reason before anything runs."""
    with pytest.raises(UsageError) as caught:
        open_samplers(wanted, None)

    assert said in str(caught.value)


def test_a_replay_and_a_model_are_not_mixed(trace: Path) -> None:
    """Watts of two origins make no ladder."""
    with pytest.raises(UsageError, match="modelled and replayed"):
        open_samplers([f"replay:{trace}", "model:40,180"], None)
