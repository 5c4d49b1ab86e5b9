"""The NVML sampler through the real nvidia-ml-py, over a library of ours with NVML's ABI."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.nvml import NvmlSampler
from wattbench.harness.power.nvml_table import Behaviour, accuracy_of, architecture_of, behaviour_of

UUID = "GPU-11111111-2222-3333-4444-555555555555"
SOURCE = Path(__file__).parent / "native" / "fake_nvml.c"

SCRIPT = """
import ctypes, json, sys, threading
from dataclasses import asdict

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.nvml import NvmlSampler
from wattbench.harness.power.recorder import Recorder
from wattbench.results.measurement import Window

turn = ctypes.CDLL("libnvidia-ml.so.1").fake_nvml_set_time_us
turn.argtypes = [ctypes.c_longlong]

class Clock:
    ns, ended = 0, threading.Event()
    def now_ns(self):
        return self.ns
    def wait_until(self, deadline_ns, stop):
        if deadline_ns > 14 * 10**9:
            self.ended.set()
            return stop.wait(30)
        self.ns = deadline_ns
        turn(5 * 10**6 + self.ns // 1000)
        return stop.is_set()

sampler = NvmlSampler(SamplerOptions(argument=None, covers=json.loads(sys.argv[1])))
found = sampler.probe()
answer = {"availability": asdict(found), "channels": [asdict(c) for c in sampler.channels]}
if found.usable:
    clock = Clock()
    recorder = Recorder([sampler], 20, clock=clock)
    recorder.start()
    clock.ended.wait(30)
    recorder.stop(30)
    polls, window = recorder.polls(), Window(start_ns=2 * 10**9, end_ns=12 * 10**9)
    answer["polls"] = [asdict(p) for p in polls]
    answer["energy"] = [asdict(channel_energy(g, polls, window, rate_hz=20)) for g in groups_of(recorder.channels)]
    answer["failed"] = recorder.health()[0].failed
print(json.dumps(answer))
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library once."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stand-in library")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([compiler, *flags, "-o", str(target), str(SOURCE)], check=True, timeout=120)
    return folder


def sampled(library: Path, covers: str | None = None, **settings: str) -> dict[str, Any]:
    """Probe and, where usable, record 14 s of the stand-in's clock; return what came as JSON."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(library)} | {f"FAKE_NVML_{k.upper()}": v for k, v in settings.items()}
    command = [sys.executable, "-c", SCRIPT, json.dumps(covers)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=120)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_constant_power_and_counter_give_3000_joules(library: Path) -> None:
    """300 W over 10 s are 3000 J by counter and by integral, through the real bindings."""
    energy = sampled(library, UUID)["energy"][0]

    assert ("counter", "board", UUID) == (energy["method"], energy["scope"], energy["covers"])
    assert 3000.0 == pytest.approx(energy["energy_j"], rel=1e-6)
    assert 3000.0 == pytest.approx(energy["integral_j"], rel=1e-9)
    assert 0.0 == pytest.approx(energy["residual"], abs=1e-6)


def test_channels_carry_the_architectures_behaviour(library: Path) -> None:
    """On Hopper instant power shows 25 of 100 ms; all views of a board are one group with its limit."""
    channels = {c["id"].rsplit(":", 1)[1]: c for c in sampled(library)["channels"]}
    instant = channels["instant"]

    assert {"counter", "instant", "average"} == set(channels)
    assert (0.1, 0.025, 0.25, 350.0) == (
        instant["update_period_s"],
        instant["averaging_window_s"],
        instant["seen_share"],
        instant["limit_w"],
    )
    assert 1 == len({c["group"] for c in channels.values()})


def test_the_drivers_time_stamp_is_logged(library: Path) -> None:
    """Field values bring the driver's own stamp, in ns; the counter has none."""
    polls = {p["channel"].rsplit(":", 1)[1]: p for p in sampled(library)["polls"]}

    assert 5_050_000_000 == polls["instant"]["sensor_ns"][1]
    assert polls["counter"]["sensor_ns"] is None


@pytest.mark.parametrize("covers", [UUID.lower(), UUID.removeprefix("GPU-")])
def test_boards_are_matched_by_uuid(library: Path, covers: str) -> None:
    """Frameworks write UUIDs in either case, with or without the prefix."""
    assert "present" == sampled(library, covers)["availability"]["state"]


@pytest.mark.parametrize(
    ("covers", "settings", "state", "said"),
    [
        ("GPU-other", {}, "absent", f"there are: {UUID}"),
        ("MIG-abc", {}, "broken", "MIG slice"),
        (None, {"mig": "1"}, "broken", "MIG mode"),
        (None, {"vgpu": "1"}, "broken", "vGPU"),
        (None, {"init_return": "9"}, "absent", "Driver Not Loaded"),
        (None, {"init_return": "4"}, "broken", "Insufficient Permissions"),
        (None, {"no_counter": "1", "no_fields": "1", "lost_after": "-1"}, "present", ""),
    ],
)
def test_probe_says_why_a_board_cannot_be_read(
    library: Path, covers: str | None, settings: dict[str, str], state: str, said: str
) -> None:
    """Another board, a slice, a missing driver: each has its state, reason and remedy."""
    found = sampled(library, covers, **settings)["availability"]

    assert state == found["state"]
    assert said in found["reason"]


