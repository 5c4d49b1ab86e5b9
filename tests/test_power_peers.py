"""Failures that power tools in use are known for, each as a case that gives the right joules here."""

from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.ladder import rungs
from wattbench.harness.power.rapl import RaplSampler
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelEnergy
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
RANGE_UJ = 262_143_328_850
WINDOW = Window(start_ns=2 * SECOND, end_ns=12 * SECOND)


class Dial:
    """A clock that stands where it is put."""

    ns = 0

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: object) -> bool:
        """Never used here: the tests poll by hand."""
        return True


def replayed(folder: Path, rows: str) -> ChannelEnergy:
    """Return the energy of 2..12 s of a recording, polled every 50 ms."""
    path = folder / "trace.csv"
    path.write_text(f"time_s,power_w\n{rows}")
    dial = Dial()
    sampler = ReplaySampler(SamplerOptions(argument=str(path), covers=None), now_ns=dial.now_ns)
    assert sampler.probe().usable
    track = Track(sampler, 20, dial, 0)
    for dial.ns in range(0, 14 * SECOND, SECOND // 20):
        track.poll()
    return channel_energy(track.channels, track.polls(), WINDOW, rate_hz=20)


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


def test_constant_power_is_not_zero_joules(tmp_path: Path) -> None:
    """A tool that drops equal samples before integrating gives 0 J for 300 W; here it is 3000 J."""
    assert 3000.0 == replayed(tmp_path, "0,300\n20,300\n").energy_j


def test_a_step_is_not_smeared_by_dropping_samples(tmp_path: Path) -> None:
    """100 W that become 500 W after 9 of 10 s are 1400 J, not a triangle between the two changes."""
    assert 1400.0 == pytest.approx(replayed(tmp_path, "0,100\n11,500\n20,500\n").energy_j, rel=0.01)


def test_a_counter_wrap_is_not_negative_energy(tmp_path: Path) -> None:
    """A tool whose wrap tracker polls apart from its reads gives -262 kJ for 50 J at 5 W; here it is 50 J."""
    package = Powercap(tmp_path).energies({"package-0": 5}, first_uj=RANGE_UJ - 35_000_000)[0]

    assert 50.0 == pytest.approx(package.energy_j, rel=1e-6)


def test_overlapping_domains_are_not_summed(tmp_path: Path) -> None:
    """Core is in package, package is in psys: the CPU's energy is package and DRAM, once."""
    found = rungs(Powercap(tmp_path).energies({"package-0": 100, "core": 80, "dram": 10, "psys": 150}))

    assert {"package+dram:cpu": 1100, "package:cpu": 1000, "psys": 1500} == {
        r.name: round(r.energy_j or 0) for r in found
    }


def test_a_silent_domain_is_not_zero_joules(tmp_path: Path) -> None:
    """A package counter that stands still is unknown, and so is every sum with it."""
    found = rungs(Powercap(tmp_path).energies({"package-0": 0, "dram": 10}))

    assert [None, None] == [r.energy_j for r in found if r.covers == "cpu"]
    assert all("did not advance" in str(r.reason) for r in found if r.covers == "cpu")


def test_samples_before_and_after_the_window_do_not_count(tmp_path: Path) -> None:
    """Energy is bound to its window: 1000 W of loading before it and 1000 W after it are not in its 100 W."""
    found = replayed(tmp_path, "0,1000\n1.9,100\n12.1,1000\n20,1000\n")

    assert 1000.0 == pytest.approx(found.energy_j)


def test_energy_is_not_the_mean_of_readings_times_time(tmp_path: Path) -> None:
    """Readings that crowd in one part of the window weigh by their time, not by their number."""
    rows = "0,100\n11,100\n" + "".join(f"{11 + n / 1000},500\n" for n in range(1000)) + "20,500\n"

    assert 9 * 100 + 1 * 500 == pytest.approx(replayed(tmp_path, rows).energy_j, rel=0.01)
