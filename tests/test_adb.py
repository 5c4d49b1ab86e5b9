"""Which phones adb sees, what is wrong with one that cannot be used, and calls that end in time."""

from pathlib import Path

import pytest
from phone_case import FakePhone

from wattbench.backends import adb
from wattbench.backends.adb import chosen, connect, find_adb, parse_attached
from wattbench.backends.phone import Phone, phone_facts, placed
from wattbench.results.errors import DeviceError

LISTED = """* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
0123456789ABCDEF       device usb:1-4 product:tokay model:Pixel_9 device:tokay transport_id:3
192.168.1.20:5555      offline product:e3q model:SM_S928B device:e3q transport_id:4
R5CX                   unauthorized usb:1-2 transport_id:5
????????????           no permissions (user in plugdev group; are your udev rules wrong?); see [http://developer.android.com/]
"""


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePhone:
    """Return a phone that this process reaches."""
    made = FakePhone(tmp_path)
    made.enter(monkeypatch)
    return made


def test_the_list_of_devices() -> None:
    """Serials, states of one or two words and facts are read; what adb says of its server is no phone."""
    found = parse_attached(LISTED)

    assert ["device", "offline", "unauthorized", "no permissions"] == [phone.state for phone in found]
    assert ["0123456789ABCDEF", "192.168.1.20:5555", "R5CX", "????????????"] == [phone.serial for phone in found]
    assert ["Pixel_9", "SM_S928B"] == [phone.facts["model"] for phone in found[:2]]


def test_tabs_of_the_short_list() -> None:
    """The short list of older adb, with tabs, is read too."""
    (found,) = parse_attached("List of devices attached\nemulator-5554\tdevice\n\n")

    assert ("emulator-5554", True) == (found.serial, found.usable)


@pytest.mark.parametrize(
    ("listed", "serial", "what", "remedy"),
    [
        ("", None, "No phone is there", "USB debugging"),
        ("A device\n", "B", "not there", "ANDROID_SERIAL"),
        ("A unauthorized usb:1-1\n", None, "unauthorized", "Unlock the phone"),
        ("A offline\n", None, "offline", "reconnect"),
        ("A no permissions (x)\n", "A", "no permissions", "udev"),
        ("A recovery\n", None, "recovery", "adb reboot"),
        ("A device model:X\nB device model:Y\n", None, "A (X), B (Y)", "ANDROID_SERIAL=A"),
    ],
)
def test_phones_that_cannot_be_chosen(listed: str, serial: str | None, what: str, remedy: str) -> None:
    """None, the wrong one, several, and each state that is no use are told with the way out."""
    with pytest.raises(DeviceError) as caught:
        chosen(parse_attached(listed), serial)

    assert what in f"{caught.value.what}: {caught.value.why}"
    assert remedy in caught.value.remedy


def test_one_of_several_by_its_serial() -> None:
    """The serial number chooses; a phone that is no use does not stand in the way of the only one that is."""
    assert "B" == chosen(parse_attached("A device\nB device\n"), "B").serial
    assert "B" == chosen(parse_attached("A unauthorized\nB device\n"), None).serial


def test_without_adb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is told with how to get it."""
    monkeypatch.setenv("WATTBENCH_ADB", "/nowhere/adb")
    with pytest.raises(DeviceError, match="WATTBENCH_ADB=/nowhere/adb is no program") as caught:
        find_adb()

    assert "apt install adb" in caught.value.remedy


def test_facts_and_a_folder(phone: FakePhone, tmp_path: Path) -> None:
    """A phone says what it is; what is pushed lies in a folder of ours, which goes away."""
    reached = connect()
    facts = phone_facts(reached)
    place = Phone(reached)
    (tmp_path / "x").write_text("data")
    place.push(tmp_path / "x", "a file")
    there = phone.left_behind()
    place.close()
    place.close()

    assert "Google Pixel 9 (Google Tensor G4), Android 16" == facts.text
    assert ("arm64-v8a", False) == (facts.abi, facts.emulator)
    assert [1, 0] == [len(there), len(phone.left_behind())]


def test_names_that_a_phone_makes_up(phone: FakePhone) -> None:
    """What cannot be seen in a phone's names is shown, they are cut, and warnings of its shell are no names."""
    long = "M" * 3000
    shown = f"ro.product.model) printf 'Evil\\033[31m\\tPhone\\n';; ro.product.manufacturer) echo {long};; *) echo x;;"
    phone.script(phone.folder / "bin/getprop", f"#!/bin/sh\necho 'WARNING: linker' >&2\ncase $1 in\n{shown}\nesac\n")
    facts = phone_facts(connect())

    assert (r"Evil\x1b[31m\x09Phone", "x", "x x", False) == (facts.model, facts.abi, facts.soc, facts.emulator)
    assert len(facts.maker) < 100


