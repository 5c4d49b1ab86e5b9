"""The NVML sampler through the real nvidia-ml-py, over a library of ours with NVML's ABI."""

import json
import os
import struct
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.nvml import NvmlSampler
from wattbench.harness.power.nvml_calls import FieldAsk, FieldsCall
from wattbench.harness.power.nvml_table import TABLE, Behaviour, accuracy_of, architecture_of, behaviour_of

UUID = "GPU-11111111-2222-3333-4444-555555555555"

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
    def wall_ns(self):
        return 5 * 10**9 + self.ns + (jump_ns if self.ns > 7 * 10**9 else 0)

clock, jump_ns = Clock(), json.loads(sys.argv[2])
turn(5 * 10**6)
sampler = NvmlSampler(SamplerOptions(argument=None, covers=json.loads(sys.argv[1])), now_ns=clock.now_ns,
                      wall_ns=clock.wall_ns)
found = sampler.probe()
answer = {"availability": asdict(found), "channels": [asdict(c) for c in sampler.channels]}
if found.usable:
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


SLOW = """
import json, os, time
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import channel_energy
from wattbench.harness.power.nvml import NvmlSampler
from wattbench.harness.power.recorder import Recorder
from wattbench.results.measurement import Window

sampler = NvmlSampler(SamplerOptions(argument=None, covers=None))
assert sampler.probe().usable
recorder = Recorder([sampler], 20, origin_ns=time.perf_counter_ns())
recorder.start()
time.sleep(2.5)
health, start = recorder.health()[0], time.monotonic()
recorder.stop()
window = Window(start_ns=2 * 10**8, end_ns=23 * 10**8)
energy = channel_energy(recorder.channels, recorder.polls(), window, rate_hz=20)
answer = {"silent": health.silent, "stop_s": time.monotonic() - start}
print(json.dumps(answer | {"energy_j": energy.energy_j, "reason": energy.reason}), flush=True)
os._exit(0)
"""


def sampled(
    nvml_library: Path, covers: str | None = None, *, wall_jump_ns: int = 0, visible: str | None = None, **settings: str
) -> dict[str, Any]:
    """Probe and, where usable, record 14 s of the stand-in's clock; return what came as JSON.

    The stand-in's clock is 5 s ahead of the run's; its wall clock is set by `wall_jump_ns` in the middle of the window.
    """
    env = {**os.environ, "LD_LIBRARY_PATH": str(nvml_library)} | {
        f"FAKE_NVML_{k.upper()}": v for k, v in settings.items()
    }
    if visible is not None:
        env["CUDA_VISIBLE_DEVICES"] = visible
    command = [sys.executable, "-c", SCRIPT, json.dumps(covers), json.dumps(wall_jump_ns)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=120)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_constant_power_and_counter_give_3000_joules(nvml_library: Path) -> None:
    """300 W over 10 s are 3000 J by counter and by integral, through the real bindings."""
    energy = sampled(nvml_library, UUID)["energy"][0]

    assert ("counter", "board", UUID) == (energy["method"], energy["scope"], energy["covers"])
    assert 3000.0 == pytest.approx(energy["energy_j"], rel=1e-6)
    assert 3000.0 == pytest.approx(energy["integral_j"], rel=1e-9)
    assert 0.0 == pytest.approx(energy["residual"], abs=1e-6)


def test_channels_carry_the_architectures_behaviour(nvml_library: Path) -> None:
    """On Hopper instant power shows 25 of 100 ms; all views of a board are one group with its limit."""
    channels = {c["id"].rsplit(":", 1)[1]: c for c in sampled(nvml_library)["channels"]}
    instant = channels["instant"]

    assert {"counter", "instant", "average"} == set(channels)
    assert (0.1, 0.025, 0.25, 350.0) == (
        instant["update_period_s"],
        instant["averaging_window_s"],
        instant["seen_share"],
        instant["limit_w"],
    )
    assert 1 == len({c["group"] for c in channels.values()})


def test_the_drivers_time_stamp_is_logged(nvml_library: Path) -> None:
    """Field values bring the driver's own stamp, counted from the first one; the counter has none."""
    polls = {p["channel"].rsplit(":", 1)[1]: p for p in sampled(nvml_library)["polls"]}

    assert (5_000_000, 50_000_000) == (polls["instant"]["sensor_origin_us"], polls["instant"]["sensor_ns"][1])
    assert polls["counter"]["sensor_ns"] is None


