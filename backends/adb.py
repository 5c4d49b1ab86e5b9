"""Asking a phone through Android's `adb`: which phones are there, and calls that end in time or say what is wrong."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wattbench.results.errors import DeviceError

__all__ = ["ADB", "PROBE_S", "SERIAL", "Adb", "Attached", "chosen", "connect", "find_adb", "parse_attached"]

ADB, SERIAL = "WATTBENCH_ADB", "ANDROID_SERIAL"
"""The variables that name adb's program, where it is not on the path, and the phone; the second one is adb's own."""

TIMEOUT_S = 20.0
"""How long a call may take that only asks."""

PROBE_S = 5.0
"""How long each of a probe's two questions may take; adb starts its own server at the first one."""

PUSH_BYTES_PER_S = 1e6
"""A slow way to a phone (our choice): files that are pushed or pulled get so much time beyond `TIMEOUT_S`."""

ENDED = "wattbench-exit:"
"""What a command's last line begins with: without it the connection broke, whatever adb itself returns."""

HEADER = "List of devices attached"
"""What adb says before its list of phones, after what it may tell of its server: without it the answer is not adb's."""

LAST_WORDS = 400

AGAIN = "Look at its cable or network and its screen, see `adb devices`, and run again."

REMEDIES = {
    "unauthorized": "Unlock the phone and allow USB debugging for this computer; `adb kill-server` asks once more.",
    "offline": "Plug it in again, or `adb reconnect offline`; a phone that sleeps may need its screen on.",
    "no permissions": "Install your system's udev rules for Android, or join the group plugdev and log in again.",
    "recovery": "Start the phone's system: `adb reboot`.",
    "sideload": "Start the phone's system: `adb reboot`.",
    "bootloader": "Start the phone's system: `fastboot reboot`.",
}
"""What to do about a phone that answers and cannot be used, by the state that adb shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A phone in the list of `adb devices -l`: its serial number, its state, and its facts (model, product)."""

    serial: str
    state: str
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Return whether commands can be run on it."""
        return self.state == "device"


class Adb:
    """One phone behind adb's program; every call has a limit on its time."""

    def __init__(self, program: str, serial: str) -> None:
        self._command = (program, "-s", serial)

    def shell(self, command: str, *, timeout_s: float = TIMEOUT_S) -> str:
        """Run a command of the phone's shell and return what it printed, errors too.

        Raises DeviceError where the command fails, the phone is lost meanwhile, or it takes longer than `timeout_s`.
        """
        said, code = self.finished(command, timeout_s=timeout_s)
        if code != 0:
            raise DeviceError("The phone refused a command", f"`{command}` ended with {code}: {_tail(said)}", AGAIN)
        return said

    def finished(self, command: str, *, timeout_s: float = TIMEOUT_S) -> tuple[str, int]:
        """Return what a command printed and its exit code, whatever that is; errors of the connection are raised."""
        whole = f'( {command}\n) 2>&1; echo "{ENDED}$?"'
        said = self.call("shell", whole, timeout_s=timeout_s)
        text, mark, code = said.rstrip().rpartition(ENDED)
        if not mark or not code.isdecimal():
            why = f"adb's connection ended before the command did; its last words: {_tail(said) or 'none'}"
            raise DeviceError("The phone was lost", why, AGAIN)
        return text, int(code)

    def push(self, local: Path, remote: str) -> None:
        """Copy a file to the phone."""
        size = local.stat().st_size
        self.call("push", str(local), remote, timeout_s=TIMEOUT_S + size / PUSH_BYTES_PER_S)

    def pull(self, remote: str, local: Path, size_bytes: int) -> None:
        """Copy a file of about that size from the phone."""
        self.call("pull", remote, str(local), timeout_s=TIMEOUT_S + size_bytes / PUSH_BYTES_PER_S)

    def stream(self, command: str) -> "subprocess.Popen[bytes]":
        """Start a command of the phone's shell that reads and writes lines until its input ends."""
        return subprocess.Popen(
            [*self._command, "shell", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            process_group=0,
        )

    def call(self, *arguments: str, timeout_s: float) -> str:
        """Run adb and return its output. Raises DeviceError for what adb itself says is wrong."""
        return _call([*self._command, *arguments], timeout_s)


def find_adb() -> str:
    """Return adb's program: the one that `WATTBENCH_ADB` names, else the path's. Raises DeviceError without one."""
    named = os.environ.get(ADB)
    found = shutil.which(named or "adb")
    if found is None:
        why = f"{ADB}={named} is no program" if named else "adb is not on the path"
        raise DeviceError(
            "Phones are reached by adb, which is not here",
            why,
            f"Install Android's platform-tools (`apt install adb`), or name its program in {ADB}.",
        )
    return found


def connect() -> Adb:
    """Return the phone to measure: the only one, or the one that `ANDROID_SERIAL` names. Raises DeviceError."""
    program = find_adb()
    before, header, listed = _call([program, "devices", "-l"], PROBE_S).partition(HEADER)
    if not header:
        why = f"`adb devices -l` gave no list of phones but {before[:60]!r}"
        raise DeviceError("adb's answer is not understood", why, f"Name a working adb in {ADB}.")
    return Adb(program, chosen(parse_attached(listed), os.environ.get(SERIAL)).serial)


def parse_attached(text: str) -> tuple[Attached, ...]:
    """Return the phones in what `adb devices -l` prints: serial, state, then `key:value` words."""
    found = []
    for line in text.splitlines():
        serial, _, rest = line.strip().partition(" ") if " " in line.strip() else line.strip().partition("\t")
        words = rest.split()
        if not words or line.startswith(("*", "List of devices", "adb server")):
            continue
        facts = dict(word.split(":", 1) for word in words[1:] if ":" in word)
        state = "no permissions" if words[:2] == ["no", "permissions"] else words[0]
        found.append(Attached(serial=serial.strip(), state=state, facts=facts))
    return tuple(found)


def chosen(found: Sequence[Attached], serial: str | None) -> Attached:
    """Return the phone that is meant. Raises DeviceError where there is none, several, or it cannot be used."""
    named = [phone for phone in found if serial in (None, "", phone.serial)]
    if not named:
        if serial:
            why = f"{SERIAL}={serial}, and adb sees {', '.join(p.serial for p in found) or 'none'}"
            raise DeviceError("The phone is not there", why, f"Attach it, or name another one in {SERIAL}.")
        remedy = (
            "Attach a phone with USB debugging on (its developer options), or `adb connect ADDRESS` one by network."
        )
        raise DeviceError("No phone is there", "adb's list of devices is empty", remedy)
    usable = [phone for phone in named if phone.usable]
    if len(usable) > 1:
        names = ", ".join(f"{p.serial} ({p.facts.get('model', 'unknown model')})" for p in usable)
        raise DeviceError("Several phones are there", f"adb sees {names}", f"Name one: {SERIAL}={usable[0].serial}")
    if usable:
        return usable[0]
    phone = named[0]
    raise DeviceError(
        "The phone cannot be used", f"adb calls it {phone.state}", REMEDIES.get(phone.state, "See `adb devices`.")
    )


def _call(command: Sequence[str], timeout_s: float) -> str:
    """Run adb; what it prints goes to files, for its server keeps pipes open that it was born with."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0)
        except OSError as exc:
            raise DeviceError("adb cannot be started", str(exc), f"Name a working adb in {ADB}.") from exc
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            why = f"`adb {_shown(command)}` took longer than {timeout_s:.0f} s and was ended"
            raise DeviceError("The phone does not answer", why, AGAIN) from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        err.seek(0)
        text, said = (stream.read().decode(errors="replace") for stream in (out, err))
    if code != 0:
        raise _failure(command, code, _tail(_nameless(command, said or text)))
    return text


def _failure(command: Sequence[str], code: int, said: str) -> DeviceError:
    """Return the error for what adb said; its words name the phone's state."""
    for state, remedy in REMEDIES.items():
        if f"device {state}" in said or f"device still {state}" in said:
            return DeviceError("The phone cannot be used", f"adb says: {said}", remedy)
    if "not found" in said or "no devices" in said or "closed" in said:
        return DeviceError("The phone was lost", f"adb says: {said}", AGAIN)
    return DeviceError("adb failed", f"`adb {_shown(command)}` ended with {code}: {said or 'no words'}", AGAIN)


def _shown(command: Sequence[str]) -> str:
    """Return the beginning of a call without the program and the serial number, which is nobody's business."""
    arguments = list(command)[1:]
    if arguments[:1] == ["-s"]:
        arguments = arguments[2:]
    return shlex.join(arguments)[:80]


def _nameless(command: Sequence[str], said: str) -> str:
    """Return what adb said without the serial number that it was called with: results keep errors."""
    serial = command[2] if command[1:2] == ["-s"] else ""
    return said.replace(serial, "PHONE") if serial else said


def _tail(text: str) -> str:
    return " ".join(text.split())[-LAST_WORDS:]
