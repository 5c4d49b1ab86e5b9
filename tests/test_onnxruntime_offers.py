"""Devices by name, from what ONNX Runtime lists and was built with."""

from dataclasses import replace
from pathlib import Path

import pytest

from wattbench.backends.onnxruntime.listing import EpDevice, Listing
from wattbench.backends.onnxruntime.offers import missing, offers
from wattbench.backends.onnxruntime.providers import PROVIDERS

CPU_DEVICE = EpDevice(provider="CPUExecutionProvider", unit="cpu", vendor="Intel", module=None, metadata={})


def plugged(provider: str, unit: str, module: str = "onnxruntime_ep_x", **metadata: str) -> EpDevice:
    """Return a device that a plug-in lists."""
    return EpDevice(provider=provider, unit=unit, vendor="Someone", module=module, metadata=metadata)


def listing(*devices: EpDevice, built_in: tuple[str, ...] = ()) -> Listing:
    """Return a listing with the CPU and these."""
    return Listing(version="1", proves=True, built_in=built_in, devices=(CPU_DEVICE, *devices), refused={})


def names(found: Listing, root: Path = Path("/nowhere")) -> list[str]:
    """Return the device names of a listing."""
    return [offer.info.name for offer in offers(found, root)]


def nvidia(root: Path, *boards: str) -> Path:
    """Make the driver's files of NVIDIA boards, as Linux shows them."""
    (root / "dev").mkdir()
    (root / "dev/nvidiactl").touch()
    for number, uuid in enumerate(boards):
        (root / f"dev/nvidia{number}").touch()
        folder = root / f"proc/driver/nvidia/gpus/0000:0{number}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t NVIDIA X\nIRQ:   \t\t 4\nGPU UUID: \t {uuid}\n")
    return root


def test_the_cpu_covers_the_cpus_power() -> None:
    """The CPU provider computes float32, int8 and int4, and draws the CPU's power."""
    (cpu,) = offers(listing())

    assert ("cpu", "cpu", ("float32", "int8", "int4")) == (cpu.info.name, cpu.info.power_covers, cpu.info.precisions)
    assert cpu.info.memory_bytes


def test_accelerators_come_first_and_other_ways_to_the_cpu_last() -> None:
    """The first device is the default one: an accelerator, else the plain CPU."""
    found = listing(
        plugged("OpenVINOExecutionProvider", "cpu", ov_device="CPU"),
        plugged("OpenVINOExecutionProvider", "gpu", ov_device="GPU"),
        plugged("ggml", "cpu"),
        plugged("CUDAExecutionProvider", "gpu"),
    )

    assert ["cuda:0", "openvino:gpu", "cpu", "openvino:cpu", "ggml:cpu"] == names(found)


def test_openvinos_auto_device_has_no_name() -> None:
    """AUTO is whichever device OpenVINO likes: nothing that a result could name."""
    found = listing(
        plugged("OpenVINOExecutionProvider", "gpu", ov_device="GPU.1"),
        plugged("OpenVINOExecutionProvider.AUTO", "cpu", ov_device="CPU", ov_meta_device="AUTO"),
    )

    assert ["openvino:gpu.1", "cpu"] == names(found)


@pytest.mark.parametrize(
    ("said", "precisions"),
    [
        ("BF16 WINOGRAD FP32 INT8 BIN", ("bfloat16", "float32", "int8")),
        ("WINOGRAD FP32 INT8", ("float32", "int8")),
        ("FP16 INT8 EXPORT_IMPORT", ("float16", "int8")),
        ("FP32", ("float32",)),
    ],
)
def test_openvino_says_what_its_devices_compute_in(said: str, precisions: tuple[str, ...]) -> None:
    """The first precision, the default, is the one that OpenVINO would choose by itself."""
    found = listing(plugged("OpenVINOExecutionProvider", "npu", ov_device="NPU", OPTIMIZATION_CAPABILITIES=said))
    (npu, _) = offers(found)

    assert ("openvino:npu", precisions, precisions[0]) == (
        npu.info.name,
        npu.info.precisions,
        npu.info.precision_default,
    )


def test_a_simulator_says_so_and_comes_last() -> None:
    """QNN's device on a CPU is a simulator: never the default, and not what the CPU's power is measured for."""
    *_, last = offers(listing(plugged("QNNExecutionProvider", "cpu"), plugged("ggml", "cpu")))

    assert ("qnn:cpu", None) == (last.info.name, last.info.power_covers)
    assert last.simulates is not None


def test_an_unknown_plugin_gets_its_modules_name_and_float32() -> None:
    """Nothing but float32 is assumed of a provider that is not in the table."""
    (device, _) = offers(listing(plugged("NewExecutionProvider", "gpu", "onnxruntime_ep_new_thing")))

    assert ("new_thing:0", ("float32",)) == (device.info.name, device.info.precisions)