@pytest.mark.parametrize("covers", [UUID.lower(), UUID.removeprefix("GPU-")])
def test_boards_are_matched_by_uuid(nvml_library: Path, covers: str) -> None:
    """Frameworks write UUIDs in either case, with or without the prefix."""
    assert "present" == sampled(nvml_library, covers)["availability"]["state"]


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
    nvml_library: Path, covers: str | None, settings: dict[str, str], state: str, said: str
) -> None:
    """Another board, a slice, a missing driver: each has its state, reason and remedy."""
    found = sampled(nvml_library, covers, **settings)["availability"]

    assert state == found["state"]
    assert said in found["reason"]


def test_without_counter_the_integral_is_the_energy(nvml_library: Path) -> None:
    """A board whose counter is not supported is read by its power fields."""
    energy = sampled(nvml_library, no_counter="1")["energy"][0]

    assert ("integral", None) == (energy["method"], energy["counter_j"])
    assert 3000.0 == pytest.approx(energy["energy_j"])


def test_without_fields_the_old_call_stands_in(nvml_library: Path) -> None:
    """A driver that knows no field values is asked by nvmlDeviceGetPowerUsage."""
    answer = sampled(nvml_library, no_fields="1", arch="7", name="NVIDIA GeForce RTX 3090")

    assert ["counter", "usage"] == [c["id"].rsplit(":", 1)[1] for c in answer["channels"]]
    assert (1.0, 0.5) == (answer["channels"][1]["averaging_window_s"], answer["channels"][1]["lag_s"])
    assert 3000.0 == pytest.approx(answer["energy"][0]["integral_j"])


def test_a_field_that_is_not_supported_is_no_channel(nvml_library: Path) -> None:
    """The return code inside each field value counts, not the call's."""
    assert ["counter", "usage"] == [
        c["id"].rsplit(":", 1)[1] for c in sampled(nvml_library, field_return="3")["channels"]
    ]


def test_module_scope_stands_in_and_is_never_mixed(nvml_library: Path) -> None:
    """On a superchip the counter and module power are of the module; the scope says so."""
    answer = sampled(nvml_library, module_only="1", name="NVIDIA GH200 480GB")

    assert {"module"} == {c["scope"] for c in answer["channels"]}


def test_wide_field_values_are_read_by_their_type(nvml_library: Path) -> None:
    """Some drivers answer in unsigned long long."""
    assert 3000.0 == pytest.approx(sampled(nvml_library, value_type="3")["energy"][0]["integral_j"])


def test_an_unknown_value_type_is_no_value(nvml_library: Path) -> None:
    """A type that nobody knows gives a missing value with its cause, not a guess."""
    polls = sampled(nvml_library, value_type="9")["polls"][1]

    assert polls["value"][0] is None
    assert "value type 9" in polls["errors"]["0"]


def test_a_lost_board_is_no_energy(nvml_library: Path) -> None:
    """A board that falls off the bus mid-run leaves failed polls and an unknown energy, never a smaller one."""
    answer = sampled(nvml_library, lost_after="100")
    energy = answer["energy"][0]

    assert answer["failed"] > 100
    assert energy["energy_j"] is None
    assert "counter" in energy["reason"]
    assert any("GPU is lost" in cause for cause in answer["polls"][0]["errors"].values())


def test_absurd_power_is_refused(nvml_library: Path) -> None:
    """4 kW from a board with a limit of 350 W are no watts."""
    energy = sampled(nvml_library, power_mw="4000000")["energy"][0]

    assert energy["energy_j"] is None
    assert "10 times its limit" in energy["reason"]


