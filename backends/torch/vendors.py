"""The devices that vendors bring to torch beside CPU and CUDA: one small record each, which is all that differs."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["VENDORS", "Vendor", "emulation_of", "vendor_of"]

NEURON_REMEDY = (
    "On a Trainium instance: pip install --extra-index-url https://pip.repos.neuron.amazonaws.com torch-neuronx "
    "(2.13 or newer; PyPI has only a placeholder)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What is special about one of torch's device types; everything else is the generic path of `device`.

    `package` registers the device (None: it is part of torch itself), `oldest` is its first version that this code was
    written for, `remedy` how to get it. `hardware` are patterns below the root of which one is there where the device
    is, "vendor:device" numbers of the PCI bus ("*": any device of that vendor) or paths; empty: not known.
    `lacking` are plain precisions that it cannot compute in. `compiler` is its backend for torch.compile (None: call
    by call only), `static` says that compiled code has fixed shapes. `caches` are environment variables that name the
    folder in which compiled code is kept, the first that is set counts, and `cache_default` is where it is without
    them. `waits_for_memory` says that memory figures are right only after a synchronise. `telemetry` says in words
    where watts and utilisation come from, or that there are none. `source` is who says all this.
    """

    kind: str
    label: str
    package: str | None
    oldest: tuple[int, ...]
    remedy: str
    hardware: tuple[str, ...]
    lacking: tuple[str, ...]
    compiler: str | None
    static: bool
    caches: tuple[str, ...]
    cache_default: str | None
    waits_for_memory: bool
    telemetry: str
    source: str


VENDORS = (
    Vendor(
        kind="tpu",
        label="Google TPU",
        package="torch-tpu",
        oldest=(0, 2),
        remedy="On a TPU machine: pip install torch_tpu (0.2 or newer, made for torch 2.11 to 2.15).",
        hardware=("0x1ae0:0x005e", "0x1ae0:0x0062", "0x1ae0:0x0063", "0x1ae0:0x006f", "0x1ae0:0x0076"),
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
        hardware=("dev/neuron[0-9]*", "sys/devices/virtual/neuron_device/neuron*", "sys/class/neuron_device/neuron*"),
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
        hardware=("0x1da3:*",),
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
        hardware=("0x19e5:*", "dev/davinci[0-9]*"),
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
        hardware=("dev/dri/renderD*", "dev/dxg"),
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
        hardware=(),
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
        hardware=(),
        lacking=(),
        compiler=None,
        static=False,
        caches=(),
        cache_default=None,
        waits_for_memory=False,
        telemetry="none: no public interface to its power was found",
        source="torch 2.13: torch.mtia asks for the module mtia.host_runtime",
    ),
)


def vendor_of(kind: str) -> Vendor | None:
    """Return the record of a device type; None for the CPU, CUDA, and what no record knows."""
    return next((vendor for vendor in VENDORS if vendor.kind == kind), None)


def emulation_of(kind: str, root: Path = Path("/")) -> str | None:
    """Return what must be computing where a device answers though its hardware is not in the machine; else None.

    None also where no record says how the hardware is known.
    """
    vendor = vendor_of(kind)
    if vendor is None or not vendor.hardware or any(_is_here(mark, root) for mark in vendor.hardware):
        return None
    return f"this machine's processor: no {vendor.label} is in it"


def _is_here(mark: str, root: Path) -> bool:
    wanted_vendor, colon, wanted_device = mark.partition(":")
    if not colon:
        return any(root.glob(mark))
    return any(
        _word(folder / "vendor") == wanted_vendor and wanted_device in ("*", _word(folder / "device"))
        for folder in (root / "sys/bus/pci/devices").glob("*")
    )


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
