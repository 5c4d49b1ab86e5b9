"""The perf sampler: over a made-up sysfs with counters of ours, and over the kernel's real perf events."""

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.sensors import perf_event
from wattbench.harness.power.sensors.perf import PerfSampler
from wattbench.harness.power.sensors.perf_event import EventCounter
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)
SCALE = 2**-32
EVENTS = {"energy-cores": 1, "energy-pkg": 2, "energy-ram": 3, "energy-gpu": 4, "energy-psys": 5}
SOFTWARE, CPU_CLOCK = 1, 0
"""PERF_TYPE_SOFTWARE and PERF_COUNT_SW_CPU_CLOCK: nanoseconds, on any Linux."""


def power_unit(
    root: Path,
    *,
    events: dict[str, int] = EVENTS,
    cpumask: str = "0",
    kind: int = 9,
    scale: str = "2.3283064365386962890625e-10",
    unit: str = "Joules",
) -> Path:
    """Make the kernel's power unit as it shows it."""
    folder = root / "bus/event_source/devices/power"
    (folder / "events").mkdir(parents=True)
    (folder / "type").write_text(f"{kind}\n")
    (folder / "cpumask").write_text(f"{cpumask}\n")
    for name, code in events.items():
        (folder / "events" / name).write_text(f"event=0x{code:02x}\n")
        (folder / "events" / f"{name}.scale").write_text(f"{scale}\n")
        (folder / "events" / f"{name}.unit").write_text(f"{unit}\n")
    return root


def topology(root: Path, places: dict[int, tuple[int, int]]) -> Path:
    """Make the CPUs' packages and dies."""
    for cpu, (package, die) in places.items():
        folder = root / f"devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "die_id").write_text(f"{die}\n")
    return root


class FakeCounter:
    """An event whose count grows with every read, or stands still."""

    opened: list["FakeCounter"]

    def __init__(self, config: int, cpu: int, step: int) -> None:
        self.config, self.cpu, self.step = config, cpu, step
        self.count = 0
        self.closed = False
        self.fault: SensorError | None = None

    def read(self) -> int:
        """Return the next count."""
        if self.fault is not None:
            raise self.fault
        self.count += self.step
        return self.count

    def close(self) -> None:
        """Note the closing."""
        self.closed = True


def opener(opened: list[FakeCounter], still: set[tuple[int, int]] | None = None) -> Callable[..., FakeCounter]:
    """Return what opens counters that step by 1 J, those in `still` (config, CPU) excepted."""

    def open_event(kind: int, config: int, cpu: int) -> FakeCounter:
        opened.append(FakeCounter(config, cpu, 0 if still and (config, cpu) in still else 2**32))
        return opened[-1]

    return open_event


def sampler_over(root: Path, opened: list[FakeCounter], still: set[tuple[int, int]] | None = None) -> PerfSampler:
    """Return a sampler that waits for nothing."""
    return PerfSampler(ANY, root=root, open_event=opener(opened, still), sleep=lambda seconds: None)


def test_domains_become_channels_with_scope_and_package(tmp_path: Path) -> None:
    """Packages, DRAM and psys have scopes; cores and graphics, and psys of further packages, are "other"."""
    topology(power_unit(tmp_path, cpumask="0,28"), {0: (0, 0), 28: (1, 0)})
    sampler = sampler_over(tmp_path, [])
    found = sampler.probe()

    assert found.usable
    assert [
        ("perf:package-0/cores", "other", "cpu:0"),
        ("perf:package-0/gpu", "other", "cpu:0"),
        ("perf:package-0", "package", "cpu:0"),
        ("perf:psys", "psys", None),
        ("perf:package-0/ram", "dram", "cpu:0"),
        ("perf:package-1/cores", "other", "cpu:1"),
        ("perf:package-1/gpu", "other", "cpu:1"),
        ("perf:package-1", "package", "cpu:1"),
        ("perf:package-1/psys", "other", "cpu:1"),
        ("perf:package-1/ram", "dram", "cpu:1"),
    ] == [(c.id, c.scope, c.covers) for c in sampler.channels]


