"""Sensors that go wrong during a run: each ends as a reason without a figure, or leaves the right figure standing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wattbench.harness.power.contract import Sampler, SamplerOptions
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.hwmon import HwmonSampler
from wattbench.harness.power.rapl import RaplSampler
from wattbench.harness.power.sensors.jetson import JetsonSampler
from wattbench.harness.power.sensors.neuron import NeuronSampler
from wattbench.harness.power.sensors.perf import PerfSampler
from wattbench.harness.power.series import is_absurd, settle_s
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelEnergy
from wattbench.results.measurement import Window

ANY = SamplerOptions(argument=None, covers=None)
SECOND = 1_000_000_000
WINDOW = Window(start_ns=2 * SECOND, end_ns=12 * SECOND)
FAULT_S = 6.0
"""The fault comes in the middle of the window."""

WATTS = 100


class Dial:
    """A clock that stands where it is put."""

    ns = 0

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: object) -> bool:
        """Never used here: the tests poll by hand."""
        return True


def energies(
    sampler: Sampler, at: Callable[[float], None], window: Window = WINDOW, rate_hz: int = 20
) -> dict[str, ChannelEnergy]:
    """Return the energies of a window by channel, while `at` sets the sensors before every poll (time in s)."""
    at(0.0)
    found = sampler.probe()
    assert found.usable, found.reason
    dial = Dial()
    track = Track(sampler, rate_hz, dial, 0)
    last_ns = window.end_ns + int(max(2.0, settle_s(track.channels, rate_hz)) * SECOND)
    for dial.ns in range(0, last_ns, SECOND // rate_hz):
        at(dial.ns / SECOND)
        track.poll()
    sampler.close()
    polls = track.polls()
    groups = [channel_energy(group, polls, window, rate_hz=rate_hz) for group in groups_of(track.channels)]
    return {energy.channel: energy for energy in groups}


class AmdCard:
    """A card of the driver amdgpu, with power and a counter that can be set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "hwmon0"
        self.folder.mkdir()
        (root / "0000:03:00.0").mkdir()
        (self.folder / "device").symlink_to(root / "0000:03:00.0")
        self.set("name", "amdgpu")
        self.set("power1_cap", 300_000_000)

    def set(self, file: str, value: object) -> None:
        """Set one file."""
        (self.folder / file).write_text(f"{value}\n")

    def run(self, time_s: float, power: object = WATTS * 1_000_000, energy_uj: object = None) -> None:
        """Draw 100 W, or show what is given instead."""
        self.set("power1_average", power)
        self.set("energy1_input", int(WATTS * time_s * 1e6) + 5_000_000 if energy_uj is None else energy_uj)

    def energy(self, at: Callable[[float], None]) -> ChannelEnergy:
        """Return the card's energy over the window."""
        (found,) = energies(HwmonSampler(ANY, root=self.root), at).values()
        return found


@pytest.fixture
def card(tmp_path: Path) -> AmdCard:
    """Make the card."""
    return AmdCard(tmp_path)


def test_a_sound_sensor_gives_the_joules(card: AmdCard) -> None:
    """100 W over 10 s are 1000 J by counter and by integral."""
    found = card.energy(card.run)

    assert (1000.0, 1000.0) == (pytest.approx(found.counter_j), pytest.approx(found.integral_j))


@pytest.mark.parametrize("power", [-100_000_000, 3_100_000_000])
def test_power_that_cannot_be_true_refuses_the_window(card: AmdCard, power: int) -> None:
    """A negative power, or one of over ten times the cap, once in a window: no figure, and the reason says so."""
    found = card.energy(lambda t: card.run(t, power=power if t == FAULT_S else WATTS * 1_000_000))

    assert found.energy_j is None
    assert is_absurd(str(found.reason))


@pytest.mark.parametrize("text", ["N/A", "nan", "", "1e8", "0x10"])
def test_text_that_is_no_number_is_a_failed_read(card: AmdCard, text: str) -> None:
    """From the middle on the power says N/A: its integral has a gap, and the counter alone gives the energy."""
    found = card.energy(lambda t: card.run(t, power=text if t >= FAULT_S else WATTS * 1_000_000))

    assert (1000.0, None, "counter") == (pytest.approx(found.energy_j), found.integral_j, found.method)
    assert any("power1_average" in note for note in found.notes)


def test_a_counter_that_stands_still_is_not_zero_joules(card: AmdCard) -> None:
    """A frozen counter is noted; the integral gives the energy."""
    found = card.energy(lambda t: card.run(t, energy_uj=7_000_000))

    assert (None, 1000.0) == (found.counter_j, pytest.approx(found.integral_j))
    assert any("did not advance" in note for note in found.notes)


def test_a_counter_that_freezes_within_the_window_is_refused(card: AmdCard) -> None:
    """A counter that stops in the middle has no tick beyond the window's end; the integral stands."""
    found = card.energy(lambda t: card.run(t, energy_uj=int(WATTS * min(t, FAULT_S) * 1e6)))

    assert (None, 1000.0, "integral") == (found.counter_j, pytest.approx(found.energy_j), found.method)


def test_a_counter_that_is_reset_is_refused(card: AmdCard) -> None:
    """A reloaded driver starts again at nought: no negative and no wrapped joules."""
    start_j = 900.0
    found = card.energy(lambda t: card.run(t, energy_uj=int((start_j * (t < FAULT_S) + WATTS * t) * 1e6)))

    assert (None, "integral") == (found.counter_j, found.method)
    assert any("went backwards" in note for note in found.notes)


