"""What the power files of known hwmon chips see: scope and device, from the chip's name and the file's label."""

import re

from wattbench.results.energy import Scope

__all__ = ["place_of"]

_GPU_CHIPS = ("amdgpu", "i915", "xe")
"""Linux GPU drivers; amdgpu's figure is its firmware's for the chip (kernel documentation, gpu/amdgpu/thermal)."""


def place_of(chip: str, label: str | None, device: str) -> tuple[Scope, str | None]:
    """Return the scope of a chip's power file and the device it covers; ("other", None) for what is not known.

    `label` is the file's label or oem_info, `device` the name of the chip's parent device (a PCI address for GPUs).
    """
    if chip in _GPU_CHIPS:
        return ("other", None) if label == "pkg" else ("board", f"pci:{device.lower()}")
    if chip == "amd_energy":
        socket = re.fullmatch(r"Esocket(\d+)", label or "")
        return ("package", f"cpu:{socket[1]}") if socket else ("other", None)
    if chip == "power_meter":
        return _acpi_place(label)
    return "other", None


def _acpi_place(oem_info: str | None) -> tuple[Scope, str | None]:
    """Return what an ACPI power meter sees: NVIDIA Grace names its rails, a nameless meter is the machine's.

    Of Grace's "Module", "Grace", "CPU" and "SysIO Power Socket N" the last two are parts of the second, so they stay
    "other" (NVIDIA Grace performance tuning guide, power telemetry).
    """
    if oem_info is None:
        return "node", None
    named = re.fullmatch(r"(\w+) Power Socket (\d+)", oem_info)
    if named and named[1] == "Module":
        return "module", f"module:{named[2]}"
    if named and named[1] == "Grace":
        return "package", f"cpu:{named[2]}"
    return "other", None
