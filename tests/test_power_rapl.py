"""The RAPL sampler over a made-up powercap tree."""

import os
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.rapl import RaplSampler
from wattbench.harness.power.sysfs import CounterFile
from wattbench.results.errors import SensorError

ANY = SamplerOptions(argument=None, covers=None)
RANGE_UJ = 262_143_328_850


def zone(root: Path, folder: str, name: str, energy_uj: int = 5_000_000) -> Path:
    """Make one zone."""
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a machine with two packages, memory on both, cores, psys, the duplicate zones and one without a name."""
    first = zone(tmp_path, "intel-rapl:0", "package-0")
    (first / "constraint_0_power_limit_uw").write_text("150000000\n")
    (first / "constraint_1_power_limit_uw").write_text("200000000\n")
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "dram")
    zone(tmp_path, "intel-rapl:1", "package-1-die-1")
    zone(tmp_path, "intel-rapl:1:0", "dram")
    zone(tmp_path, "intel-rapl:2", "psys")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    (tmp_path / "intel-rapl").mkdir()
    (tmp_path / "intel-rapl:3").mkdir()
    return tmp_path


def test_zones_become_channels_with_scope_and_device(tree: Path) -> None:
    """Packages, DRAM and psys have their scopes, cores are "other", and the mmio duplicates are left out."""
    sampler = RaplSampler(ANY, root=tree)
    found = sampler.probe()

    assert found.usable
    assert [
        ("rapl:package-0", "package", "cpu:0"),
        ("rapl:package-0/core", "other", "cpu:0"),
        ("rapl:package-0/dram", "dram", "cpu:0"),
        ("rapl:package-1-die-1", "package", "cpu:1:die:1"),
        ("rapl:package-1-die-1/dram", "dram", "cpu:1:die:1"),
        ("rapl:psys", "psys", None),
    ] == [(c.id, c.scope, c.covers) for c in sampler.channels]


def test_range_resolution_and_limit_are_the_kernels(tree: Path) -> None:
    """The counter wraps at the kernel's range, counts in 2^-32 of it, and the larger power limit bounds it."""
    sampler = RaplSampler(ANY, root=tree)
    sampler.probe()
    package = sampler.channels[0]

    assert (262_143.32885, 200.0) == (package.wraps_at_j, package.limit_w)
    assert 61e-6 == pytest.approx(package.resolution, rel=0.01)


def test_reads_are_in_joules(tree: Path) -> None:
    """5 000 000 uJ are 5 J, in every zone."""
    sampler = RaplSampler(ANY, root=tree)
    sampler.probe()

    assert [5.0] * 6 == [r.value for r in sampler.read()]


def test_without_powercap_the_sampler_is_absent(tmp_path: Path) -> None:
    """A virtual machine has no zones; the remedy fits bare metal."""
    found = RaplSampler(ANY, root=tmp_path / "none").probe()

    assert "absent" == found.state
    assert "modprobe" in found.remedy