def test_dies_of_one_package_are_told_apart(tmp_path: Path) -> None:
    """Where the unit names two CPUs of one package, each stands for its die, as in powercap."""
    topology(power_unit(tmp_path, events={"energy-pkg": 2}, cpumask="0-1"), {0: (0, 0), 1: (0, 1)})
    sampler = sampler_over(tmp_path, [])
    sampler.probe()

    assert [("perf:package-0-die-0", "cpu:0:die:0"), ("perf:package-0-die-1", "cpu:0:die:1")] == [
        (c.id, c.covers) for c in sampler.channels
    ]


class Register:
    """What several counters may count: it moves at every read of any of them."""

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.steps, self.reads, self.value = steps, 0, 0

    def read(self) -> int:
        """Return the next value."""
        self.value += self.steps[self.reads % len(self.steps)]
        self.reads += 1
        return self.value


class DieCounter:
    """A perf event over a register, counted from its opening on."""

    def __init__(self, register: Register) -> None:
        self.register = register
        self.start = register.read()

    def read(self) -> int:
        """Return the count since the opening."""
        return self.register.read() - self.start

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("shared", "channels"),
    [
        (True, [("package", "cpu:0"), ("dram", "cpu:0"), ("other", "cpu:0:die:1"), ("other", "cpu:0:die:1")]),
        (
            False,
            [("package", "cpu:0:die:0"), ("dram", "cpu:0:die:0"), ("package", "cpu:0:die:1"), ("dram", "cpu:0:die:1")],
        ),
    ],
)
def test_dies_that_count_one_register_are_not_added(
    tmp_path: Path, shared: bool, channels: list[tuple[str, str]]
) -> None:
    """Counters of one register keep their distance: the first is the package. Those of their own drift apart."""
    events = {"energy-pkg": 2, "energy-ram": 3}
    topology(power_unit(tmp_path, events=events, cpumask="0-1"), {0: (0, 0), 1: (0, 1)})
    registers: dict[tuple[int, int], Register] = {}

    def open_event(kind: int, config: int, cpu: int) -> DieCounter:
        steps = (1000, 1003) if cpu == 0 or shared else (1700, 1100)
        return DieCounter(registers.setdefault((config, 0 if shared else cpu), Register(steps)))

    sampler = PerfSampler(ANY, root=tmp_path, open_event=open_event, sleep=lambda seconds: None)
    sampler.probe()

    assert channels == [(c.scope, c.covers) for c in sampler.channels]
    assert shared == ("shows perf:package-0-die-0's counter again" in sampler.channels[2].accuracy_basis)


def test_counts_become_joules_by_the_kernels_scale(tmp_path: Path) -> None:
    """The scale file gives the joules of one count, which is the resolution too; 64 bits do not wrap."""
    topology(power_unit(tmp_path, events={"energy-pkg": 2}), {0: (0, 0)})
    opened: list[FakeCounter] = []
    sampler = sampler_over(tmp_path, opened)
    sampler.probe()
    first = sampler.read()[0].value
    second = sampler.read()[0].value

    assert (2, 0) == (opened[0].config, opened[0].cpu)
    assert second is not None
    assert first is not None
    assert 1.0 == pytest.approx(second - first)
    assert (pytest.approx(SCALE), None) == (sampler.channels[0].resolution, sampler.channels[0].wraps_at_j)


def test_counters_that_all_stand_still_are_no_sensor(tmp_path: Path) -> None:
    """Virtual machines show events that never count: zero joules are not measured."""
    topology(power_unit(tmp_path, events={"energy-psys": 5}), {0: (0, 0)})
    opened: list[FakeCounter] = []
    sampler = sampler_over(tmp_path, opened, still={(5, 0)})
    found = sampler.probe()

    assert "absent" == found.state
    assert "stand still (perf:psys)" in found.reason
    assert opened[0].closed
    assert () == sampler.channels


