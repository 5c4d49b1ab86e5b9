"""Failures that power tools in use are known for, each as a case that gives the right joules here.

Every case names the tool, the version that was read or run, and what it gives. Cases of a power curve stand in a table;
what needs counters, requests or missing sensors has a test of its own below it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.contract import ChannelRecord, Reading, Sampler, SamplerOptions
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.ladder import absent_rung, rungs
from wattbench.harness.power.rapl import RaplSampler
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import SensorError
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
RANGE_UJ = 262_143_328_850
WINDOW = Window(start_ns=2 * SECOND, end_ns=12 * SECOND)

TRAILING = "# lag_s: 0.5\n# averaging_window_s: 1.0\n# update_period_s: 0.1\n"


def trailing(load_w: Callable[[float], float]) -> str:
    """Return a recording of what NVML's average field shows of a load: each value the mean of the second before it."""
    steps = [(t / 10, sum(load_w((t - n) / 10 - 0.05) for n in range(10)) / 10) for t in range(160)]
    return TRAILING + "time_s,power_w\n" + "".join(f"{t},{w}\n" for t, w in steps)


def rows(text: str) -> str:
    """Return a recording of a few steps, "time,watts" separated by blanks; each holds until the next."""
    return "time_s,power_w\n" + "\n".join([*text.split(), "20," + text.rsplit(",", 1)[1]]) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A power curve that a tool gets wrong: which tool, how, what it says in joules (as text), and the truth."""

    tool: str
    defect: str
    says: str
    recording: str
    truth_j: float
    within_j: float = 1e-6
    window: Window = WINDOW


CURVES = (
    Curve(
        tool="Zeus 0.16.0 PowerMonitor.get_energy",
        defect="drops equal samples, then integrates what is left: constant power has one sample",
        says="0 J of 3000",
        recording=rows("0,300"),
        truth_j=3000.0,
    ),
    Curve(
        tool="Zeus 0.16.0 PowerMonitor.get_energy",
        defect="draws one line between the two samples that differ",
        says="2700 J of 1400",
        recording=rows("0,100 11,500"),
        truth_j=1400.0,
        within_j=0.05 * 400,  # one poll
    ),
    Curve(
        tool="Zeus 0.16.0 PowerMonitor.get_energy",
        defect="loses both edges of a short window",
        says="-27 % in 0.55 s",
        recording=rows("0,300"),
        truth_j=165.0,
        window=Window(start_ns=2 * SECOND, end_ns=2 * SECOND + 550_000_000),
    ),
    Curve(
        tool="llenergymeasure 0.7.0, energy-bench 0.1.0, green-ai-profiler 0.1.0, TokenPowerBench ec00f52",
        defect="take nvmlDeviceGetPowerUsage, the mean of the trailing second, for the power of this moment",
        says="by that rule 4800 J of 5000",
        recording=trailing(lambda t: 500.0 if t >= 2 else 100.0),
        truth_j=5000.0,
        within_j=0.15 * 400,  # the second's ramp is known by its middle, not undone
    ),
    Curve(
        tool="green-ai-profiler 0.1.0",
        defect="mean power of the samples at start and stop, times the duration",
        says="by that rule 1000 J of 4920",
        recording=rows("0,100 2.1,500 11.9,100"),
        truth_j=4920.0,
        within_j=0.05 * 800,
    ),
    Curve(
        tool="TokenPowerBench ec00f52",
        defect="starts two seconds before the load and cuts a tenth off both ends: idle is in, load is out",
        says="the mean of another span",
        recording=rows("0,1000 1.9,100 12.1,1000"),
        truth_j=1000.0,
    ),
    Curve(
        tool="TokenPowerBench ec00f52",
        defect="mean of readings times the duration, though readings crowd where they come faster",
        says="by that rule about 5000 J of 1400",
        recording=rows("0,100 11,100 " + " ".join(f"{11 + n / 1000},500" for n in range(1000))),
        truth_j=1400.0,
        within_j=0.05 * 400,
    ),
)


class Dial:
    """A clock that stands where it is put."""

    ns = 0

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: object) -> bool:
        """Never used here: the tests poll by hand."""
        return True


def polled(sampler: Sampler, dial: Dial) -> Track:
    """Return the log of 14 s of a sampler, polled every 50 ms."""
    assert sampler.probe().usable
    track = Track(sampler, 20, dial, 0)
    for dial.ns in range(0, 14 * SECOND, SECOND // 20):
        track.poll()
    return track


def replayed(folder: Path, recording: str, window: Window = WINDOW, idle_w: float | None = None) -> ChannelEnergy:
    """Return the energy of a recording's window, polled every 50 ms."""
    path, dial = folder / "trace.csv", Dial()
    path.write_text(recording)
    track = polled(ReplaySampler(SamplerOptions(argument=str(path), covers=None), now_ns=dial.now_ns), dial)
    return channel_energy(track.channels, track.polls(), window, rate_hz=20, idle_power_w=idle_w)


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: f"{c.tool.split(',')[0]}: {c.says}")
def test_a_curve_gives_its_joules(tmp_path: Path, curve: Curve) -> None:
    """Each curve that a tool gets wrong has its true energy here."""
    assert curve.truth_j == pytest.approx(
        replayed(tmp_path, curve.recording, curve.window).energy_j, abs=curve.within_j
    )


