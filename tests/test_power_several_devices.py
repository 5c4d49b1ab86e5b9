"""Several devices under test at once: their watts are added, each keeps its own, and one that is missing is told."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from records import PACKAGE_ENERGY

from wattbench.harness.power.derive import idle_rung_w, ladder, primary_name
from wattbench.harness.power.ladder import no_rung_reason, primary_rung, rungs
from wattbench.results.covers import covers_of, devices_of, is_among
from wattbench.results.measurement import IdleRecord, Window

BOTH = "GPU-a+GPU-b"
UUIDS = tuple(f"GPU-{str(n) * 8}-2222-3333-4444-555555555555" for n in (1, 2))

FIRST = replace(
    PACKAGE_ENERGY,
    channel="nvml:GPU-a:counter",
    scope="board",
    covers="GPU-a",
    energy_j=3000.0,
    energy_net_j=1000.0,
    mean_power_w=300.0,
    counter_j=3000.0,
)
SECOND = replace(FIRST, channel="nvml:GPU-b:counter", covers="GPU-b", energy_j=2000.0, mean_power_w=200.0)
OTHER = replace(FIRST, channel="nvml:GPU-c:counter", covers="GPU-c", energy_j=500.0, mean_power_w=50.0)


def test_several_devices_are_one_word() -> None:
    """Each is named once, the order is kept, and one unknown makes all of them unknown."""
    assert BOTH == covers_of(["GPU-a", "GPU-b", "GPU-a"])
    assert ("GPU-a", "GPU-b") == devices_of(BOTH)
    assert (None, None) == (covers_of(["GPU-a", None]), covers_of([]))


@pytest.mark.parametrize(
    ("device", "covers", "among"),
    [("GPU-B", BOTH, True), ("b", BOTH, True), ("GPU-c", BOTH, False), ("cpu:1", "cpu", True), (None, BOTH, False)],
)
def test_a_device_is_found_among_several(device: str | None, covers: str, among: bool) -> None:
    """Case and the vendor's prefix do not matter."""
    assert among == is_among(device, covers)


def test_the_devices_under_test_are_added_and_keep_their_own() -> None:
    """The first rung is the sum of both boards; each board stands below it, and a third one is in neither."""
    energies = [OTHER, FIRST, SECOND]
    found = ladder(energies, BOTH, primary_name(energies, BOTH))

    assert (f"board:{BOTH}", 5000.0, 500.0) == (found[0].name, found[0].energy_j, found[0].mean_power_w)
    assert ("nvml:GPU-a:counter", "nvml:GPU-b:counter") == found[0].channels
    assert {"board:GPU-a": 3000.0, "board:GPU-b": 2000.0} == {
        r.name: r.energy_j for r in found if r.covers in ("GPU-a", "GPU-b")
    }


def test_two_boards_that_are_both_under_test_have_one_sum() -> None:
    """The sum of all boards is not given a second time under another name."""
    assert ["board:GPU-a", "board:GPU-b", f"board:{BOTH}"] == [r.name for r in rungs([FIRST, SECOND], BOTH)]


def test_one_device_under_test_is_not_taken_for_both() -> None:
    """Where the sum of both stands beside them, one board's rung is still its own."""
    found = primary_rung(rungs([FIRST, SECOND], BOTH), "GPU-a")

    assert found is not None
    assert ("board:GPU-a", 3000.0) == (found.name, found.energy_j)


def test_a_missing_board_leaves_no_sum() -> None:
    """One board of two is not the device under test: no rung stands for both, and the missing one is named."""
    found = rungs([FIRST, OTHER], BOTH)

    assert primary_rung(found, BOTH) is None
    assert no_rung_reason(found, BOTH).startswith("no sensor sees GPU-b (read were: ")


def test_the_idle_power_is_that_of_all_devices() -> None:
    """Net energy of the sum is counted from the sum of the idle powers."""
    window = Window(start_ns=0, end_ns=1_000_000_000)
    idle = IdleRecord(state="loaded", window=window, energy=(FIRST, SECOND), cpu_busy_share=None)

    assert 500.0 == idle_rung_w([idle], BOTH)[f"board:{BOTH}"]


SCRIPT = """
import ctypes, json, sys
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.nvml import NvmlSampler
from wattbench.harness.surroundings import Surroundings

covers = sys.argv[1]
sampler = NvmlSampler(SamplerOptions(argument=None, covers=covers))
found = sampler.probe()
turn = ctypes.CDLL("libnvidia-ml.so.1").fake_nvml_set_time_us
turn.argtypes = [ctypes.c_longlong]
around = Surroundings(covers)
turn(10_000_000)
before = around.moment()
turn(70_000_000)
after = around.moment()
print(json.dumps({
    "seen": sorted({c.covers for c in sampler.channels}),
    "slowed": after.slowed_since(before),
    "reasons": around.throttle_reasons,
    "looked_at": len(after.devices),
}))
"""


def test_the_sampler_opens_the_boards_under_test_and_no_other(nvml_library: Path) -> None:
    """Of three boards two are read; the one that was slowed the longest says for how long all had to wait."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(nvml_library), "FAKE_NVML_BOARDS": "3"}
    env |= {"FAKE_NVML_BOARD0_POWER_SLOWED_PERMILLE": "100", "FAKE_NVML_BOARD1_POWER_SLOWED_PERMILLE": "500"}
    command = [sys.executable, "-c", SCRIPT, "+".join(UUIDS)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)

    assert list(UUIDS) == answer["seen"]
    assert {"power cap": pytest.approx(30.0), "heat": 0.0} == answer["slowed"]
    assert (["power cap"], 2) == (answer["reasons"], answer["looked_at"])
