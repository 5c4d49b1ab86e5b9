"""The delegates of ExecuTorch that a program can be made for: one small record each, which is all that differs."""

import sys
from dataclasses import dataclass
from pathlib import Path

from wattbench.backends.edge_sdk import NEVER_RUN
from wattbench.results.availability import Availability

__all__ = ["DELEGATES", "Delegate", "availability_of", "delegate_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """One delegate: the device's name for `--device`, what it is, and how ExecuTorch's runtime calls it.

    `on_cpu` says that it computes on the CPU, so that an operation which it leaves to ExecuTorch's own kernels stays on
    the device. `precisions` are those that it can be asked for; a program is exported in `exported`, and the delegate
    computes it in what was asked. `platforms` are Python's names of systems that have it, `marks` patterns below the
    root of which one is there where the hardware is; empty: not known. `needs` is what makes programs for it beside
    ExecuTorch, `remedy` how to get the device. `source` is who says all this.
    """

    device: str
    label: str
    registered: str
    on_cpu: bool
    precisions: tuple[str, ...]
    exported: str
    platforms: tuple[str, ...]
    marks: tuple[str, ...]
    needs: str
    remedy: str
    source: str


PHONE = "It runs in an Android program, which this Python process is not."

DELEGATES = (
    Delegate(
        device="xnnpack",
        label="CPU by XNNPACK",
        registered="XnnpackBackend",
        on_cpu=True,
        precisions=("float32",),
        exported="float32",
        platforms=(),
        marks=(),
        needs="nothing more",
        remedy="pip install 'wattbench[executorch]'",
        source="executorch 1.5.1: run here",
    ),
    Delegate(
        device="coreml",
        label="Apple neural engine, GPU and CPU by Core ML",
        registered="CoreMLBackend",
        on_cpu=False,
        precisions=("float16", "float32"),
        exported="float32",
        platforms=("darwin",),
        marks=(),
        needs="coremltools",
        remedy="Use a Mac with Apple silicon; ExecuTorch's wheel for macOS has it.",
        source="executorch 1.5.1: backends/apple/coreml; programs are made here, never run",
    ),
    Delegate(
        device="qualcomm",
        label="Qualcomm NPU (Hexagon)",
        registered="QnnBackend",
        on_cpu=False,
        precisions=("float16",),
        exported="float32",
        platforms=("linux", "android"),
        marks=("dev/fastrpc-*", "dev/adsprpc-smd*"),
        needs="Qualcomm's AI Engine Direct SDK and WATTBENCH_QUALCOMM_SOC, such as SM8750",
        remedy="Use Linux on a Snapdragon with its NPU driver; a phone needs an Android program.",
        source="executorch 1.5.1: backends/qualcomm; Linux drivers misc/fastrpc and adsprpc",
    ),
    Delegate(
        device="mediatek",
        label="MediaTek NPU",
        registered="NeuropilotBackend",
        on_cpu=False,
        precisions=("float16",),
        exported="float32",
        platforms=("android",),
        marks=(),
        needs="MediaTek's NeuroPilot Express SDK and WATTBENCH_MEDIATEK_PLATFORM, such as mt6991",
        remedy=PHONE,
        source="executorch 1.5.1: backends/mediatek",
    ),
    Delegate(
        device="ethos-u",
        label="Arm Ethos-U NPU",
        registered="EthosUBackend",
        on_cpu=False,
        precisions=("int8",),
        exported="float32",
        platforms=(),
        marks=(),
        needs="ethos-u-vela, and a program in int8, which wattbench does not make",
        remedy="It runs in firmware on a microcontroller, which this Python process is not.",
        source="executorch 1.5.1: backends/arm",
    ),
    Delegate(
        device="samsung",
        label="Samsung Exynos NPU",
        registered="EnnBackend",
        on_cpu=False,
        precisions=("float16",),
        exported="float32",
        platforms=("android",),
        marks=(),
        needs="Samsung's Exynos AI LiteCore SDK and WATTBENCH_SAMSUNG_CHIPSET, such as E9955",
        remedy=PHONE,
        source="executorch 1.5.1: backends/samsung",
    ),
)


def delegate_of(device: str) -> Delegate | None:
    """Return the delegate of a device's name."""
    return next((delegate for delegate in DELEGATES if delegate.device == device), None)


def availability_of(
    delegate: Delegate, registered: dict[str, bool], platform: str = sys.platform, root: Path = Path("/")
) -> Availability:
    """Return whether a delegate can be used, from what the runtime says of it and what the machine has.

    `registered` are the names that the runtime has, and whether it calls each available. It calls Qualcomm's so on a
    machine without one, which is why the hardware is looked for as well.
    """
    facts = {} if delegate.on_cpu else NEVER_RUN

    def absent(reason: str) -> Availability:
        return Availability(state="absent", reason=reason, remedy=delegate.remedy, facts=facts)

    if delegate.registered not in registered:
        return absent(f"the installed runtime of ExecuTorch has no {delegate.registered}")
    if delegate.platforms and platform not in delegate.platforms:
        return absent(f"{delegate.label} is not in a machine with {platform}")
    if delegate.marks and not any(any(root.glob(mark)) for mark in delegate.marks):
        missing = " or ".join(f"/{mark}" for mark in delegate.marks)
        return absent(f"the runtime has {delegate.registered}, but there is no {missing}")
    if not registered[delegate.registered]:
        reason = f"the runtime has {delegate.registered} and says that it cannot be used"
        return Availability(
            state="broken", reason=reason, remedy=f"Check its libraries. {delegate.remedy}", facts=facts
        )
    untried = "" if delegate.on_cpu else "; it was never run on hardware by wattbench"
    return Availability(state="present", reason=f"{delegate.registered} is registered{untried}", facts=facts)
