"""Which device really computes where one answers whose hardware is not in the machine."""

import sys
from pathlib import Path

from wattbench.backends.torch.hardware import is_here
from wattbench.backends.torch.vendors import vendor_of

__all__ = ["emulation_of"]

TORCH_TPU = "torch_tpu._internal.device._device_ops_backend"
"""The module of TorchTPU that knows what its PJRT plug-in computes on; loaded by the extension."""


def emulation_of(kind: str, root: Path = Path("/")) -> str | None:
    """Return what computes where a device type answers though its hardware is not in the machine; else None.

    None also where no record says how the hardware is known. Asks the vendor's software if this process has loaded it.
    """
    vendor = vendor_of(kind)
    if vendor is None or not vendor.hardware or is_here(vendor.hardware, root):
        return None
    computes = _pjrt_device() if kind == "tpu" else None
    return f"{computes or 'an unknown device'}: no {vendor.label} is in this machine"


def _pjrt_device() -> str | None:
    """Return the device that TorchTPU computes on, as XLA calls it ("XLA:CPU"); None where it does not tell.

    The function is a private one of torch_tpu 0.2.0 (October 2026), which another version may not have.
    """
    try:
        kind = sys.modules[TORCH_TPU]._get_local_device_attributes()["device_kind"]
    except (AttributeError, KeyError, TypeError, RuntimeError):
        return None
    return "XLA:CPU" if kind == "cpu" else f"XLA:{kind}"
