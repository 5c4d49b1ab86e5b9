"""The devices that vendors bring to torch beside CPU and CUDA: one small record each, which is all that differs."""

from dataclasses import dataclass

from wattbench.backends.torch.hardware import Mark, Nodes, PciNumbers, RenderNode, System

__all__ = ["VENDORS", "Vendor", "vendor_of"]

NEURON_REMEDY = (
    "On a Trainium instance: pip install --extra-index-url https://pip.repos.neuron.amazonaws.com torch-neuronx "
    "(2.13 or newer; PyPI has only a placeholder)."
)

ASCEND = {
    "0x19e5": ("d100", "d105", "d500", "d501", *(f"d80{n}" for n in range(1, 8))),
    "0x203f": ("d500", "d802"),
    "0x20c6": ("d500", "d802"),
}
"""The PCI numbers of Ascend processors: Huawei's, and those of two other vendors that its driver takes for the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What is special about one of torch's device types; everything else is the generic path of `device`.

    `package` registers the device (None: it is part of torch itself), `oldest` is its first version that this code was
    written for, `remedy` how to get it; `module` has to be imported where no entry point brings the device. `hardware`
    are marks of which one is found where the device is in the machine; empty: not known. `lacking` are plain precisions
    that it cannot compute in. `compiler` is its backend for torch.compile (None: call by call only), `static` says that
    compiled code has fixed shapes. `caches` are environment variables that name the folder in which compiled code is
    kept, the first that is set counts, and `cache_default` is where it is without them. `waits_for_memory` says that
    memory figures are right only after a synchronise.
    `telemetry` says in words where watts and utilisation come from, or that there are none. `source` is who says this.
    """

    kind: str
    label: str
    package: str | None
    oldest: tuple[int, ...]
    remedy: str
    hardware: tuple[Mark, ...]
    lacking: tuple[str, ...]
    compiler: str | None
    static: bool
    caches: tuple[str, ...]
    cache_default: str | None
    waits_for_memory: bool
    telemetry: str
    source: str
    module: str | None = None


