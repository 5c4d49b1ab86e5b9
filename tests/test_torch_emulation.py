"""Which hardware is in the machine, by trees of files of the kernel's shape, and what computes where there is none."""

import platform
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wattbench.backends.torch.emulation import TORCH_TPU, emulation_of
from wattbench.backends.torch.vendors import VENDORS

KINDS = tuple(vendor.kind for vendor in VENDORS if vendor.hardware)


@pytest.fixture(autouse=True)
def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these tests run as on a PC with Linux, wherever they run."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def pci(root: Path, vendor: str, device: str, kind: str) -> Path:
    """Put a device on the bus and return its folder; `kind` is its class number."""
    bus = root / "sys/bus/pci/devices"
    folder = bus / f"0000:{len(list(bus.glob('*'))):02x}:00.0"
    folder.mkdir(parents=True)
    for name, text in (("vendor", vendor), ("device", device), ("class", kind)):
        (folder / name).write_text(f"{text}\n")
    return folder


def driven(root: Path, device: Path, driver: str, node: str) -> None:
    """Bind a device to a driver, which makes a node ("dri/renderD128", "accel/accel0") and its entry in sysfs."""
    folder = root / "sys/bus/pci/drivers" / driver
    folder.mkdir(parents=True, exist_ok=True)
    (device / "driver").symlink_to(folder)
    (root / "dev" / node).parent.mkdir(parents=True, exist_ok=True)
    (root / "dev" / node).touch()
    entry = root / "sys/class" / ("drm" if node.startswith("dri/") else "accel") / Path(node).name
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(device)


def found(root: Path) -> list[str]:
    """Return the kinds whose hardware is in the machine below a root."""
    return [kind for kind in KINDS if emulation_of(kind, root) is None]


@pytest.mark.parametrize(
    ("vendor", "device", "kind", "expected"),
    [
        ("0x1ae0", "0x006f", "0x120000", ["tpu"]),
        ("0x1ae0", "0x0042", "0x020000", []),  # Google's network card
        ("0x1da3", "0x1020", "0x120000", ["hpu"]),  # Gaudi 2
        ("0x1da3", "0x1060", "0x120000", ["hpu"]),  # Gaudi 3
        ("0x1da3", "0x0001", "0x120000", []),  # Goya, for which there is no torch
        ("0x19e5", "0xd802", "0x120000", ["npu"]),  # Ascend 910B
        ("0x19e5", "0xd500", "0x120000", ["npu"]),  # Ascend 310P
        ("0x203f", "0xd802", "0x120000", ["npu"]),  # the same by another vendor's number
        ("0x19e5", "0x0200", "0x020000", []),  # Huawei's network card Hi1822
        ("0x19e5", "0x3714", "0x010802", []),  # Huawei's disk
        ("0x19e5", "0x1711", "0x030000", []),  # the screen of Huawei's management processor
        ("0x19e5", "0xa250", "0x120000", []),  # Kunpeng's engine for zip: an accelerator, but no NPU
        ("0x8086", "0x0b25", "0x088000", []),  # Intel's data streaming accelerator
    ],
)
def test_numbers_on_the_bus(tmp_path: Path, vendor: str, device: str, kind: str, expected: list[str]) -> None:
    """A device counts by its own number; other goods of the same vendor, and of the same class, do not."""
    pci(tmp_path, vendor, device, kind)

    assert expected == found(tmp_path)


@pytest.mark.parametrize(
    ("vendor", "driver", "node", "expected"),
    [
        ("0x8086", "i915", "dri/renderD128", ["xpu"]),
        ("0x8086", "xe", "dri/renderD129", ["xpu"]),
        ("0x8086", "vfio-pci", "dri/renderD128", []),  # handed on to a guest
        ("0x8086", "intel_vpu", "accel/accel0", []),  # the NPU of a Core Ultra
        ("0x1002", "amdgpu", "dri/renderD128", []),
        ("0x10de", "nvidia", "dri/renderD128", []),
        ("0x10de", "nouveau", "dri/renderD128", []),
        ("0x1af4", "virtio-pci", "dri/renderD128", []),
    ],
)
def test_render_nodes(tmp_path: Path, vendor: str, driver: str, node: str, expected: list[str]) -> None:
    """A render node is an Intel GPU only with Intel's number and one of its drivers behind it."""
    driven(tmp_path, pci(tmp_path, vendor, "0x1234", "0x030000"), driver, node)

    assert expected == found(tmp_path)


