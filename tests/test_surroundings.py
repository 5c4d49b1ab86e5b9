"""What the device's own counts say of the time between two looks, through the real bindings over a stand-in library."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UUID = "GPU-11111111-2222-3333-4444-555555555555"

SCRIPT = """
import ctypes, json, sys
from dataclasses import asdict
from wattbench.harness.accelerator_facts import collect_accelerators
from wattbench.harness.surroundings import Surroundings

turn = ctypes.CDLL("libnvidia-ml.so.1").fake_nvml_set_time_us
turn.argtypes = [ctypes.c_longlong]
around = Surroundings(sys.argv[1])
turn(10_000_000)
before = around.moment()
turn(70_000_000)
after = around.moment()
answer = {"slowed": after.slowed_since(before), "reasons": around.throttle_reasons}
print(json.dumps(answer | {"board": asdict(collect_accelerators()[0])}))
"""


def looked(nvml_library: Path, **settings: str) -> dict[str, Any]:
    """Look at the board at 10 and at 70 s of its clock, and return what the time between says."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(nvml_library)}
    env |= {f"FAKE_NVML_{k.upper()}": v for k, v in settings.items()}
    command = [sys.executable, "-c", SCRIPT, UUID]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("source", ["no_violation", "no_violation_fields"])
def test_the_time_slowed_between_two_looks_is_counted(nvml_library: Path, source: str) -> None:
    """Half a minute of power cap is found by either source, though no bit is set at the two looks."""
    answer = looked(nvml_library, power_slowed_permille="500", **{source: "1"})

    assert {"power cap": pytest.approx(30.0), "heat": 0.0} == answer["slowed"]
    assert ["power cap"] == answer["reasons"]


def test_a_board_that_does_not_count_says_nothing(nvml_library: Path) -> None:
    """Without a count the time slowed is unknown, not zero; the bits seen at a look still name a cause."""
    answer = looked(nvml_library, no_violation="1", no_violation_fields="1", event_reasons="64")

    assert answer["slowed"] is None
    assert ["hardware thermal slowdown"] == answer["reasons"]


def test_all_limits_of_a_board_are_known(nvml_library: Path) -> None:
    """Set, default, enforced, least and largest limit, and persistence, are facts of the environment."""
    board = looked(nvml_library)["board"]

    limits = {name: board[f"power_limit_{name}"] for name in ("w", "default_w", "enforced_w", "min_w", "max_w")}
    assert {"w": 350.0, "default_w": 350.0, "enforced_w": 350.0, "min_w": 200.0, "max_w": 350.0} == limits
    assert board["persistence"]
