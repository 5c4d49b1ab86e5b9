"""A phone under test: what it is, a folder of ours on it that is removed again, and its clock placed on ours."""

import contextlib
import re
import shlex
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wattbench.backends.adb import PROBE_S, Adb
from wattbench.backends.clocks import ClockOffset, Exchange, clock_offset
from wattbench.results.errors import DeviceError, WattbenchError
from wattbench.results.visible import visible

__all__ = ["Phone", "PhoneFacts", "phone_facts", "placed"]

PLACE = "/data/local/tmp"
"""Where adb's user may write and run programs on any phone."""

TICK_S = 0.01
"""/proc/uptime counts in hundredths of a second."""

UPTIME = re.compile(r"[0-9]{1,10}\.[0-9]{2}")
"""How the kernel writes it: seconds with hundredths, and nothing else is a moment."""

EXCHANGES = 5
"""The phone's clock is asked so often: what all answers allow together is what counts."""

STAMPED = 'while IFS= read -r line; do read -r up rest </proc/uptime; echo "$up $line"; done'
"""Puts the phone's clock before every line, by the shell alone: no process is started for it."""

PROPERTIES = {
    "maker": "ro.product.manufacturer",
    "model": "ro.product.model",
    "soc_maker": "ro.soc.manufacturer",
    "soc": "ro.soc.model",
    "android": "ro.build.version.release",
    "abi": "ro.product.cpu.abi",
    "emulator": "ro.boot.qemu",
}

PROPERTY_CHARACTERS = 92
"""How long Android lets a property's text be, but for some that only read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneFacts:
    """What a phone says of itself; "" where it says nothing. `emulator` is true for one without hardware."""

    maker: str
    model: str
    soc: str
    android: str
    abi: str
    emulator: bool

    @property
    def text(self) -> str:
        """Return the phone in words: maker, model, chip and Android's version."""
        chip = f" ({self.soc})" if self.soc else ""
        return f"{self.maker} {self.model}{chip}, Android {self.android or 'of unknown version'}".strip()


class Phone:
    """A phone with a folder of ours on it; `close` removes the folder."""

    def __init__(self, adb: Adb) -> None:
        self.adb = adb
        self.folder = f"{PLACE}/wattbench-{uuid.uuid4().hex[:12]}"
        adb.shell(f"mkdir {self.folder}")

    def push(self, local: Path, name: str, *, program: bool = False) -> str:
        """Copy a file into the folder under a name, and return its path there."""
        remote = f"{self.folder}/{name}"
        self.adb.push(local, remote)
        if program:
            self.adb.shell(f"chmod 755 {shlex.quote(remote)}")
        return remote

    def run(self, command: Sequence[str], *, timeout_s: float) -> tuple[list[tuple[float, str]], int]:
        """Run a program in the folder; return its lines with the phone's clock in seconds, and its exit code.

        Libraries in the folder are found. The time before a line is when it was read from the program.
        """
        words = shlex.join(command)
        where = (
            f"cd {self.folder} && export LD_LIBRARY_PATH={self.folder}:/vendor/lib64 ADSP_LIBRARY_PATH={self.folder}"
        )
        piped = f'( {where} && {words}; echo "code=$?" ) 2>&1 | {STAMPED}'
        lines = _stamped(self.adb.shell(piped, timeout_s=timeout_s))
        codes = [text for _, text in lines if text.startswith("code=")]
        if not codes or not codes[-1].removeprefix("code=").isdecimal():
            why = f"the program's end was not seen; its last line: {lines[-1][1] if lines else 'none'}"
            raise DeviceError("The phone was lost", why, "Look at its cable or network, and run again.")
        return [line for line in lines if not line[1].startswith("code=")], int(codes[-1].removeprefix("code="))

    def exchanges(self) -> list[Exchange]:
        """Return questions to the phone's clock, the time since it was started, on `time.perf_counter`."""
        found = []
        for _ in range(EXCHANGES):
            sent_s = time.perf_counter()
            said = self.adb.shell("cat /proc/uptime")
            received_s = time.perf_counter()
            found.append(Exchange(sent_s=sent_s, received_s=received_s, remote_s=_uptime_s(said), resolution_s=TICK_S))
        return found

    def thermal_status(self) -> int | None:
        """Return Android's thermal status (0 none .. 6 shutdown), None where the phone does not tell it."""
        with contextlib.suppress(WattbenchError):
            for line in self.adb.shell("dumpsys thermalservice").splitlines():
                name, _, value = line.partition(":")
                if name.strip() == "Thermal Status" and value.strip().isdecimal():
                    return int(value)
        return None

    def close(self) -> None:
        """Remove the folder; a phone that is gone keeps it, in a place that a restart of its user may clear."""
        with contextlib.suppress(WattbenchError):
            self.adb.shell(f"rm -rf {self.folder}")


def phone_facts(adb: Adb) -> PhoneFacts:
    """Ask a phone what it is; names are cut, and show what cannot be seen. Raises DeviceError without an answer."""
    asked = "; ".join(f'echo "{name}=$(getprop {key})"' for name, key in PROPERTIES.items())
    answer = adb.shell(asked, timeout_s=PROBE_S)
    told = {name: value for name, _, value in (line.partition("=") for line in answer.splitlines())}
    if not told.keys() >= PROPERTIES.keys():
        why = f"it was asked for its properties and said {answer[:60]!r}"
        raise DeviceError("The phone does not say what it is", why, "Is this an Android phone?")
    said = {name: visible(told[name].strip()[:PROPERTY_CHARACTERS]) for name in PROPERTIES}
    return PhoneFacts(
        maker=said["maker"],
        model=said["model"],
        soc=" ".join(word for word in (said["soc_maker"], said["soc"]) if word),
        android=said["android"],
        abi=said["abi"],
        emulator=said["emulator"] == "1",
    )


def placed(exchanges: Sequence[Exchange]) -> ClockOffset:
    """Return the phone's clock minus ours, with what it can be off by, the clock's own ticks included."""
    found = clock_offset(exchanges)
    if found is None:
        raise DeviceError("The phone's clock is not known", "it was never asked", "Report this as a bug.")
    return ClockOffset(offset_s=found.offset_s, bound_s=found.bound_s + TICK_S / 2)


def _stamped(text: str) -> list[tuple[float, str]]:
    """Return lines that the phone has stamped; what comes without a stamp belongs to no moment and is left out."""
    found = []
    for line in text.splitlines():
        stamp, _, rest = line.partition(" ")
        if UPTIME.fullmatch(stamp):
            found.append((float(stamp) + TICK_S / 2, rest))
    return found


def _uptime_s(text: str) -> float:
    first = text.split(maxsplit=1)[:1]
    if not first or UPTIME.fullmatch(first[0]) is None:
        why = f"/proc/uptime says {text[:60]!r}"
        raise DeviceError("The phone's clock cannot be read", why, "Is this an Android phone?")
    return float(first[0])