def test_an_intel_gpu_beside_another_one(tmp_path: Path) -> None:
    """Each node is judged by its own device; a node that a container was not given does not count."""
    driven(tmp_path, pci(tmp_path, "0x10de", "0x2335", "0x030200"), "nvidia", "dri/renderD128")
    driven(tmp_path, pci(tmp_path, "0x8086", "0x56c0", "0x038000"), "xe", "dri/renderD129")
    both = found(tmp_path)
    (tmp_path / "dev/dri/renderD129").unlink()

    assert (["xpu"], []) == (both, found(tmp_path))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("dev/neuron0",), ["neuron"]),
        (("sys/devices/virtual/neuron_device/neuron0",), ["neuron"]),
        (("sys/class/neuron_device/neuron0",), ["neuron"]),
        (("dev/davinci0",), ["npu"]),
        (("dev/davinci_manager",), []),  # the driver without a device
        (("dev/dxg",), []),  # any vendor's GPU under Windows
        (("dev/dxg", "usr/lib/wsl/drivers/nv_dispi.inf_amd64_0a/libcuda.so"), []),
        (("usr/lib/wsl/drivers/iigd_dch.inf_amd64_1b/libwsl_compute_helper.so",), []),
        (("dev/dxg", "usr/lib/wsl/drivers/iigd_dch.inf_amd64_1b/libwsl_compute_helper.so"), ["xpu"]),
        (("dev/accel/accel0", "dev/dri/renderD128", "dev/vfio/12"), []),  # nodes with nothing behind them
    ],
)
def test_nodes_of_drivers(tmp_path: Path, paths: tuple[str, ...], expected: list[str]) -> None:
    """A path counts where only this hardware's driver makes it."""
    for path in paths:
        (tmp_path / path).mkdir(parents=True)

    assert expected == found(tmp_path)


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [("Darwin", "arm64", ["mps"]), ("Darwin", "x86_64", []), ("Linux", "aarch64", [])],
)
def test_apples_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, machine: str, expected: list[str]
) -> None:
    """Apple's GPU is in every Mac with Apple silicon, and nowhere else."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert expected == found(tmp_path)


def test_every_mark_has_its_source() -> None:
    """Who says that the hardware is known by it stands beside each mark."""
    assert [] == [vendor.kind for vendor in VENDORS for mark in vendor.hardware if not mark.source]


def test_what_has_no_mark_is_not_called_emulated(tmp_path: Path) -> None:
    """Where no record says how the hardware is known, nothing is claimed."""
    assert [None, None, None] == [emulation_of(kind, tmp_path) for kind in ("cuda", "mtia", "strange")]


def backend_of(attributes: Any) -> SimpleNamespace:  # any: what a private function may give
    """Return a stand-in for the private module of TorchTPU."""

    def answer() -> Any:  # any: see backend_of
        if isinstance(attributes, Exception):
            raise attributes
        return attributes

    return SimpleNamespace(_get_local_device_attributes=answer)


@pytest.mark.parametrize(
    ("module", "computes"),
    [
        (backend_of({"id": 0, "device_kind": "cpu"}), "XLA:CPU"),
        (backend_of({"device_kind": "NVIDIA H200"}), "XLA:NVIDIA H200"),
        (backend_of({"id": 0}), "an unknown device"),
        (backend_of(None), "an unknown device"),
        (backend_of(RuntimeError("PJRT is not initialised")), "an unknown device"),
        (SimpleNamespace(), "an unknown device"),
        (None, "an unknown device"),
    ],
)
def test_what_an_emulated_tpu_computes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: object, computes: str
) -> None:
    """TorchTPU says it by a private function; without that, or its answer, the device is unknown."""
    monkeypatch.delitem(sys.modules, TORCH_TPU, raising=False)
    if module is not None:
        monkeypatch.setitem(sys.modules, TORCH_TPU, module)

    assert f"{computes}: no Google TPU is in this machine" == emulation_of("tpu", tmp_path)
    assert "an unknown device: no AWS Trainium is in this machine" == emulation_of("neuron", tmp_path)