def test_an_adb_that_is_none(phone: FakePhone) -> None:
    """A program that prints no list of phones, however long, is told in few words."""
    phone.lists("\x1b[31mnonsense device\n" * 100000)
    with pytest.raises(DeviceError, match="adb's answer is not understood") as caught:
        connect()

    assert "WATTBENCH_ADB" in caught.value.remedy
    assert str(caught.value).isascii()
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("answer", ["", "what\n", "maker=Google\n"])
def test_a_phone_that_is_none(phone: FakePhone, answer: str) -> None:
    """Something behind adb that does not answer for its properties is no phone."""
    reached = connect()
    phone.script(phone.adb, f"#!/bin/sh\nprintf '{answer}wattbench-exit:0\\n'\n")
    with pytest.raises(DeviceError, match="does not say what it is"):
        phone_facts(reached)


@pytest.mark.parametrize("said", ["nan 1.0", "inf", "1e5 3", "-1.00 2.00", "", "soon"])
def test_a_clock_that_is_none(phone: FakePhone, said: str) -> None:
    """What the kernel would not write is no time of the phone."""
    place = Phone(connect())
    phone.script(phone.folder / "bin/cat", f"#!/bin/sh\necho '{said}'\n")
    with pytest.raises(DeviceError, match="clock cannot be read"):
        place.exchanges()


def test_programs_are_run_with_the_phones_clock(phone: FakePhone) -> None:
    """Lines carry the phone's clock, which is placed on ours within the way there and back; the exit code is kept."""
    place = Phone(connect())
    lines, code = place.run(["sh", "-c", "echo 'one two'; echo three >&2; exit 7"], timeout_s=20)
    clock = placed(place.exchanges())
    empty, _ = place.run(["true"], timeout_s=20)

    assert (["one two", "three"], 7, []) == ([text for _, text in lines], code, empty)
    assert 0 < clock.bound_s < 5
    assert lines[0][0] <= lines[1][0]


def test_a_command_that_fails(phone: FakePhone) -> None:
    """Its code and words are told."""
    with pytest.raises(DeviceError, match="ended with 3: no such place"):
        connect().shell("echo no such place; exit 3")


def test_a_lost_phone(phone: FakePhone) -> None:
    """A phone that is gone is told as lost, and closing what was on it is no error."""
    place = Phone(connect())
    phone.has_fault("gone")
    with pytest.raises(DeviceError, match="The phone was lost") as caught:
        place.adb.shell("true")
    place.close()

    assert "cable" in caught.value.remedy
    assert "device 'PHONE' not found" in caught.value.why
    assert 1 == len(phone.left_behind())


def test_a_call_that_hangs_is_ended(phone: FakePhone) -> None:
    """A call past its limit is ended and told without the serial number."""
    reached = connect()
    phone.has_fault("hangs")
    with pytest.raises(DeviceError, match="longer than 0 s") as caught:
        reached.shell("true", timeout_s=0.2)

    assert "0123456789ABCDEF" not in str(caught.value)


def test_output_without_an_end_is_a_lost_phone(phone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call may return 0 though the connection broke: without the command's last line nothing is believed."""
    reached = connect()
    monkeypatch.setattr(adb, "ENDED", "nothing-ends-so:$(exit 1)")
    with pytest.raises(DeviceError, match="connection ended before the command did"):
        reached.shell("echo half")