def test_a_counter_that_jumps_is_refused(card: AmdCard) -> None:
    """Joules beyond ten times the cap cannot have been drawn."""
    found = card.energy(lambda t: card.run(t, energy_uj=int((WATTS * t + 9_000 * (t >= FAULT_S)) * 1e6)))

    assert found.counter_j is None
    assert any("jumped" in note for note in found.notes)


def test_a_card_that_vanishes_has_no_energy(card: AmdCard) -> None:
    """When its files are gone from the middle on, neither method gives a figure."""

    def at(time_s: float) -> None:
        if time_s < FAULT_S:
            card.run(time_s)
        for name in ("power1_average", "energy1_input"):
            if time_s >= FAULT_S:
                (card.folder / name).unlink(missing_ok=True)

    found = card.energy(at)

    assert (None, None, None) == (found.energy_j, found.counter_j, found.integral_j)
    assert found.reason


def test_a_package_counter_wraps_without_loss(tmp_path: Path) -> None:
    """AMD's counter of 65 532 J wraps in the window: the joules are those drawn."""
    range_uj, zone = 65_532_610_987, tmp_path / "intel-rapl:0"
    zone.mkdir()
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text(f"{range_uj}\n")

    def at(time_s: float) -> None:
        (zone / "energy_uj").write_text(f"{(range_uj - 300_000_000 + int(WATTS * time_s * 1e6)) % range_uj}\n")

    (found,) = energies(RaplSampler(ANY, root=tmp_path), at).values()

    assert 1000.0 == pytest.approx(found.energy_j)


def test_a_jetson_rail_that_fails_takes_the_modules_sum_with_it(tmp_path: Path) -> None:
    """One rail lost in the middle leaves the module without a figure: the rest is not the module."""
    folder = tmp_path / "ina3221/1-0040/hwmon/hwmon0"
    folder.mkdir(parents=True)
    for number, label in enumerate(("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"), 1):
        (folder / f"in{number}_label").write_text(label)
        (folder / f"in{number}_input").write_text("5000")
        (folder / f"curr{number}_input").write_text("2000")

    def at(time_s: float) -> None:
        (folder / "curr2_input").write_text("2000" if time_s < FAULT_S else "N/A")

    found = energies(JetsonSampler(ANY, root=tmp_path), at)

    assert (None, 100.0) == (found["jetson:module"].energy_j, pytest.approx(found["jetson:VDD_GPU_SOC"].energy_j))


def test_a_negative_rail_is_refused(tmp_path: Path) -> None:
    """A rail that shows a current backwards is no power drawn."""
    folder = tmp_path / "ina3221/1-0040/hwmon/hwmon0"
    folder.mkdir(parents=True)
    (folder / "in1_label").write_text("VDD_IN")
    (folder / "in1_input").write_text("5000")

    def at(time_s: float) -> None:
        (folder / "curr1_input").write_text("-8" if time_s == FAULT_S else "2000")

    (found,) = energies(JetsonSampler(ANY, root=tmp_path), at).values()

    assert found.energy_j is None
    assert is_absurd(str(found.reason))


class SteadyCounter:
    """A perf event that counts 2^32 a joule at 100 W, until it freezes."""

    time_s, freezes_s = 0.0, float("inf")

    def read(self) -> int:
        """Return the count of this moment."""
        type(self).time_s += 1e-6  # so that it lives while the probe looks at it
        return int(WATTS * min(self.time_s, self.freezes_s) * 2**32)

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("freezes_s", "energy_j"), [(float("inf"), 1000.0), (FAULT_S, None)])
def test_a_perf_event_that_freezes_has_no_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freezes_s: float, energy_j: float | None
) -> None:
    """A package's event that counts gives the joules; one that stops in the middle gives none."""
    for file, text in (
        ("bus/event_source/devices/power/type", "9"),
        ("bus/event_source/devices/power/cpumask", "0"),
        ("bus/event_source/devices/power/events/energy-pkg", "event=0x02"),
        ("bus/event_source/devices/power/events/energy-pkg.scale", "2.3283064365386962890625e-10"),
        ("bus/event_source/devices/power/events/energy-pkg.unit", "Joules"),
        ("devices/system/cpu/cpu0/topology/physical_package_id", "0"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"{text}\n")
    monkeypatch.setattr(SteadyCounter, "freezes_s", freezes_s)
    sampler = PerfSampler(ANY, root=tmp_path, open_event=lambda *event: SteadyCounter(), sleep=lambda seconds: None)

    def at(time_s: float) -> None:
        monkeypatch.setattr(SteadyCounter, "time_s", time_s)

    (found,) = energies(sampler, at).values()

    assert (None if energy_j is None else pytest.approx(energy_j, rel=1e-4)) == found.energy_j


@pytest.mark.parametrize(("window_s", "energy_j"), [(60, None), (240, 240 * 50.0)])
def test_a_figure_a_minute_tells_nothing_of_one_minute(tmp_path: Path, window_s: int, energy_j: float | None) -> None:
    """A Neuron device at 50 % of 100 W: four minutes have joules, one minute is refused as too short."""
    file = tmp_path / "devices/virtual/neuron_device/neuron0/stats/power/utilization"
    file.parent.mkdir(parents=True)
    now = {"s": 0.0}

    def at(time_s: float) -> None:
        now["s"] = time_s
        file.write_text(f"POWER_STATUS_VALID,{int(time_s // 60 * 60)},10.00,90.00,50.00\n")

    options = SamplerOptions(argument="100", covers=None)
    sampler = NeuronSampler(options, root=tmp_path, now_s=lambda: now["s"])
    window = Window(start_ns=120 * SECOND, end_ns=(120 + window_s) * SECOND)
    found = energies(sampler, at, window, rate_hz=1)["neuron:neuron0"]

    assert energy_j == found.energy_j
    assert "declared" == found.provenance
    assert found.reason is None or "too short" in found.reason
