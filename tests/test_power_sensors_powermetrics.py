"""The powermetrics sampler over a program of ours that writes what Apple's tool writes."""

import plistlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.ladder import seeing
from wattbench.harness.power.sensors.powermetrics import PowermetricsSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)
LIMIT_S = 20.0

PROCESSOR = {
    "clusters": [{"name": "E-Cluster", "freq_hz": 972e6}],
    "cpu_energy": 840,
    "cpu_power": 4200.0,
    "gpu_energy": 1600,
    "gpu_power": 8000.5,
    "ane_energy": 0,
    "ane_power": 0.0,
    "combined_power": 12200.5,
}

PROGRAM = """
import pathlib, sys, time

folder = pathlib.Path({folder!r})
number = 0
while not (folder / "stop").exists():
    file = folder / f"{{number}}.plist"
    if file.exists():
        sys.stdout.buffer.write((b"\\x00" if number else b"") + file.read_bytes())
        sys.stdout.buffer.flush()
        number += 1
    time.sleep(0.002)
print((folder / "stop").read_text())
"""


class Tool:
    """A made-up powermetrics: samples are given to it as files, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent = 0
        self.now_s = 100.0
        (folder / "tool.py").write_text(PROGRAM.format(folder=str(folder)))
        self.command = (sys.executable, str(folder / "tool.py"))

    def send(self, processor: dict[str, Any]) -> None:
        """Write one sample, of the shape that macOS 14 gives."""
        sample = {
            "is_delta": True,
            "elapsed_ns": 200_123_456,
            "hw_model": "Mac15,9",
            "processor": processor,
            "gpu": {"freq_hz": 1398.0, "idle_ratio": 0.2},
        }
        self.send_text(plistlib.dumps(sample))

    def send_text(self, text: bytes) -> None:
        """Write any bytes as the next sample."""
        partial = self.folder / "partial"
        partial.write_bytes(text)
        partial.rename(self.folder / f"{self.sent}.plist")
        self.sent += 1

    def end(self, words: str = "") -> None:
        """Let the tool end with some words."""
        (self.folder / "partial").write_text(words)
        (self.folder / "partial").rename(self.folder / "stop")

    def sampler(self) -> PowermetricsSampler:
        """Return a sampler that starts this tool."""
        return PowermetricsSampler(ANY, command=self.command, first_limit_s=LIMIT_S, now_s=lambda: self.now_s)


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    """Make a tool that ends with the test."""
    made = Tool(tmp_path)
    yield made
    made.end()


def until(sampler: PowermetricsSampler, cpu_w: float) -> dict[str, float | None]:
    """Return the readings as soon as the CPU's power is a value."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        found = {r.channel: r.value for r in sampler.read()}
        if found["powermetrics:cpu"] == cpu_w:
            return found
        time.sleep(0.002)
    raise AssertionError(f"the CPU's power never became {cpu_w} W")


def test_a_sample_gives_the_chips_powers(tool: Tool) -> None:
    """The combined power is the chip's, a package; its parts are "other"; mW become W."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    found = sampler.probe()
    readings = [r.value for r in sampler.read()]
    sampler.close()

    assert found.usable
    assert [("soc", "package"), ("cpu", "other"), ("gpu", "other"), ("ane", "other")] == [
        (c.id.partition(":")[2], c.scope) for c in sampler.channels
    ]
    assert [12.2005, 4.2, 8.0005, 0.0] == pytest.approx(readings)


def test_the_newest_sample_counts(tool: Tool) -> None:
    """The stream goes on; samples are parted by a NUL byte, and other text between them is skipped."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    sampler.probe()
    tool.send_text(b"Second underflow occured.\n")
    tool.send({**PROCESSOR, "cpu_power": 5000.0, "combined_power": 13000.5})
    readings = until(sampler, 5.0)
    sampler.close()

    assert 13.0005 == readings["powermetrics:soc"]


def test_the_need_of_root_is_told_with_a_remedy(tool: Tool) -> None:
    """The tool's own words become the reason, sudo or the package without root the remedy."""
    tool.end("powermetrics must be invoked as the superuser")
    found = tool.sampler().probe()

    assert "broken" == found.state
    assert "superuser" in found.reason
    assert "sudo bench run" in found.remedy
    assert "wattbench[apple]" in found.remedy


def test_another_system_has_no_such_tool() -> None:
    """Linux has no powermetrics."""
    found = PowermetricsSampler(ANY, command=("no-such-tool-as-powermetrics",)).probe()

    assert "absent" == found.state


def test_an_intel_mac_shows_no_power_of_ours(tool: Tool) -> None:
    """Without the keys of Apple's chips there is no channel."""
    tool.send({"packages": [], "package_watts": 12.0})

    assert "absent" == tool.sampler().probe().state


def test_a_tool_that_ends_fails_the_reads(tool: Tool) -> None:
    """A dead stream gives no number; its last words are the cause."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    sampler.probe()
    tool.end("Killed: 9")
    with pytest.raises(SensorError, match="Killed: 9"):
        until(sampler, -1.0)
    sampler.close()


def test_an_old_sample_is_no_view_of_now(tool: Tool) -> None:
    """When no sample has come for five periods the last one is not given again."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    sampler.probe()
    tool.now_s += 1.5
    with pytest.raises(SensorError, match=r"1\.5 s old"):
        sampler.read()
    sampler.close()


def test_a_key_that_is_missing_or_no_number_is_no_reading(tool: Tool) -> None:
    """A part that a later sample leaves out, or gives as text, has no value."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    sampler.probe()
    tool.send({"cpu_power": 1000.0, "gpu_power": "N/A", "combined_power": True})
    readings = until(sampler, 1.0)
    sampler.close()

    assert {"powermetrics:soc", "powermetrics:gpu", "powermetrics:ane"} == {n for n, v in readings.items() if v is None}


def test_a_tool_that_says_nothing_is_given_up(tool: Tool) -> None:
    """The first sample has a time limit."""
    sampler = PowermetricsSampler(ANY, command=tool.command, first_limit_s=0.05)
    found = sampler.probe()

    assert ("broken", True) == (found.state, "none within 0.05 s" in found.reason)


def test_a_tool_that_cannot_be_started_is_broken(tmp_path: Path) -> None:
    """A file that is no program says so."""
    program = tmp_path / "powermetrics"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)

    assert "broken" == PowermetricsSampler(ANY, command=(str(program),)).probe().state


@pytest.mark.parametrize("covers", ["cpu", None])
def test_the_chip_sees_every_processor_on_it(tool: Tool, covers: str | None) -> None:
    """CPU, GPU (which states no identity) and neural engine are on the one chip."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    sampler.probe()
    sampler.close()

    assert ["powermetrics:soc"] == [c.id for c in seeing(sampler.channels, covers)]


def test_after_closing_nothing_is_read(tool: Tool) -> None:
    """Closing ends the tool and is safe twice."""
    tool.send(PROCESSOR)
    sampler = tool.sampler()
    sampler.probe()
    sampler.close()
    sampler.close()

    with pytest.raises(SensorError, match="closed"):
        sampler.read()


def test_it_keeps_the_contract(tool: Tool) -> None:
    """The sampler passes the checks that are everybody's."""
    tool.send(PROCESSOR)

    assert check_sampler(tool.sampler)