def test_a_package_that_stands_still_stays_and_another_domain_does_not(tmp_path: Path) -> None:
    """A sum over packages must show that one is missing; a domain that this processor does not count is left out."""
    topology(power_unit(tmp_path, events={"energy-pkg": 2, "energy-psys": 5}, cpumask="0,1"), {0: (0, 0), 1: (1, 0)})
    sampler = sampler_over(tmp_path, [], still={(2, 1), (5, 0), (5, 1)})
    found = sampler.probe()

    assert ["perf:package-0", "perf:package-1"] == [c.id for c in sampler.channels]
    assert {"perf:package-1", "perf:package-1/psys", "perf:psys"} == set(found.facts)


def test_without_the_unit_it_is_absent(tmp_path: Path) -> None:
    """Another processor has none; the remedy fits bare metal."""
    found = PerfSampler(ANY, root=tmp_path).probe()

    assert ("absent", True) == (found.state, "modprobe rapl" in found.remedy)


@pytest.mark.parametrize(
    "wrong", [{"unit": "Watts"}, {"scale": "nan"}, {"scale": "0"}, {"scale": "much"}, {"cpumask": "none"}]
)
def test_files_of_another_form_are_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    """Another unit, a scale that is no positive number or no list of CPUs: no joules are made of it."""
    topology(power_unit(tmp_path, **wrong), {0: (0, 0)})  # type: ignore[arg-type]  # texts all
    found = sampler_over(tmp_path, []).probe()

    assert "broken" == found.state


def test_missing_permission_names_the_command(tmp_path: Path) -> None:
    """The kernel's refusal becomes the sysctl, and nothing stays open."""
    topology(power_unit(tmp_path), {0: (0, 0)})
    opened: list[FakeCounter] = []

    def forbidden(kind: int, config: int, cpu: int) -> FakeCounter:
        if opened:
            raise SensorError("Cannot open it", "Operation not permitted") from PermissionError(1, "no")
        return opener(opened)(kind, config, cpu)

    found = PerfSampler(ANY, root=tmp_path, open_event=forbidden).probe()

    assert "broken" == found.state
    assert "kernel.perf_event_paranoid=0" in found.remedy
    assert "docs/power.md#perf" in found.remedy
    assert opened[0].closed


def test_an_event_that_goes_away_fails_alone(tmp_path: Path) -> None:
    """After the probe a counter that fails is one reading with its cause."""
    topology(power_unit(tmp_path, events={"energy-pkg": 2, "energy-ram": 3}), {0: (0, 0)})
    opened: list[FakeCounter] = []
    sampler = sampler_over(tmp_path, opened)
    sampler.probe()
    opened[1].fault = SensorError("Cannot read it", "No such device")
    package, memory = sampler.read()

    assert package.value is not None
    assert (None, "Cannot read it: No such device") == (memory.value, memory.error)


def test_the_kernels_own_counters_are_read(tmp_path: Path) -> None:
    """Through the real system call: a clock event scaled to 1e-9 counts about one "joule" a second on its CPU."""
    needs_events()
    unit = power_unit(tmp_path, events={"energy-pkg": CPU_CLOCK}, kind=SOFTWARE, scale="1e-9")
    sampler = PerfSampler(ANY, root=topology(unit, {0: (0, 0)}))
    found = sampler.probe()
    before_ns, first, after_ns = time.perf_counter_ns(), sampler.read()[0].value, time.perf_counter_ns()
    while time.perf_counter_ns() - after_ns < 50_000_000:
        pass
    again_ns, last, end_ns = time.perf_counter_ns(), sampler.read()[0].value, time.perf_counter_ns()
    sampler.close()

    assert found.usable
    assert first is not None
    assert last is not None
    assert 0.99 * (again_ns - after_ns) / 1e9 <= last - first <= 1.01 * (end_ns - before_ns) / 1e9