def test_without_counter_the_integral_is_the_energy(library: Path) -> None:
    """A board whose counter is not supported is read by its power fields."""
    energy = sampled(library, no_counter="1")["energy"][0]

    assert ("integral", None) == (energy["method"], energy["counter_j"])
    assert 3000.0 == pytest.approx(energy["energy_j"])


def test_without_fields_the_old_call_stands_in(library: Path) -> None:
    """A driver that knows no field values is asked by nvmlDeviceGetPowerUsage."""
    answer = sampled(library, no_fields="1", arch="7", name="NVIDIA GeForce RTX 3090")

    assert ["counter", "usage"] == [c["id"].rsplit(":", 1)[1] for c in answer["channels"]]
    assert (1.0, 0.5) == (answer["channels"][1]["averaging_window_s"], answer["channels"][1]["lag_s"])
    assert 3000.0 == pytest.approx(answer["energy"][0]["integral_j"])


def test_a_field_that_is_not_supported_is_no_channel(library: Path) -> None:
    """The return code inside each field value counts, not the call's."""
    assert ["counter", "usage"] == [c["id"].rsplit(":", 1)[1] for c in sampled(library, field_return="3")["channels"]]


def test_module_scope_stands_in_and_is_never_mixed(library: Path) -> None:
    """On a superchip the counter and module power are of the module; the scope says so."""
    answer = sampled(library, module_only="1", name="NVIDIA GH200 480GB")

    assert {"module"} == {c["scope"] for c in answer["channels"]}


def test_wide_field_values_are_read_by_their_type(library: Path) -> None:
    """Some drivers answer in unsigned long long."""
    assert 3000.0 == pytest.approx(sampled(library, value_type="3")["energy"][0]["integral_j"])


def test_an_unknown_value_type_is_no_value(library: Path) -> None:
    """A type that nobody knows gives a missing value with its cause, not a guess."""
    polls = sampled(library, value_type="9")["polls"][1]

    assert polls["value"][0] is None
    assert "value type 9" in polls["errors"]["0"]


def test_a_lost_board_is_no_energy(library: Path) -> None:
    """A board that falls off the bus mid-run leaves failed polls and an unknown energy, never a smaller one."""
    answer = sampled(library, lost_after="100")
    energy = answer["energy"][0]

    assert answer["failed"] > 100
    assert energy["energy_j"] is None
    assert "counter" in energy["reason"]
    assert any("GPU is lost" in cause for cause in answer["polls"][0]["errors"].values())


def test_absurd_power_is_refused(library: Path) -> None:
    """4 kW from a board with a limit of 350 W are no watts."""
    energy = sampled(library, power_mw="4000000")["energy"][0]

    assert energy["energy_j"] is None
    assert "10 times its limit" in energy["reason"]


def test_the_cpu_under_test_leaves_boards_alone() -> None:
    """With the CPU under test no library is loaded."""
    found = NvmlSampler(SamplerOptions(argument=None, covers="cpu")).probe()

    assert "absent" == found.state


@pytest.mark.parametrize(
    ("number", "name", "word"),
    [
        (7, "NVIDIA A100-SXM4-80GB", "ga100"),
        (7, "NVIDIA A30", "ga100"),
        (7, "NVIDIA RTX A1000", "ampere"),
        (9, "NVIDIA H200", "hopper"),
        (99, "NVIDIA Next", "unknown"),
    ],
)
def test_boards_find_their_architecture(number: int, name: str, word: str) -> None:
    """GA100 is told from other Ampere boards by name; what is new is unknown."""
    assert word == architecture_of(number, name)


def test_unpublished_behaviour_is_unknown() -> None:
    """Nobody published Blackwell's sensor, so nothing is claimed of it, and its gain is the unverified default."""
    assert Behaviour() == behaviour_of("blackwell", "instant")
    assert 0.05 / 3**0.5 == accuracy_of("blackwell").rel


def test_the_counter_is_credited_with_no_more_than_the_field_sees() -> None:
    """Whether a counter takes in the unseen time is not published."""
    assert 0.25 == behaviour_of("ga100", "counter").seen_share


def test_the_old_call_is_instant_before_ampere() -> None:
    """On Volta and A100 the power call is the instant field, on later boards the trailing second."""
    assert behaviour_of("volta", "instant") == behaviour_of("volta", "usage")
    assert behaviour_of("hopper", "average") == behaviour_of("hopper", "usage")
