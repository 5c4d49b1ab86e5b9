"""The devices of a phone that `benchmark_model` runs on: small records of flags, and the proof of what ran there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wattbench.backends.litert.benchmark_model import Report
from wattbench.backends.litert.placement import Placement

__all__ = ["DELEGATE", "DEVICES", "OPTIONS", "PhoneDevice", "delegate_fault", "delegate_files", "device_of", "judge"]

DELEGATE, OPTIONS = "WATTBENCH_ANDROID_DELEGATE", "WATTBENCH_ANDROID_DELEGATE_OPTIONS"
"""The variables that name an NPU vendor's delegate with its libraries, and what it is told."""

XNNPACK, CPU = "TfLiteXNNPackDelegate", "XNNPACK"
"""The delegate for the processor, which takes what another one left, and what the tool calls it where it is told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneDevice:
    """One device of a phone: its name for `--device`, what it is, and the tool's flags for it in each precision."""

    device: str
    label: str
    precisions: tuple[str, ...]
    flags: Mapping[str, tuple[str, ...]]
    on_cpu: bool = False
    external: bool = False
    """Whether a vendor's delegate must be named, which is pushed along."""


DEVICES = (
    PhoneDevice(
        device="cpu",
        label="CPU by XNNPACK",
        precisions=("float32",),
        flags={"float32": ("--use_xnnpack=true",)},
        on_cpu=True,
    ),
    PhoneDevice(
        device="gpu",
        label="GPU by LiteRT's delegate",
        precisions=("float16", "float32"),
        flags={
            "float16": ("--use_gpu=true", "--gpu_precision_loss_allowed=true"),
            "float32": ("--use_gpu=true", "--gpu_precision_loss_allowed=false"),
        },
    ),
    PhoneDevice(
        device="nnapi",
        label="accelerators behind NNAPI, its own CPU path left out",
        precisions=("float16", "float32"),
        flags={
            "float16": ("--use_nnapi=true", "--disable_nnapi_cpu=true", "--nnapi_allow_fp16=true"),
            "float32": ("--use_nnapi=true", "--disable_nnapi_cpu=true"),
        },
    ),
    PhoneDevice(
        device="npu",
        label="NPU by its vendor's delegate",
        precisions=("float16",),
        flags={"float16": ()},
        external=True,
    ),
)


def device_of(name: str) -> PhoneDevice | None:
    """Return a phone's device by its name, None for an unknown one."""
    return next((device for device in DEVICES if device.device == name), None)


def delegate_files() -> tuple[str, ...]:
    """Return the files that `WATTBENCH_ANDROID_DELEGATE` names, the delegate first; none where it is not set."""
    return tuple(filter(None, os.environ.get(DELEGATE, "").split(os.pathsep)))


def delegate_fault() -> str | None:
    """Return what is wrong with the files that are named, None where they can be pushed side by side."""
    files = [Path(name) for name in delegate_files()]
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        return f"{missing} is no file"
    names = [path.name for path in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"two of the delegate's files are called {twice}, and all go into one folder"


def judge(device: PhoneDevice, report: Report) -> Placement:
    """Return where a graph's operations ran, by the tool's own lines about its delegates.

    On the processor everything is on the device, whoever took it. Elsewhere only what the device's delegate took is;
    a tool that says nothing of it proves nothing.
    """
    own = [found for found in report.replaced if (found.delegate == XNNPACK) == device.on_cpu]
    graphs = {
        found.graph: found.nodes for found in reversed(report.replaced)
    }  # as whole as the first delegate saw them
    taken, nodes = sum(found.taken for found in own), sum(graphs.values())
    whole = any(found.whole == "completely" and (found.delegate == CPU) == device.on_cpu for found in report.applied)
    share = 1.0 if whole else min(1.0, taken / nodes) if nodes and own else None
    said = "; ".join(f"{found.delegate} took {found.taken} of {found.nodes} operations" for found in report.replaced)
    applied = "; ".join(f"{found.delegate}: {found.whole} executed by the delegate" for found in report.applied)
    text = f"benchmark_model says: {'; '.join(filter(None, (said, applied))) or 'nothing of a delegate'}"
    if device.on_cpu:
        return Placement(text=text, share=1.0, delegated=share, fallback=None)
    if share == 1.0:
        return Placement(text=text, share=1.0, delegated=1.0, fallback=None)
    if not own and (said or any(found.whole == "not" for found in report.applied)):
        return Placement(text=text, share=0.0, delegated=0.0, fallback=f"all operations on the CPU: {text}")
    if share is None:
        return Placement(text=text, share=None, delegated=None, fallback=f"it is not proven what ran on it: {text}")
    return Placement(
        text=text, share=share, delegated=share, fallback=f"{1 - share:.0%} of operations on the CPU: {text}"
    )