VENDORS = (
    Vendor(
        kind="tpu",
        label="Google TPU",
        package="torch-tpu",
        oldest=(0, 2),
        remedy="On a TPU machine: pip install torch_tpu (0.2 or newer, made for torch 2.11 to 2.15).",
        hardware=(
            PciNumbers(
                numbers=("0x1ae0:0x005e", "0x1ae0:0x0062", "0x1ae0:0x0063", "0x1ae0:0x006f", "0x1ae0:0x0076"),
                source="torch_tpu 0.2.0, utils/hardware.py: TPU v4, v5p, v5e, v6e, v7",
            ),
        ),
        lacking=("float16",),
        compiler="tpu",
        static=True,
        caches=("TORCH_TPU_TIER3_COMPILATION_CACHE_ROOT",),
        cache_default=None,
        waits_for_memory=False,
        telemetry="libtpu's monitoring: utilisation, memory, throttle score; no power",
        source="torch_tpu 0.2.0 and libtpu 0.0.51 (October 2026): source and metadata; torch 2.13's TpuInterface",
    ),
    Vendor(
        kind="neuron",
        label="AWS Trainium",
        package="torch-neuronx",
        oldest=(2, 13),
        remedy=NEURON_REMEDY,
        hardware=(
            Nodes(patterns=("dev/neuron[0-9]*",), source="aws-neuron-driver: neuron_cdev.c"),
            Nodes(patterns=("sys/devices/virtual/neuron_device/neuron*",), source="aws-neuron-driver up to 2.30"),
            Nodes(
                patterns=("sys/class/neuron_device/neuron*",), source="aws-neuron-driver: the class of these devices"
            ),
        ),
        lacking=(),
        compiler="neuron",
        static=True,
        caches=("NEURON_COMPILE_CACHE_URL",),
        cache_default="/var/tmp/neuron-compile-cache",
        waits_for_memory=True,
        telemetry="neuron-monitor: utilisation and memory; watts only as a percentage of a maximum that you declare",
        source="awsdocs-neuron 2.33 (October 2026): TorchNeuron",
    ),
    Vendor(
        kind="hpu",
        label="Intel Gaudi",
        package="habana-torch-plugin",
        oldest=(1, 20),
        remedy="Use Intel's Gaudi image, or install habana-torch-plugin with the torch that it was built for.",
        hardware=(
            PciNumbers(
                numbers=tuple(f"0x1da3:0x{n}" for n in ("1000", "1001", "1010", "1011", "1020", "1060", "1062")),
                source="Intel's driver habanalabs, habanalabs_drv.c: Gaudi, Gaudi 2 and Gaudi 3; not Goya or Greco",
            ),
        ),
        lacking=(),
        compiler="hpu_backend",
        static=True,
        caches=("PT_HPU_RECIPE_CACHE_CONFIG",),
        cache_default=None,
        waits_for_memory=False,
        telemetry="hlml: watts of the board",
        source="Intel Gaudi documentation 1.22: PyTorch user guide",
    ),
    Vendor(
        kind="npu",
        label="Huawei Ascend NPU",
        package="torch-npu",
        oldest=(2, 8),
        remedy="On a machine with CANN: pip install torch-npu of the same version as torch.",
        hardware=(
            PciNumbers(
                numbers=tuple(f"{vendor}:0x{number}" for vendor, numbers in ASCEND.items() for number in numbers),
                source="Huawei's driver of Ascend, hdc_host_init.c; lspci shows d500, d802 as processing accelerators",
            ),
            Nodes(patterns=("dev/davinci[0-9]*",), source="Ascend device plug-in: pkg/common/constants.go"),
        ),
        lacking=(),
        compiler=None,
        static=False,
        caches=(),
        cache_default=None,
        waits_for_memory=False,
        telemetry="none that wattbench reads",
        source="torch-npu 2.14 on PyPI",
    ),
    Vendor(
        kind="xpu",
        label="Intel GPU",
        package=None,
        oldest=(),
        remedy="Install torch's XPU build: pip install torch --index-url https://download.pytorch.org/whl/xpu",
        hardware=(
            RenderNode(
                vendor="0x8086",
                drivers=("i915", "xe"),
                source="Linux: drivers/gpu/drm/i915 and xe; Intel's compute runtime opens render nodes of these two",
            ),
            Nodes(
                patterns=("dev/dxg", "usr/lib/wsl/drivers/iigd*/libwsl_compute_helper.so"),
                source="Windows Subsystem for Linux: dxg is any vendor's GPU, the library is from Intel's driver iigd",
            ),
        ),
        lacking=(),
        compiler="inductor",
        static=False,
        caches=("TORCHINDUCTOR_CACHE_DIR",),
        cache_default=None,
        waits_for_memory=False,
        telemetry="levelzero: watts of the board",
        source="torch 2.13: torch.xpu",
    ),
    Vendor(
        kind="mps",
        label="Apple GPU",
        package=None,
        oldest=(),
        remedy="Use a Mac with Apple silicon; its builds of torch have it.",
        hardware=(System(name="Darwin", machine="arm64", source="every Apple silicon chip has Apple's GPU"),),
        lacking=(),
        compiler=None,
        static=False,
        caches=(),
        cache_default=None,
        waits_for_memory=False,
        telemetry="ioreport or powermetrics: watts of the chip",
        source="torch 2.13: torch.mps",
    ),
    Vendor(
        kind="mtia",
        label="Meta MTIA",
        package=None,
        oldest=(),
        remedy="Its runtime is not public: only Meta's own builds of torch have it.",
        # Its driver and numbers are not public. With Meta's PCI number 0x1d9b are known a network engine (0x0010), a
        # bridge (0x0011; both: pci.ids), a network card (0x0013; Linux: fbnic) and a clock (0x0400; Linux: ptp_ocp).
        hardware=(),
        lacking=(),
        compiler=None,
        static=False,
        caches=(),
        cache_default=None,
        waits_for_memory=False,
        telemetry="none: no public interface to its power was found",
        source="torch 2.13: torch.mtia says which module has to be imported, and that devices are known after init",
        module="mtia.host_runtime.torch_mtia.dynamic_library",
    ),
)


def vendor_of(kind: str) -> Vendor | None:
    """Return the record of a device type; None for the CPU, CUDA, and what no record knows."""
    return next((vendor for vendor in VENDORS if vendor.kind == kind), None)
