"""The accelerators of LiteRT that a model can be compiled for: one small record each, which is all that differs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wattbench.backends.edge_sdk import NEVER_RUN
from wattbench.results.availability import Availability

__all__ = ["ACCELERATORS", "Accelerator", "accelerator_of", "availability_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One accelerator: the device's name for `--device`, what it is, and how LiteRT calls it.

    `unit` is LiteRT's own choice of three. `vendor` is the folder of an NPU's libraries within LiteRT's package:
    `compiler` has the plug-in that compiles a model for it, `dispatch` the one that runs it, and it takes both. `marks`
    are patterns below the root of which one is there where the hardware is; empty: not known. `remedy` says how to get
    the device, `source` who says all this.
    """

    device: str
    label: str
    unit: Literal["CPU", "GPU", "NPU"]
    precisions: tuple[str, ...]
    vendor: str | None
    marks: tuple[str, ...]
    remedy: str
    source: str


WHEELS = "ai-edge-litert 2.3.0: the folders of its wheel for Linux x86-64"
PHONE = "Its runtime is in the phone's system: it takes an Android program, which this Python process is not."

ACCELERATORS = (
    Accelerator(
        device="cpu",
        label="CPU by XNNPACK",
        unit="CPU",
        precisions=("float32",),
        vendor=None,
        marks=(),
        remedy="pip install 'wattbench[litert]'",
        source="ai-edge-litert 2.3.0: run here",
    ),
    Accelerator(
        device="gpu",
        label="GPU by WebGPU",
        unit="GPU",
        precisions=("float32",),
        vendor=None,
        marks=("dev/dri/renderD*", "dev/nvidia0"),
        remedy="Install the GPU's Vulkan driver.",
        source="ai-edge-litert 2.3.0: it asks for an adapter, and this machine has none",
    ),
    Accelerator(
        device="qualcomm",
        label="Qualcomm NPU (Hexagon)",
        unit="NPU",
        precisions=("float16",),
        vendor="qualcomm",
        marks=("dev/fastrpc-*", "dev/adsprpc-smd*"),
        remedy=f"{PHONE} On Linux it takes ai-edge-litert-sdk-qualcomm and a LiteRT with its dispatch library.",
        source=WHEELS,
    ),
    Accelerator(
        device="mediatek",
        label="MediaTek NPU",
        unit="NPU",
        precisions=("float16",),
        vendor="mediatek",
        marks=(),
        remedy=PHONE,
        source=WHEELS,
    ),
    Accelerator(
        device="samsung",
        label="Samsung Exynos NPU",
        unit="NPU",
        precisions=("float16",),
        vendor="samsung",
        marks=(),
        remedy=PHONE,
        source=WHEELS,
    ),
    Accelerator(
        device="google-tensor",
        label="Google Tensor NPU",
        unit="NPU",
        precisions=("float16",),
        vendor="google_tensor",
        marks=(),
        remedy=PHONE,
        source=WHEELS,
    ),
    Accelerator(
        device="intel-npu",
        label="Intel NPU by OpenVINO",
        unit="NPU",
        precisions=("float16",),
        vendor="intel_openvino",
        marks=("dev/accel/accel*",),
        remedy="On a Core Ultra with its NPU driver: pip install ai-edge-litert-sdk-intel-nightly",
        source=WHEELS,
    ),
)


def accelerator_of(device: str) -> Accelerator | None:
    """Return the accelerator of a device's name."""
    return next((accelerator for accelerator in ACCELERATORS if accelerator.device == device), None)


def availability_of(accelerator: Accelerator, vendors: Path, root: Path = Path("/")) -> Availability:
    """Return whether an accelerator can be used, from the libraries in `vendors` and the hardware below `root`.

    Without an NPU's libraries LiteRT would run everything on the CPU, which is why they are looked for.
    """
    facts = {} if accelerator.unit == "CPU" else NEVER_RUN

    def absent(reason: str) -> Availability:
        return Availability(state="absent", reason=reason, remedy=accelerator.remedy, facts=facts)

    if accelerator.vendor is not None:
        folder = vendors / accelerator.vendor
        missing = [part for part in ("compiler", "dispatch") if not any((folder / part).glob("*.so"))]
        if missing:
            return absent(f"the installed LiteRT has no {' and no '.join(missing)} library for {accelerator.label}")
    if accelerator.marks and not any(any(root.glob(mark)) for mark in accelerator.marks):
        names = " or ".join(f"/{mark}" for mark in accelerator.marks)
        return absent(f"LiteRT could drive {accelerator.label}, but there is no {names}")
    if accelerator.unit == "CPU":
        return Availability(state="present", reason="LiteRT's own kernels and XNNPACK's", facts=facts)
    reason = f"what {accelerator.label} needs is there; it was never run on hardware by wattbench"
    return Availability(state="present", reason=reason, facts=facts)
