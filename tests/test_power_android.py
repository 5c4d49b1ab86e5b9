"""The android sampler over a stand-in of adb: a phone's battery, its chargers, and makers' units and signs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from phone_case import FakePhone

from wattbench.harness.power.android import AndroidSampler
from wattbench.harness.power.contract import SamplerOptions
from wattbench.results.errors import SensorError


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePhone:
    """Return an unplugged phone that this process reaches."""
    made = FakePhone(tmp_path)
    made.enter(monkeypatch)
    return made


@pytest.fixture
def sampler(phone: FakePhone) -> Iterator[AndroidSampler]:
    """Return the sampler of a run on a phone."""
    made = AndroidSampler(SamplerOptions(argument=None, covers="phone"))
    yield made
    made.close()


@pytest.mark.parametrize("current", [412000, -412000])
def test_power_whatever_the_sign(phone: FakePhone, sampler: AndroidSampler, current: int) -> None:
    """Makers differ in the sign of a discharging current: the status says the direction."""
    phone.has_battery("Discharging", current=current, voltage=3987000)
    found = sampler.probe()
    (reading,) = sampler.read()

    assert found.usable, found.reason
    assert ("android:battery", pytest.approx(0.412 * 3.987)) == (reading.channel, reading.value)
    assert ("node", "phone") == (sampler.channels[0].scope, sampler.channels[0].covers)


def test_each_read_looks_anew(phone: FakePhone, sampler: AndroidSampler) -> None:
    """A value that has changed is seen by the next read."""
    sampler.probe()
    first = sampler.read()[0].value
    phone.has_battery("Discharging", current=824000, voltage=3987000)
    second = sampler.read()[0].value

    assert first is not None
    assert pytest.approx(2 * first) == second


@pytest.mark.parametrize(
    ("status", "charger", "why"),
    [
        ("Charging", 1, "its status is Charging and a charger is connected"),
        ("Full", 1, "its status is Full"),
        ("Not charging", 0, "its status is Not charging"),
        ("Discharging", 1, "a charger is connected"),
        ("", 0, "its status is unknown"),
    ],
)
def test_a_phone_that_is_fed(phone: FakePhone, sampler: AndroidSampler, status: str, charger: int, why: str) -> None:
    """Where anything feeds the phone the battery gives less than it draws: that is refused with the way out."""
    phone.has_battery(status, current=-412000, voltage=3987000, charger=charger)
    found = sampler.probe()

    assert ("broken", True) == (found.state, why in found.reason)
    assert "adb tcpip 5555" in found.remedy


def test_a_charger_that_is_plugged_in_meanwhile(phone: FakePhone, sampler: AndroidSampler) -> None:
    """From then on every read fails and says so; unplugged again, they go on."""
    sampler.probe()
    phone.has_battery("Charging", current=900000, voltage=4321000, charger=1)
    with pytest.raises(SensorError, match="does not carry it"):
        sampler.read()
    phone.has_battery("Discharging", current=412000, voltage=3987000)

    assert pytest.approx(0.412 * 3.987) == sampler.read()[0].value


def test_a_driver_that_gives_milliamperes(phone: FakePhone, sampler: AndroidSampler) -> None:
    """412 uA run no phone: the unit must be declared, and then holds; declared where it is wrong, it is refused."""
    phone.has_battery("Discharging", current=412, voltage=3987000)
    refused = sampler.probe()
    declared = AndroidSampler(SamplerOptions(argument="current=mA", covers="phone"))
    taken = declared.probe()
    value = declared.read()[0].value
    phone.has_battery("Discharging", current=412000, voltage=3987000)
    wrong = declared.probe()

    assert ("broken", True) == (refused.state, "android:current=mA" in refused.remedy)
    assert (True, pytest.approx(0.412 * 3.987)) == (taken.usable, value)
    assert ("broken", True) == (wrong.state, "android:current=uA" in wrong.remedy)


@pytest.mark.parametrize(
    ("current", "voltage", "words"),
    [
        (0, 3987000, "current_now is 0 while the battery discharges"),
        (99999999999, 3987000, "no phone that is on draws"),
        (412000, 0, "voltage_now 0 would be 0 V"),
        (412000, -3987000, "would be -3.987 V"),
        ("9" * 400, 3987000, "the phone forbids it"),
    ],
)
def test_figures_that_cannot_be(
    phone: FakePhone, sampler: AndroidSampler, current: int | str, voltage: int, words: str
) -> None:
    """Neither the first look nor a later one gives watts of such figures, and no unit is advised that does not help."""
    sampler.probe()
    phone.has_battery("Discharging", current=current, voltage=voltage)
    with pytest.raises(SensorError) as later:
        sampler.read()
    first = sampler.probe()

    assert ("broken", True) == (first.state, words in first.reason)
    assert words in later.value.why
    assert ("android:current" not in first.remedy, len(first.reason) < 300) == (True, True)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("echo; read more", "its status is unknown"),
        ("echo hello; read more", "its status is hello"),
        ("echo 'Discharging|412000'; read more", "voltage_now ''"),
        ("exec cat /dev/zero", "it does not end"),
        ("exit 0", "connection ended"),
    ],
)
def test_answers_that_are_none(phone: FakePhone, sampler: AndroidSampler, says: str, words: str) -> None:
    """A shell on the phone that says nothing of use, or never ends its line, is a source that does not work."""
    real = phone.folder / "real"
    phone.adb.rename(real)
    phone.script(phone.adb, f'#!/bin/sh\ncase "$*" in *"read -r asked"*) {says};; *) exec {real} "$@";; esac\n')
    found = sampler.probe()

    assert ("broken", True) == (found.state, words in found.reason), found.reason


def test_looks_after_one_that_nothing_answered(phone: FakePhone, sampler: AndroidSampler) -> None:
    """A look that nothing answers ends the connection; those after it fail as looks, not as bugs."""
    sampler.probe()
    assert sampler._stream is not None
    sampler._stream.close()
    with pytest.raises(SensorError, match="The phone was lost"):
        sampler.read()


def test_files_that_the_phone_forbids(phone: FakePhone, sampler: AndroidSampler) -> None:
    """A current that cannot be read is no zero."""
    (phone.folder / "supplies/battery/current_now").unlink()
    found = sampler.probe()

    assert ("broken", True) == (found.state, "tells no power" in found.reason)


def test_a_phone_without_a_battery(phone: FakePhone, sampler: AndroidSampler) -> None:
    """What the phone shows instead is named."""
    (phone.folder / "supplies/battery/type").write_text("Unknown\n")
    found = sampler.probe()

    assert ("broken", True) == (found.state, "shows battery, usb" in found.reason)


@pytest.mark.parametrize("argument", ["current=A", "mA", "0123456789ABCDEF", ""])
def test_an_argument_of_another_kind(phone: FakePhone, argument: str) -> None:
    """What the source can be told is named."""
    sampler = AndroidSampler(SamplerOptions(argument=argument, covers="phone"))
    found = sampler.probe()
    sampler.close()

    assert ("broken" if argument else "present") == found.state
    assert ("current=mA" in found.remedy) == bool(argument)


@pytest.mark.parametrize("covers", [None, "cpu", "GPU-1"])
def test_no_phone_under_test(phone: FakePhone, covers: str | None) -> None:
    """Where no phone is measured adb is not even started."""
    found = AndroidSampler(SamplerOptions(argument=None, covers=covers)).probe()

    assert "absent" == found.state
    assert not (phone.folder / "calls").exists()


def test_a_phone_that_goes_away(phone: FakePhone, sampler: AndroidSampler) -> None:
    """A connection that ended is an error of the source, and so is reading after the end."""
    sampler.probe()
    assert sampler._stream is not None
    sampler._stream._process.kill()
    with pytest.raises(SensorError, match="The phone was lost"):
        sampler.read()
    sampler.close()
    sampler.close()
    with pytest.raises(SensorError, match="it is closed"):
        sampler.read()


def test_without_a_phone(phone: FakePhone, sampler: AndroidSampler) -> None:
    """What adb says is wrong is the probe's reason."""
    phone.lists("List of devices attached\n")
    found = sampler.probe()

    assert ("broken", "No phone is there: adb's list of devices is empty") == (found.state, found.reason)
