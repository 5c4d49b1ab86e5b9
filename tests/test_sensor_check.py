"""`bench doctor --power`: every sensor found or why not, its real update period, and its answer to a load."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from command_line import SOON, own_environment, run_here
from records import PLAIN_POWER

from wattbench.harness.cli.doctor_power import power_lines
from wattbench.harness.doctor import SamplerReport
from wattbench.harness.power.observing import observe
from wattbench.harness.power.step_fit import Edge
from wattbench.harness.sensor_check import PowerReport, responses_of
from wattbench.results.availability import Availability
from wattbench.results.energy import Polls

SECOND = 1_000_000_000
PLUGINS = Path(__file__).parent / "plugins_sensors"
TRIES, STEPS_SEEN = 4, 4
"""A probe is made again, some times at most, where a busy machine kept the polls around more of its steps away."""
PROBED = ("doctor", "--power", "averaging", "--probe-load", "--backend", "stamping", "--load", "tiny-decoder/tiny")


class Desk:
    """A folder with data and cache of its own, and `bench` in it, with the test's backend and sensor installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        places = {f"WATTBENCH_{name.upper()}": str(folder / name) for name in ("data", "cache", "stamps")}
        self.environment = own_environment(PYTHONPATH=str(PLUGINS), **places)

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run_here(*arguments, environment=self.environment)

    def trace(self, stated_s: float, real_s: float) -> str:
        """Record a sensor that states one update period and has another."""
        rows = [f"{i * real_s:.3f},{100 + (i * 37) % 11}" for i in range(round(60 / real_s))]
        path = self.folder / "sensor.csv"
        path.write_text("\n".join((f"# update_period_s: {stated_s}", "time_s,power_w", *rows)) + "\n")
        return f"replay:{path}"


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_every_sampler_is_found_or_says_why_not(desk: Desk) -> None:
    """Each sampler has its line, and one that cannot be read its reason and remedy."""
    ended = desk.bench("doctor", "--power", "--seconds", "0.5", "--json")
    report = json.loads(ended.stdout)
    absent = [s for s in report["samplers"] if s["availability"]["state"] != "present"]

    assert 0 == ended.returncode
    assert {"nvml", "rapl", "hwmon", "battery", "replay"} <= {s["name"] for s in report["samplers"]}
    assert all(s["availability"]["reason"] for s in absent)


def test_the_real_update_period_is_seen(desk: Desk) -> None:
    """A recording that states 100 ms and is updated every 200 ms is contradicted by its own polls."""
    ended = desk.bench("doctor", "--power", desk.trace(0.1, 0.2), "--seconds", "5")
    said = re.search(r"! update period (\S+) s, stated is 0\.1 s", ended.stdout)

    assert said, ended.stdout
    assert float(said[1]) == pytest.approx(0.2, abs=0.01)
    assert "not probed" in ended.stdout


def test_a_run_uses_the_period_that_it_saw_and_says_so(desk: Desk) -> None:
    """The observed period comes free with every run, is stored, doubted, and counted with."""
    out = desk.folder / "result.json"
    short = ("--window", "1", "--repeats", "2", "--warm-up-min", "2", "--warm-up-max", "3", "--idle", "0")
    mock = ("--backend", "mock", "--load", "tiny-decoder/tiny", "--ceilings", "none")
    desk.bench("run", *mock, *short, *SOON, "--power", desk.trace(0.1, 0.2), "--out", str(out))
    result = json.loads(out.read_text())

    assert result["power"]["observed"][0]["update_period_s"] == pytest.approx(0.2, abs=0.04)
    assert 0.1 == result["power"]["observed"][0]["stated_update_period_s"]
    assert result["power"]["channels"][0]["update_period_s"] == pytest.approx(0.2, abs=0.04)
    assert "sensor_behaviour" in [doubt["code"] for doubt in result["doubts"]]


def test_a_probe_finds_window_and_lag_and_later_runs_use_them(desk: Desk) -> None:
    """A sensor that states to be instant and averages half a second is found out by steps of a real load."""
    for _ in range(TRIES):
        (seen,) = json.loads(desk.bench(*PROBED, "--json").stdout)["observed"]
        answer = seen["response"]
        if answer and answer["edges"] >= STEPS_SEEN:
            break
    out = desk.folder / "result.json"
    short = ("--window", "1", "--repeats", "2", "--warm-up-max", "0.5", "--idle", "0.3")
    run = ("run", "--backend", "stamping", "--load", "tiny-decoder/tiny", "--ceilings", "none", "--power", "averaging")
    desk.bench(*run, *short, *SOON, "--out", str(out))
    result = json.loads(out.read_text())
    channel = result["power"]["channels"][0]

    assert "linear" == answer["kind"]
    assert answer["edges"] >= STEPS_SEEN
    assert answer["averaging_window_s"] == pytest.approx(0.5, abs=max(0.1, 2 * answer["u_averaging_window_s"]))
    assert answer["lag_s"] == pytest.approx(0.25 + 0.05 + 0.05, abs=max(0.06, 2 * answer["u_lag_s"]))
    assert 2 == len(seen["contradictions"])
    assert (answer["lag_s"], answer["u_lag_s"]) == (channel["lag_s"], channel["lag_u_s"])
    assert answer["averaging_window_s"] == channel["averaging_window_s"]
    assert "sensor_behaviour" in [doubt["code"] for doubt in result["doubts"]]
    assert ["machine", "context", "loaded", "after", "machine_after"] == [idle["state"] for idle in result["idle"]]


def test_a_sensor_that_does_not_see_the_load_is_not_told() -> None:
    """Steps that the sensor does not show give no window and no lag, with the reason."""
    times = tuple(range(0, 24 * SECOND, SECOND // 50))
    watts = tuple(100.0 + (i // 5 * 37) % 11 for i in range(len(times)))  # another value every 100 ms
    polls = Polls(channel=PLAIN_POWER.id, before_ns=times, after_ns=times, value=watts, sensor_ns=None, errors={})
    edges = [Edge(at_ns=3 * i * SECOND, rising=i % 2 == 1, before_s=3.0, after_s=3.0) for i in range(1, 7)]
    found, untold = responses_of([PLAIN_POWER], [polls], edges)
    sampler = SamplerReport(
        name="fake", availability=Availability(state="present", reason="a fake"), channels=(PLAIN_POWER,)
    )
    report = PowerReport(
        samplers=(sampler,),
        observed=(observe(PLAIN_POWER, [polls], None),),
        watched_s=24.0,
        probed=True,
        untold=untold,
    )

    assert {} == found
    assert "  not told by the probe: fake:power: The sensor's answer cannot be told" in "\n".join(power_lines(report))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--seconds", "3"), "Nothing to watch"),
        (("--probe-load",), "Nothing to watch"),
        (("--backend", "mock"), "Nothing to watch"),
        (("--power", "auto", "--seconds", "0"), "--seconds is out of range"),
        (("--power", "none"), "There is nothing to watch"),
        (("--power", "volts"), "Unknown power source"),
        (("--power", "auto", "--probe-load", "--load", "nothing"), "nothing"),
    ],
)
def test_wrong_options_are_refused(desk: Desk, arguments: tuple[str, ...], says: str) -> None:
    """Options that belong to --power, and values out of range, end with code 2."""
    ended = desk.bench("doctor", *arguments)

    assert 2 == ended.returncode
    assert says in ended.stderr
