"""The devices that can be asked for by name: what ONNX Runtime lists, and what its built-in providers will find."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from wattbench.backends.ceilings import last_level_cache_bytes
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo
from wattbench.backends.host import cpu_model, has_bfloat16
from wattbench.backends.onnxruntime.listing import EpDevice, Listing
from wattbench.backends.onnxruntime.providers import CPU, NEVER, PROVIDERS, Provider, provider_of

__all__ = ["Offer", "missing", "offers"]

UNITS = {"openvino": ("gpu", "npu"), "qnn": ("npu",)}
"""Providers that compute on the CPU too, and the units that may be missing all the same."""

SIMULATED = {"qnn": "Qualcomm's HTP simulator on the CPU"}
"""Providers whose CPU device is a simulator of something else."""

CAPABILITIES = "OPTIMIZATION_CAPABILITIES"
COMPUTE_TYPES = {"BF16": "bfloat16", "FP16": "float16", "FP32": "float32"}
"""OpenVINO's property of what a device computes in, and its words. Unless told otherwise OpenVINO takes the first of
these that a device has (docs.openvino.ai, precision control)."""

ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A device that can be asked for: its facts, its provider, and how ONNX Runtime is told to use it.

    `module` is the plug-in to register (None: built in), `listed` whether ONNX Runtime lists the device, `place` its
    number among those of its provider and unit. `unit` is "cpu", "gpu" or "npu" (None: the provider chooses).
    `simulates` says what really computes, where that is not what the name says.
    """

    info: DeviceInfo
    provider: Provider
    module: str | None
    listed: bool
    place: int
    unit: str | None
    simulates: str | None


def offers(listing: Listing, root: Path = ROOT) -> tuple[Offer, ...]:
    """Return the devices of a listing, best first: accelerators, then the CPU, then other ways to use the CPU."""
    found = [*_listed(listing.devices), *_built_in(listing, root)]
    return tuple(sorted(found, key=_rank))


def missing(found: Sequence[Offer], listing: Listing) -> tuple[DeviceFinding, ...]:
    """Return a finding for each provider that we know and that offers nothing, or not the unit that it is for."""
    there = {(offer.provider.prefix, offer.unit) for offer in found}
    prefixes = {prefix for prefix, _ in there}
    rows = [(provider, provider.prefix) for provider in PROVIDERS if provider.prefix not in prefixes]
    rows += [
        (provider, f"{provider.prefix}:{unit}")
        for provider in PROVIDERS
        for unit in UNITS.get(provider.prefix, ())
        if provider.prefix in prefixes and (provider.prefix, unit) not in there
    ]
    return tuple(
        DeviceFinding(name=name, label=provider.name, availability=_absent(provider, listing))
        for provider, name in rows
    )


def _absent(provider: Provider, listing: Listing) -> Availability:
    """Return why a provider offers nothing: what its plug-in said where one is installed, else that it is not there."""
    for module, why in listing.refused.items():
        package = module.replace("_", "-")
        if package in provider.needs.replace(",", "").split():
            remedy = f"Choose another --device, or a build of {package} for ONNX Runtime {listing.version}."
            return Availability(state="absent", reason=f"{module} is left out: {why}", remedy=remedy)
    reason = "ONNX Runtime here lacks it, or it finds no such device"
    return Availability(state="absent", reason=reason, remedy=f"It needs {provider.needs}.")


def _rank(offer: Offer) -> tuple[bool, bool, bool, int, int]:
    provider, on_cpu = offer.provider, offer.unit == "cpu"
    row = PROVIDERS.index(provider) if provider in PROVIDERS else len(PROVIDERS)
    return offer.simulates is not None, on_cpu, on_cpu and provider.name != CPU, row, offer.place


def _listed(devices: Sequence[EpDevice]) -> list[Offer]:
    """Return an offer for each device that ONNX Runtime lists, by itself or by a plug-in."""
    counts: dict[tuple[str, str], int] = {}
    found = []
    for device in devices:
        if "ov_meta_device" in device.metadata:  # OpenVINO's AUTO: whichever device it likes, so none that has a name
            continue
        kind = (device.provider, device.unit)
        place = counts.get(kind, 0)
        counts[kind] = place + 1
        provider = provider_of(device.provider, device.module)
        found.append(
            Offer(
                info=_info(
                    provider, _listed_name(provider, device, place), device.unit, device.metadata, device.vendor
                ),
                provider=provider,
                module=device.module,
                listed=True,
                place=place,
                unit=device.unit,
                simulates=SIMULATED.get(provider.prefix) if device.unit == "cpu" else None,
            )
        )
    return found