def test_the_real_sampler_keeps_the_contract(tmp_path: Path) -> None:
    """Over a real event the sampler passes the checks that are everybody's."""
    needs_events()
    unit = power_unit(tmp_path, events={"energy-pkg": CPU_CLOCK}, kind=SOFTWARE, scale="1e-9")
    topology(unit, {0: (0, 0)})

    assert check_sampler(lambda: PerfSampler(ANY, root=tmp_path))


def test_the_machines_own_unit_gives_an_answer() -> None:
    """On any machine the probe ends with a reason: counters that count, or why there are none."""
    sampler = PerfSampler(ANY)
    found = sampler.probe()
    values = [r.value for r in sampler.read()]
    sampler.close()

    assert found.reason
    assert found.usable == bool(values)


def test_an_unknown_event_says_so_in_the_systems_words() -> None:
    """The kernel's error is the cause, with its number."""
    needs_events()
    with pytest.raises(SensorError, match="type 999999 on CPU 0") as caught:
        EventCounter(999_999, 0, 0)

    assert isinstance(caught.value.__cause__, OSError)
    assert errno.ENOENT == caught.value.__cause__.errno


def test_a_closed_event_is_not_read() -> None:
    """Closing twice is safe, reading afterwards is an error."""
    needs_events()
    counter = EventCounter(SOFTWARE, CPU_CLOCK, 0)
    counter.close()
    counter.close()

    with pytest.raises(SensorError, match="closed"):
        counter.read()


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"", "CPU may be offline"), ((1).to_bytes(8, "little") * 2 + bytes(8), "counted 0 of 1 ns only")],
)
def test_a_count_that_is_not_whole_is_refused(monkeypatch: pytest.MonkeyPatch, answer: bytes, words: str) -> None:
    """No bytes, or an event that ran part of the time, give no number."""
    needs_events()
    counter = EventCounter(SOFTWARE, CPU_CLOCK, 0)
    monkeypatch.setattr(os, "read", lambda fd, size: answer)

    with pytest.raises(SensorError) as caught:
        counter.read()
    counter.close()

    assert words in f"{caught.value.what}: {caught.value.why}"


def test_an_event_that_is_gone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own words are the cause."""
    needs_events()
    counter = EventCounter(SOFTWARE, CPU_CLOCK, 0)

    def gone(fd: int, size: int) -> bytes:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(os, "read", gone)

    with pytest.raises(SensorError, match="No such device"):
        counter.read()
    counter.close()


def test_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system call's number is not known nothing is called."""
    monkeypatch.setattr(perf_event.platform, "machine", lambda: "pdp11")

    with pytest.raises(SensorError, match="pdp11"):
        EventCounter(SOFTWARE, CPU_CLOCK, 0)


def test_a_forbidden_event_is_a_permission_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's EACCES is known as what it is, whatever the caller does with it."""

    class Library:
        """A C library whose system call is refused."""

        def __init__(self, name: None, *, use_errno: bool) -> None:
            self.use_errno = use_errno

        @staticmethod
        def syscall(*arguments: object) -> int:
            """Refuse."""
            ctypes.set_errno(errno.EACCES)
            return -1

    monkeypatch.setattr(perf_event.ctypes, "CDLL", Library)
    monkeypatch.setattr(perf_event.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(perf_event.platform, "system", lambda: "Linux")

    with pytest.raises(SensorError, match="Permission denied") as caught:
        EventCounter(SOFTWARE, CPU_CLOCK, 0)

    assert isinstance(caught.value.__cause__, PermissionError)


def needs_events() -> None:
    """Skip where the kernel lets nobody count, as some containers do."""
    try:
        EventCounter(SOFTWARE, CPU_CLOCK, 0).close()
    except SensorError as exc:
        pytest.skip(f"needs perf events on a whole CPU: {exc.why}")