class Powercap:
    """A made-up powercap tree whose counters can be set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, Path] = {}
        for folder, name in (
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl:1", "psys"),
        ):
            zone = root / folder
            zone.mkdir()
            (zone / "name").write_text(name)
            (zone / "max_energy_range_uj").write_text(str(RANGE_UJ))
            self.files[name] = zone / "energy_uj"
            self.set(name, 0)

    def set(self, name: str, energy_uj: int) -> None:
        """Set one counter, wrapped into its range."""
        self.files[name].write_text(str(energy_uj % RANGE_UJ))

    def energies(self, watts: dict[str, int], first_uj: int = 0) -> tuple[ChannelEnergy, ...]:
        """Return the energies of 2..12 s while zones draw constant powers, their counters starting at `first_uj`."""
        dial, sampler = Dial(), RaplSampler(SamplerOptions(argument=None, covers=None), root=self.root)
        assert sampler.probe().usable
        track = Track(sampler, 20, dial, 0)
        for dial.ns in range(0, 14 * SECOND, SECOND // 20):
            for name, power_w in watts.items():
                self.set(name, first_uj + power_w * dial.ns // 1000)
            track.poll()
        polls = track.polls()
        return tuple(channel_energy(group, polls, WINDOW, rate_hz=20) for group in groups_of(track.channels))


def test_a_counter_wrap_is_not_negative_energy(tmp_path: Path) -> None:
    """Zeus 0.16.0's wrap tracker polls apart from its reads: -262 093 J instead of +50 J; here it is 50 J."""
    package = Powercap(tmp_path).energies({"package-0": 5}, first_uj=RANGE_UJ - 35_000_000)[0]

    assert 50.0 == pytest.approx(package.energy_j, rel=1e-6)


def test_overlapping_domains_are_not_summed(tmp_path: Path) -> None:
    """TokenPowerBench ec00f52 adds psys, package and core; core is in package, and package in psys."""
    found = rungs(Powercap(tmp_path).energies({"package-0": 100, "core": 80, "dram": 10, "psys": 150}))

    assert {"package+dram:cpu": 1100, "package:cpu": 1000, "psys": 1500} == {
        r.name: round(r.energy_j or 0) for r in found
    }


def test_a_silent_domain_is_not_zero_joules(tmp_path: Path) -> None:
    """TokenPowerBench ec00f52 shipped a result with package-0 = 0.0 W; a counter that stands still is unknown."""
    found = rungs(Powercap(tmp_path).energies({"package-0": 0, "dram": 10}))

    assert [None, None] == [r.energy_j for r in found if r.covers == "cpu"]
    assert all("did not advance" in str(r.reason) for r in found if r.covers == "cpu")


def test_no_sensor_is_not_zero_joules() -> None:
    """Zeus 0.16.0 monitors a machine without sensors as total_energy == 0; ai_energy_benchmarks 0.0.7 returns 0.0."""
    nothing = absent_rung((), "cpu")

    assert nothing.energy_j is None
    assert "no sensor sees cpu" in str(nothing.reason)


class Faulty:
    """A recording whose reads fail for a while."""

    def __init__(self, whole: ReplaySampler, dial: Dial, span_s: tuple[float, float]) -> None:
        self.name, self._whole, self._dial, self._span_s = whole.name, whole, dial, span_s
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Any:  # any: what the recording's probe says
        """Probe the recording."""
        found = self._whole.probe()
        self.channels = self._whole.channels
        return found

    def read(self) -> tuple[Reading, ...]:
        """Read the recording, or fail."""
        if self._span_s[0] <= self._dial.ns / SECOND < self._span_s[1]:
            raise SensorError("Cannot read the board", "it does not answer")
        return self._whole.read()

    def close(self) -> None:
        """Close the recording."""
        self._whole.close()


def test_the_mean_of_the_readings_that_survived_is_no_energy(tmp_path: Path) -> None:
    """TokenPowerBench ec00f52 averages what it could read: 100 W when the 500 W were lost; here that is unknown."""
    (tmp_path / "trace.csv").write_text(rows("0,100 5,500 9,100"))
    dial = Dial()
    whole = ReplaySampler(SamplerOptions(argument=str(tmp_path / "trace.csv"), covers=None), now_ns=dial.now_ns)
    track = polled(Faulty(whole, dial, (5.0, 9.0)), dial)
    found = channel_energy(track.channels, track.polls(), WINDOW, rate_hz=20)

    assert found.energy_j is None
    assert "4.050 s apart" in str(found.reason)


def test_idle_above_the_load_is_not_clamped(tmp_path: Path) -> None:
    """A max(0, raw - idle) as in llenergymeasure 0.7.0 hides drift: 300 W over 310 W of idle are -100 J net."""
    assert -100.0 == pytest.approx(replayed(tmp_path, rows("0,300"), idle_w=310.0).energy_net_j)


def test_joules_are_divided_by_requests_not_by_samples(factories: ModuleType) -> None:
    """TokenPowerBench ec00f52 divides by the number of CPU samples: 66.7 J/response for 800.7 J and 32 responses."""
    repeat = factories.make_repeat(completions=factories.make_completions(60 * SECOND, executions=8, requests=4))
    summary = factories.summarise(
        factories.make_load(),
        (repeat,),
        rung_energies=[[factories.make_rung(800.7)]],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason=None,
    )

    assert 800.7 / 32 == pytest.approx(summary.metric("energy.per_request").value)


def test_each_windows_joules_meet_its_own_requests(factories: ModuleType) -> None:
    """From different passes, as in optimum-benchmark, joules and requests part; here each window has its own ratio."""
    fast, slow = (
        factories.make_repeat(i, completions=factories.make_completions((60 + 12 * i) * SECOND, executions=n))
        for i, n in enumerate((10, 5))
    )
    energies = [[factories.make_rung(3000.0)], [factories.make_rung(2000.0)]]
    summary = factories.summarise(
        factories.make_load(),
        (fast, replace(slow, index=1)),
        rung_energies=energies,
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason=None,
    )

    assert (150.0, 200.0) == tuple(summary.metric("energy.per_request").samples)