def test_several_devices_of_a_provider_are_numbered() -> None:
    """A second NPU and a second GPU get names of their own."""
    found = listing(*[plugged("QNNExecutionProvider", "npu")] * 2, *[plugged("WebGpuExecutionProvider", "gpu")] * 2)

    assert ["webgpu:0", "webgpu:1", "qnn:npu", "qnn:npu.1", "cpu"] == names(found)


def test_built_in_cuda_needs_a_gpu(tmp_path: Path) -> None:
    """A GPU build without a driver's device files offers no GPU."""
    assert ["cpu"] == names(listing(built_in=("CUDAExecutionProvider",)), tmp_path)


def test_the_only_gpu_is_known_by_its_uuid(tmp_path: Path) -> None:
    """With one board its UUID is certain, and so is which power channel sees it."""
    found = offers(listing(built_in=("CUDAExecutionProvider",)), nvidia(tmp_path, "GPU-1"))

    assert [("cuda:0", "GPU-1"), ("cpu", "cpu")] == [(o.info.name, o.info.power_covers) for o in found]
    assert "NVIDIA X" in found[0].info.description


def test_which_of_several_gpus_is_meant_is_not_guessed(tmp_path: Path) -> None:
    """CUDA's order of devices need not be the driver's, so that no UUID is claimed."""
    found = offers(listing(built_in=("CUDAExecutionProvider",)), nvidia(tmp_path, "GPU-1", "GPU-2"))

    assert [("cuda:0", None), ("cuda:1", None), ("cpu", "cpu")] == [(o.info.name, o.info.power_covers) for o in found]


@pytest.mark.parametrize(("visible", "count"), [("1", 1), ("", 0), ("0,1,2", 2)])
def test_hidden_gpus_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, count: int) -> None:
    """CUDA_VISIBLE_DEVICES hides boards from this process."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = names(listing(built_in=("TensorrtExecutionProvider",)), nvidia(tmp_path, "GPU-1", "GPU-2"))

    assert [f"tensorrt:{place}" for place in range(count)] == found[:-1]


def test_amd_gpus_are_counted_as_the_kernel_lists_them(tmp_path: Path) -> None:
    """Processors appear in the same list with gpu_id 0."""
    for node, gpu in enumerate(("0", "2301", "")):
        folder = tmp_path / f"sys/class/kfd/kfd/topology/nodes/{node}"
        folder.mkdir(parents=True)
        (folder / "gpu_id").write_text(f"{gpu}\n")

    assert ["migraphx:0", "cpu"] == names(listing(built_in=("MIGraphXExecutionProvider",)), tmp_path)


def test_providers_without_numbers_have_plain_names() -> None:
    """Core ML and XNNPACK are one device each; OpenVINO's own build offers the CPU."""
    built_in = ("CoreMLExecutionProvider", "XnnpackExecutionProvider", "OpenVINOExecutionProvider")

    assert ["coreml", "cpu", "openvino:cpu", "xnnpack"] == names(listing(built_in=built_in))


def test_a_listed_device_is_not_offered_twice() -> None:
    """A provider that is built in and listed has the devices that are listed."""
    found = listing(plugged("CUDAExecutionProvider", "gpu"), built_in=("CUDAExecutionProvider",))

    assert ["cuda:0", "cpu"] == names(found)


def test_what_is_missing_says_what_it_needs() -> None:
    """Each provider that offers nothing is told with what it needs, and so is the NPU of one that has the CPU only."""
    bare = {finding.name: finding.availability for finding in missing(offers(listing()), listing())}
    openvino = plugged("OpenVINOExecutionProvider", "cpu", ov_device="CPU")
    there = {finding.name for finding in missing(offers(listing(openvino)), listing(openvino))}

    assert {"absent"} == {found.state for found in bare.values()}
    assert "onnxruntime-qnn" in bare["qnn"].remedy
    assert ("cuda" in bare, "cpu" in bare, "openvino" in bare) == (True, False, True)
    assert {"openvino:gpu", "openvino:npu"} <= there
    assert "openvino" not in there


def test_a_plugin_that_cannot_be_loaded_says_why() -> None:
    """Of a provider whose plug-in is installed and left out the loader's own words are told, not that it is missing."""
    refused = {"onnxruntime_qnn": "libQnnHtp.so: wrong version", "onnxruntime_ep_new": "no driver"}
    broken = replace(listing(), refused=refused)
    found = {finding.name: finding.availability for finding in missing(offers(broken), broken)}

    assert "onnxruntime_qnn is left out: libQnnHtp.so: wrong version" == found["qnn"].reason
    assert "a build of onnxruntime-qnn for ONNX Runtime 1" in found["qnn"].remedy
    assert "onnxruntime-ep-openvino" in found["openvino"].remedy


def test_the_table_says_what_never_ran() -> None:
    """Only providers that our code really ran on are said to have run, and a description warns of the others."""
    ran = {p.prefix for p in PROVIDERS if p.ran == "run on CPU"}
    (cuda, _) = offers(listing(plugged("CUDAExecutionProvider", "gpu")))

    assert {"cpu", "openvino", "ggml"} == ran
    assert "never run on hardware" in cuda.info.description