def test_a_forbidden_zone_names_the_exact_command(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One forbidden package makes the sampler unusable, since a sum without it would be wrong."""
    allowed = os.open

    def guarded(path: Path, flags: int) -> int:
        if path == tree / "intel-rapl:1" / "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path, flags)

    monkeypatch.setattr(os, "open", guarded)
    sampler = RaplSampler(ANY, root=tree)
    found = sampler.probe()

    assert "broken" == found.state
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in found.remedy
    assert "docs/power.md#rapl" in found.remedy
    assert () == sampler.channels


@pytest.mark.parametrize("content", ["", "N/A", "\xff"])
def test_a_zone_that_holds_no_number_is_broken(tree: Path, content: str) -> None:
    """Nonsense is not read as zero."""
    (tree / "intel-rapl:0" / "energy_uj").write_bytes(content.encode("latin-1"))

    assert "broken" == RaplSampler(ANY, root=tree).probe().state


def test_a_zone_that_goes_away_fails_alone(tree: Path) -> None:
    """After the probe a zone that answers no more is one reading with its cause; the others stay."""
    sampler = RaplSampler(ANY, root=tree)
    sampler.probe()
    (tree / "intel-rapl:2" / "energy_uj").write_text("")
    *others, lost = sampler.read()

    assert [5.0] * 5 == [r.value for r in others]
    assert lost.value is None
    assert "no integer" in str(lost.error)


def test_a_device_that_is_gone_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own words are the cause."""
    sampler = RaplSampler(ANY, root=tree)
    sampler.probe()

    def gone(fd: int, size: int, offset: int) -> bytes:
        raise OSError(19, "No such device")

    monkeypatch.setattr(os, "pread", gone)

    assert "No such device" in str(sampler.read()[0].error)


def dual_die(root: Path, *, mirrored: bool) -> None:
    """Make one package of two dies, each with memory, whose counters show one register or two."""
    for die in (0, 1):
        zone(root, f"intel-rapl:{die}", f"package-0-die-{die}", 7_000_000 + (0 if mirrored else die * 999))
        zone(root, f"intel-rapl:{die}:0", "dram", 3_000_000 + (0 if mirrored else die * 999))


def test_dies_with_counters_of_their_own_are_added(tmp_path: Path) -> None:
    """Two dies whose counters differ are two packages of the sum, each with its memory."""
    dual_die(tmp_path, mirrored=False)
    sampler = RaplSampler(ANY, root=tmp_path)
    sampler.probe()

    assert [
        ("package", "cpu:0:die:0"),
        ("dram", "cpu:0:die:0"),
        ("package", "cpu:0:die:1"),
        ("dram", "cpu:0:die:1"),
    ] == [(c.scope, c.covers) for c in sampler.channels]


def test_dies_that_show_one_register_are_not_counted_twice(tmp_path: Path) -> None:
    """Where every die mirrors the package's counter the first is the package, the others are "other" and say why."""
    dual_die(tmp_path, mirrored=True)
    zone(tmp_path, "intel-rapl:2", "package-0-die-2", 7_000_000)
    sampler = RaplSampler(ANY, root=tmp_path)
    found = sampler.probe()

    assert [
        ("package", "cpu:0"),
        ("dram", "cpu:0"),
        ("other", "cpu:0:die:1"),
        ("other", "cpu:0:die:1"),
        ("other", "cpu:0:die:2"),
    ] == [(c.scope, c.covers) for c in sampler.channels]
    assert "shows package-0-die-0's counter again" == found.facts["package-0-die-1"]
    assert "package-0-die-0's counter again" in sampler.channels[4].accuracy_basis


def test_sockets_are_never_taken_for_mirrors(tmp_path: Path) -> None:
    """Two packages whose counters happen to be equal stay two: the defect is one of dies."""
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:1", "package-1")
    sampler = RaplSampler(ANY, root=tmp_path)
    sampler.probe()

    assert ["package", "package"] == [c.scope for c in sampler.channels]


def test_an_amd_processor_has_its_own_range(tmp_path: Path) -> None:
    """Zen counts in 15.3 uJ: its package wraps at 65 532 J, its cores are a part, and it has no memory zone."""
    package = zone(tmp_path, "intel-rapl:0", "package-0")
    (package / "max_energy_range_uj").write_text("65532610987\n")
    zone(tmp_path, "intel-rapl:0:0", "core")
    sampler = RaplSampler(ANY, root=tmp_path)
    sampler.probe()

    assert [("package", 65_532.610987), ("other", RANGE_UJ / 1e6)] == [
        (c.scope, c.wraps_at_j) for c in sampler.channels
    ]
    assert 15.3e-6 == pytest.approx(sampler.channels[0].resolution, rel=0.01)


def test_closing_is_final_and_safe_twice(tree: Path) -> None:
    """A closed sampler reads nothing, a closed file says that it is closed."""
    sampler = RaplSampler(ANY, root=tree)
    sampler.probe()
    sampler.close()
    sampler.close()
    file = CounterFile(tree / "intel-rapl:0" / "energy_uj")
    file.close()
    file.close()

    assert () == sampler.read()
    with pytest.raises(SensorError, match="closed"):
        file.read()


def test_many_looks_are_decoded_at_once(tree: Path) -> None:
    """The counters of several looks are what single readings say; one that failed leaves the telling to those."""
    sampler = RaplSampler(SamplerOptions(argument=None, covers=None), root=tree)
    assert sampler.probe().usable
    looks = [sampler.look() for _ in range(3)]
    block = sampler.block(looks)
    files, words = looks[0]
    failed = (files, [SensorError("gone"), *words[1:]])

    assert block is not None
    assert block.values == {r.channel: [r.value] * 3 for r in sampler.readings(looks[0])}
    assert sampler.block([*looks, failed]) is None
    assert sampler.block([*looks, (files, [b"no number", *words[1:]])]) is None