def of_channel(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the polls of one of the board's channels."""
    found: dict[str, Any] = next(p for p in answer["polls"] if p["channel"].endswith(f":{name}"))
    return found


def joules_of(answer: dict[str, Any]) -> dict[str, float | None]:
    """Return the energy of 2..12 s by the word in the channel's group: board, module, memory, base."""
    words = {c["id"]: c["group"].rsplit(":", 1)[1] for c in answer["channels"]}
    return {words[e["channel"]]: e["energy_j"] for e in answer["energy"]}


def test_a_step_in_the_window_is_counted_whole(nvml_library: Path) -> None:
    """100 W for 5 s of the window and 500 W for the other 5 are 3000 J, by counter and by integral."""
    energy = sampled(nvml_library, power_mw="100000", step_at_us="12000000", step_mw="500000")["energy"][0]

    assert 3000.0 == pytest.approx(energy["counter_j"], abs=0.05 * 400)  # an update is seen within a poll of 50 ms
    assert 3000.0 == pytest.approx(energy["integral_j"], abs=0.1 * 400)  # the field is updated every 100 ms


def test_a_square_wave_that_beats_with_a_part_time_sensor_shows(nvml_library: Path) -> None:
    """A load on for 20 of 100 ms hides from a sensor that looks at the last 25 ms: the two methods part, loudly."""
    settings = {"power_mw": "100000", "square_mw": "300000", "square_period_us": "100000"}
    energy = sampled(nvml_library, **settings, square_duty_permille="200", instant_window_us="25000")["energy"][0]

    assert 1400.0 == pytest.approx(energy["counter_j"], rel=1e-3)
    assert 1000.0 == pytest.approx(energy["integral_j"], rel=1e-3)
    assert 0.4 == pytest.approx(energy["residual"], rel=1e-2)


def test_a_coarse_counter_gives_the_windows_joules_all_the_same(nvml_library: Path) -> None:
    """Steps of 400 ms, which are 120 J each, leave neither more nor less than 3000 J in the window."""
    energy = sampled(nvml_library, counter_step_us="400000", no_fields="1", usage_return="3")["energy"][0]

    assert 3000.0 == pytest.approx(energy["energy_j"], rel=0.01)


def test_a_counter_that_restarts_is_replaced_by_the_integral(nvml_library: Path) -> None:
    """A driver that is loaded anew mid-run starts counting from 0: no negative joules, the integral is the energy."""
    energy = sampled(nvml_library, reset_at_us="12000000")["energy"][0]

    assert ("integral", None) == (energy["method"], energy["counter_j"])
    assert 3000.0 == pytest.approx(energy["energy_j"])
    assert any("went backwards" in note for note in energy["notes"])


def test_a_counter_that_wraps_unannounced_is_not_believed(nvml_library: Path) -> None:
    """NVML's counter is not known to wrap: one that does is no energy when nothing else is read."""
    energy = sampled(nvml_library, wrap_mj="3000000", no_fields="1", usage_return="3")["energy"][0]

    assert energy["energy_j"] is None
    assert "went backwards" in energy["reason"]


def test_parts_of_a_board_are_recorded_apart(nvml_library: Path) -> None:
    """Memory and GPU base are views of their own: 60 W of memory are within the board's 300 W, not beside them."""
    answer = sampled(nvml_library, scopes="15", energy_field="1", memory_mw="60000", module_extra_mw="200000")

    expected = {"board": 3000.0, "module": 5000.0, "memory": 600.0, "base": 2400.0}
    assert {word: pytest.approx(joules, rel=1e-6) for word, joules in expected.items()} == joules_of(answer)
    assert {"board": "board", "module": "module", "memory": "other", "base": "other"} == {
        c["group"].rsplit(":", 1)[1]: c["scope"] for c in answer["channels"]
    }


def test_each_scope_has_one_counter(nvml_library: Path) -> None:
    """The old call counts the board, field 191 what the call does not; nothing is counted twice."""
    channels = sampled(nvml_library, scopes="5", energy_field="1", memory_mw="60000")["channels"]

    assert ["counter", "energy-memory"] == [c["id"].rsplit(":", 1)[1] for c in channels if c["kind"] == "counter"]


def test_field_191_counts_where_the_old_call_does_not(nvml_library: Path) -> None:
    """A board that knows only the field is counted by it."""
    energy = sampled(nvml_library, no_counter="1", energy_field="1")["energy"][0]

    assert ("counter", f"nvml:{UUID}:energy") == (energy["method"], energy["channel"])
    assert 3000.0 == pytest.approx(energy["energy_j"], rel=1e-6)


def test_on_a_superchip_field_191_tells_the_board_from_the_module(nvml_library: Path) -> None:
    """The old call counts the whole module there; the field counts the board alone."""
    settings = {"name": "NVIDIA GH200 480GB", "counter_scope": "1", "module_extra_mw": "200000", "scopes": "3"}

    assert {"board": pytest.approx(3000.0), "module": pytest.approx(5000.0)} == joules_of(
        sampled(nvml_library, **settings, energy_field="1")
    )


def test_a_part_that_says_zero_is_no_sensor(nvml_library: Path) -> None:
    """A driver that answers 0 W for a scope which the board does not have makes no channel."""
    channels = sampled(nvml_library, scopes="5")["channels"]

    assert {"board"} == {c["scope"] for c in channels}


def test_the_drivers_own_log_is_read_whole(nvml_library: Path) -> None:
    """At 50 samples a second, each of two fetches a second brings 25, each with the driver's stamp."""
    answer = sampled(nvml_library, samples_period_us="20000")
    polls = of_channel(answer, "samples")

    assert list(range(20_000_000, 13_420_000_000, 20_000_000)) == polls["taken_ns"][: 13_400 // 20]
    origin_ns = 1000 * polls["sensor_origin_us"]
    assert [taken + 5 * 10**9 for taken in polls["taken_ns"]] == [origin_ns + stamp for stamp in polls["sensor_ns"]]
    assert {300.0} == set(polls["value"])
    assert 0 == answer["failed"]


@pytest.mark.parametrize("buffer", [8, 24, 120])
def test_a_short_log_is_fetched_more_often(nvml_library: Path, buffer: int) -> None:
    """However few samples the driver's log holds, none is lost between two fetches."""
    polls = of_channel(sampled(nvml_library, samples_period_us="20000", samples_buffer=str(buffer)), "samples")
    taken = polls["taken_ns"]

    assert {20_000_000} == {b - a for a, b in pairwise(taken)}
    assert taken[0] <= 20_000_000
    assert taken[-1] >= 13_400_000_000


def answered(*fields: tuple[int, int, int, int]) -> tuple[int, bytes]:
    """Return a look at fields of (stamp in us, value type, return code, value)."""
    return 0, b"".join(struct.pack("IIqqiIQ", 186, 0, us, 0, kind, code, bits) for us, kind, code, bits in fields)


def test_many_looks_at_fields_are_decoded_at_once() -> None:
    """Whole numbers of any width are what single readings say, whatever lies in the unused bits."""
    call = FieldsCall(_Bindings(), None, [FieldAsk(channel=name, code=186, scope=0) for name in ("a", "b")])
    looks = [answered((n, 1, 0, (7 << 32) + 300_000 + n), (0, 3, 0, (1 << 40) + n)) for n in range(1, 4)]
    block = call.block(looks)
    single = [call.readings(look) for look in looks]

    assert block is not None
    assert block.values == {name: [r[i].value for r in single] for i, name in enumerate(("a", "b"))}
    assert block.stamps_ns == {name: [r[i].sensor_ns for r in single] for i, name in enumerate(("a", "b"))}


@pytest.mark.parametrize("wrong", [(1, 1, 3, 5), (1, 9, 0, 5), (1, 0, 0, 5), (1, 3, 0, 5)])
def test_a_field_that_is_no_plain_number_is_decoded_alone(wrong: tuple[int, int, int, int]) -> None:
    """A failed field, an unknown type, a double, or a type that changes: single readings tell."""
    call = FieldsCall(_Bindings(), None, [FieldAsk(channel="a", code=186, scope=0)])

    assert call.block([answered((1, 1, 0, 5)), answered(wrong)]) is None
    assert call.block([answered((1, 1, 0, 5)), (15, b"")]) is None


class _Bindings:
    """As much of pynvml as the making of a call needs."""

    def _nvmlGetFunctionPointer(self, name: str) -> str:
        return name


def test_the_drivers_log_alone_gives_the_joules(nvml_library: Path) -> None:
    """Where nothing else answers, the integral of the log is the energy; a step stands where the driver stamped it."""
    only = {"no_counter": "1", "no_fields": "1", "usage_return": "3", "samples_period_us": "20000"}
    energy = sampled(nvml_library, **only, power_mw="100000", step_at_us="12000000", step_mw="500000")["energy"][0]

    assert ("integral", f"nvml:{UUID}:samples") == (energy["method"], energy["channel"])
    assert 3000.0 == pytest.approx(energy["energy_j"], abs=0.02 * 400)


@pytest.mark.parametrize("jump_ns", [-4_000_000_000, 3_600_000_000_000])
def test_a_wall_clock_that_is_set_loses_no_more_than_a_fetch(nvml_library: Path, jump_ns: int) -> None:
    """The driver stamps by the wall clock; when that is set, the joules stay what they are."""
    only = {"no_counter": "1", "no_fields": "1", "usage_return": "3", "samples_period_us": "20000"}
    answer = sampled(nvml_library, **only, wall_jump_ns=jump_ns, samples_jump_us=str(jump_ns // 1000))
    polls = of_channel(answer, "samples")

    assert 3000.0 == pytest.approx(answer["energy"][0]["energy_j"], rel=1e-6)
    assert len(polls["errors"]) <= 25


def test_a_log_that_keeps_another_clock_is_refused(nvml_library: Path) -> None:
    """Stamps an hour off the wall clock cannot be placed, so the log is no channel, and the facts say why."""
    answer = sampled(nvml_library, samples_period_us="20000", samples_shift_us="3600000000")

    assert not any(c["buffered"] for c in answer["channels"])
    assert "3600 s off the wall clock" in str(answer["availability"]["facts"])


def test_a_log_that_starts_to_fail_leaves_failed_polls(nvml_library: Path, tmp_path: Path) -> None:
    """A sample log that errs is logged with the cause; the other views go on."""
    answer = sampled(nvml_library, samples_period_us="20000", samples_return_after_us="12000000")

    assert any("Unknown Error" in cause for cause in of_channel(answer, "samples")["errors"].values())
    assert 3000.0 == pytest.approx(answer["energy"][0]["energy_j"], rel=1e-6)


def test_boards_in_another_order_keep_their_watts(nvml_library: Path) -> None:
    """Index 0 is the other board when the order is reversed; joules follow the UUID, whatever CUDA may show."""
    other = UUID.replace("1", "2")
    settings = {"boards": "2", "board0_power_mw": "300000", "board1_power_mw": "100000"}

    for order in ("0", "1"):
        for uuid, joules in ((UUID, 3000.0), (other, 1000.0)):
            energy = sampled(nvml_library, uuid, visible="1,0", reversed=order, **settings)["energy"]
            assert [(uuid, pytest.approx(joules))] == [(e["covers"], e["energy_j"]) for e in energy]


def test_a_board_of_several_is_refused_only_when_it_is_meant(nvml_library: Path) -> None:
    """MIG on another board does not keep this one from being read."""
    assert "present" == sampled(nvml_library, UUID, boards="2", board1_mig="1")["availability"]["state"]


def test_one_field_that_is_not_available_costs_only_itself(nvml_library: Path) -> None:
    """A board without an average keeps its counter and its instant power."""
    answer = sampled(nvml_library, average_return="3")

    assert ["counter", "instant"] == [c["id"].rsplit(":", 1)[1] for c in answer["channels"]]
    assert 0 == answer["failed"]


def test_a_value_beyond_belief_in_one_view_refuses_the_window(nvml_library: Path) -> None:
    """0xFFFFFFFF mW, which some drivers say for N/A, never becomes joules."""
    energy = sampled(nvml_library, instant_mw=str(0xFFFFFFFF))["energy"][0]

    assert energy["energy_j"] is None
    assert "4.29497e+06 W" in energy["reason"]


def test_slow_calls_are_a_gap_and_stall_nobody(nvml_library: Path) -> None:
    """A driver that takes 5 s to answer is marked silent, stopping takes 2 s at most, and there is no energy."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(nvml_library), "FAKE_NVML_CLOCK_REAL": "1"}
    env |= {"FAKE_NVML_SLOW_US": "5000000", "FAKE_NVML_SLOW_AFTER": "20"}
    done = subprocess.run([sys.executable, "-c", SLOW], env=env, capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)

    assert answer["silent"]
    assert answer["stop_s"] < 3.0
    assert answer["energy_j"] is None
    assert "the window" in answer["reason"]


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


def test_offsets_are_those_of_the_boards_whose_lines_were_published() -> None:
    """Root mean square of -1.18, -22.6, 1.4, -4.2 and 6.3 W; where nobody published lines it is unknown."""
    assert (10.69, 199) == (pytest.approx(accuracy_of("ada").offset_u_w, rel=1e-3), accuracy_of("ada").offset_at_w)
    assert (None, None) == (accuracy_of("hopper").offset_u_w, accuracy_of("kepler").offset_at_w)


def test_the_counter_is_credited_with_no_more_than_the_field_sees() -> None:
    """Whether a counter takes in the unseen time is not published."""
    assert 0.25 == behaviour_of("ga100", "counter").seen_share


def test_the_old_call_is_instant_before_ampere() -> None:
    """On Volta and A100 the power call is the instant field, on later boards the trailing second."""
    assert behaviour_of("volta", "instant") == behaviour_of("volta", "usage")
    assert behaviour_of("hopper", "average") == behaviour_of("hopper", "usage")


@pytest.mark.parametrize(
    ("driver", "field"), [("530.41.03", "instant"), ("525.60", "average"), ("535.104", "average"), (None, "average")]
)
def test_the_old_call_is_instant_with_one_driver_branch(
    driver: str | None, field: Literal["instant", "average"]
) -> None:
    """Branch 530 gives instant power on Ampere and Ada, every other one the trailing second."""
    assert behaviour_of("ada", field) == behaviour_of("ada", "usage", driver)
    assert behaviour_of("turing", "instant") == behaviour_of("turing", "usage", driver)


def test_every_row_of_the_table_names_its_source() -> None:
    """A published figure without its source is none."""
    table = tomllib.loads(TABLE.read_text())
    rows = [*table["behaviour"], *table["usage"], *table["accuracy"], table["architectures"], table["ga100"]]

    assert [] == [row for row in rows if row["source"] not in table["sources"]]