def _built_in(listing: Listing, root: Path) -> list[Offer]:
    """Return an offer for each device of the providers that ONNX Runtime was built with and does not list."""
    listed = {device.provider for device in listing.devices}
    providers = [p for p in PROVIDERS if p.name in listing.built_in and p.name not in listed]
    return [offer for provider in providers for offer in _counted(provider, root)]


def _counted(provider: Provider, root: Path) -> list[Offer]:
    """Return the devices of a built-in provider, counted without it: it would take their memory."""
    total = {"nvidia": _nvidia_count, "amd": _amd_count}.get(provider.counted, _one)(root)
    unit = {"openvino": "cpu", "xnnpack": "cpu", "coreml": None}.get(provider.prefix, "gpu")
    names = {"openvino": "openvino:cpu", "xnnpack": "xnnpack", "coreml": "coreml"}
    found = []
    said = {CAPABILITIES: f"FP32 INT8{' BF16' if has_bfloat16() else ''}"} if provider.prefix == "openvino" else {}
    for place in range(total):
        name = names.get(provider.prefix, f"{provider.prefix}:{place}")
        board = _only_nvidia(root) if provider.counted == "nvidia" and total == 1 else {}
        found.append(
            Offer(
                info=_info(provider, name, unit, said, board.get("Model", "device"), board.get("GPU UUID")),
                provider=provider,
                module=None,
                listed=False,
                place=place,
                unit=unit,
                simulates=None,
            )
        )
    return found


def _listed_name(provider: Provider, device: EpDevice, place: int) -> str:
    if provider.name == CPU:
        return "cpu"
    if "ov_device" in device.metadata:  # OpenVINO's own name: CPU, GPU, GPU.1, NPU
        return f"{provider.prefix}:{device.metadata['ov_device'].lower()}"
    if device.unit == "gpu":
        return f"{provider.prefix}:{place}"
    return f"{provider.prefix}:{device.unit}{f'.{place}' if place else ''}"


def _info(
    provider: Provider, name: str, unit: str | None, said: dict[str, str], hardware: str, uuid: str | None = None
) -> DeviceInfo:
    on_cpu = unit == "cpu"
    simulates = on_cpu and provider.prefix in SIMULATED
    precisions = _precisions(provider, said)
    hardware = said.get("FULL_DEVICE_NAME") or (cpu_model() if on_cpu else hardware)
    ran = f" ({NEVER})" if provider.ran == NEVER else ""
    return DeviceInfo(
        name=name,
        description=hardware if provider.name == CPU else f"{hardware} through {provider.name}{ran}",
        memory_bytes=psutil.virtual_memory().total if on_cpu else None,
        precisions=precisions,
        precision_default=precisions[0],
        power_covers="cpu" if on_cpu and not simulates else uuid,
        cache_bytes=last_level_cache_bytes() if on_cpu else None,
    )


def _precisions(provider: Provider, said: dict[str, str]) -> tuple[str, ...]:
    """Return what a device computes in, its default first; where a device says it itself, as it says."""
    capable = said.get(CAPABILITIES, "").split()
    computed = tuple(name for word, name in COMPUTE_TYPES.items() if word in capable)
    if not computed:
        return provider.precisions
    return (*computed, "int8") if "INT8" in capable and "int8" in provider.precisions else computed


def _nvidia_count(root: Path) -> int:
    """Return how many NVIDIA GPUs this process may use; 0 without their driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = sum(path.name.removeprefix("nvidia").isdigit() for path in (root / "dev").glob("nvidia[0-9]*"))
    return present if visible is None else min(present, len([v for v in visible.split(",") if v.strip()]))


def _amd_count(root: Path) -> int:
    """Return how many GPUs the kernel's AMD compute driver lists; processors have gpu_id 0 there."""
    files = (root / "sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id")
    return sum(path.read_text().strip() not in ("", "0") for path in files)


def _one(_: Path) -> int:
    return 1


def _only_nvidia(root: Path) -> dict[str, str]:
    """Return what the driver says of the machine's only GPU ("Model", "GPU UUID"), nothing when there are several."""
    files = list((root / "proc/driver/nvidia/gpus").glob("*/information"))
    if len(files) != 1:
        return {}
    lines = files[0].read_text(errors="replace").splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
