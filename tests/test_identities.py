"""What the devices of a machine call themselves, read from made-up files of the kernel."""

import sys
from pathlib import Path

import pytest

from wattbench.harness import identities as module
from wattbench.harness.identities import identities, jax_kind, pci_identities
from wattbench.results.vendor.match import Identity


def write(path: Path, text: str) -> None:
    """Write a file of the kernel below a made-up root."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def pci(root: Path, slot: str, vendor: str, device: str, kind: str) -> None:
    """Add one PCI device to a made-up root."""
    folder = root / "sys/bus/pci/devices" / slot
    for name, text in (("vendor", vendor), ("device", device), ("class", kind)):
        write(folder / name, f"{text}\n")


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the drivers and JAX of the machine out of these tests."""
    monkeypatch.setattr(module, "collect_accelerators", lambda _root: ())
    monkeypatch.setattr(module, "find_spec", lambda _name: None)


def test_accelerators_of_the_pci_bus(tmp_path: Path) -> None:
    """Graphics cards and processing accelerators are named by their ids, each once; a network card is not."""
    pci(tmp_path, "0000:01:00.0", "0x10de", "0x2330", "0x030200")
    pci(tmp_path, "0000:02:00.0", "0x10DE", "0x2330", "0x030200")
    pci(tmp_path, "0000:03:00.0", "0x1da3", "0x1060", "0x120000")
    pci(tmp_path, "0000:04:00.0", "0x15b3", "0x1017", "0x020000")

    assert ["10de:2330", "1da3:1060"] == [identity.value for identity in pci_identities(tmp_path)]


def test_a_machine_without_a_pci_bus(tmp_path: Path) -> None:
    """Without the kernel's list there is nothing to name."""
    assert () == pci_identities(tmp_path)


def test_the_processors_model(tmp_path: Path) -> None:
    """The processor is named as the kernel does."""
    write(tmp_path / "proc/cpuinfo", "model name\t: AMD EPYC 9654 96-Core Processor\n")
    found = identities(tmp_path)

    assert Identity(kind="cpu", value="AMD EPYC 9654 96-Core Processor", origin="the processor's name") in found


def test_apples_chip_is_a_kind_of_its_own(tmp_path: Path) -> None:
    """Apple names the whole chip where others name a processor."""
    write(tmp_path / "proc/cpuinfo", "model name\t: Apple M2 Ultra\n")

    assert ("apple", "Apple M2 Ultra") in [(identity.kind, identity.value) for identity in identities(tmp_path)]


def test_the_family_of_an_aws_instance(tmp_path: Path) -> None:
    """Neuron devices are told by the instance that the firmware names."""
    write(tmp_path / "sys/class/dmi/id/sys_vendor", "Amazon EC2\n")
    write(tmp_path / "sys/class/dmi/id/product_name", "inf2.48xlarge\n")

    assert ("neuron", "inf2") in [(identity.kind, identity.value) for identity in identities(tmp_path)]


def test_jax_is_asked_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What the child prints last is the kind; a child that fails, or is not there, is no answer."""
    talks, fails = tmp_path / "talks", tmp_path / "fails"
    for path, lines in ((talks, "echo 'libtpu not found.'; echo 'TPU v5 lite'"), (fails, "echo no >&2; exit 1")):
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    assert "TPU v5 lite" == jax_kind(str(talks))
    assert None is jax_kind(str(fails))
    assert None is jax_kind(str(tmp_path / "missing"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own files")
def test_this_machine_has_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real machine at least its processor has a name."""
    monkeypatch.undo()

    assert {"cpu", "apple"} & {identity.kind for identity in identities()}
