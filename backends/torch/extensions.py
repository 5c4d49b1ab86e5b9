"""Importing torch with no vendor's extension but the one that is asked for: they may print, hang or end the process."""

import os
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from wattbench.backends.torch.vendors import VENDORS, vendor_of

__all__ = ["SWITCH", "extension_names", "import_torch", "is_loaded", "load_extension"]

GROUP = "torch.backends"
"""The entry points that `import torch` would load and call, one after the other."""

SWITCH = "TORCH_DEVICE_BACKEND_AUTOLOAD"
"""The variable that keeps `import torch` from doing so."""

ALONE = ("cpu", "cuda")
"""Device types that need no extension, and would be hidden by one: torch has one accelerator a process."""


def import_torch() -> None:
    """Import torch without extensions, unless this process has imported it already."""
    if "torch" in sys.modules:
        return
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        import torch  # noqa: F401 (its first import is what matters)
    finally:
        del os.environ[SWITCH]
        if before is not None:
            os.environ[SWITCH] = before


def load_extension(kind: str) -> None:
    """Import torch, and load the extensions that bring a device type, as `import torch` would do it.

    A type of torch's own whose runtime is a module apart has that imported, and is initialised where it asks for it.
    For a type that no vendor's record knows, it is the extension of that name, or else every one that none knows.
    Raises whatever the extension does.
    """
    import_torch()
    if kind in ALONE or is_loaded(kind):
        return
    vendor = vendor_of(kind)
    if vendor is not None and vendor.module is not None:
        import_module(vendor.module)
        _initialise(kind)
    for entry in _entries(kind):
        entry.load()()


def is_loaded(kind: str) -> bool:
    """Return whether an extension has given torch's free place for a device to this type."""
    import torch

    return bool(torch._C._get_privateuse1_backend_name() == kind)


def extension_names() -> tuple[str, ...]:
    """Return the names of the installed extensions that no vendor's record knows; imports none."""
    known = {vendor.package for vendor in VENDORS}
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP) if _package(entry) not in known}))


def _initialise(kind: str) -> None:
    """Initialise a device type of torch's own that does not know its devices before."""
    import torch

    device: Any = getattr(torch, kind)  # any: torch.mtia, which type checkers see without its runtime
    if not device.is_available():
        device.init()


def _entries(kind: str) -> list[EntryPoint]:
    vendor, known = vendor_of(kind), {vendor.package for vendor in VENDORS}
    if vendor is not None:
        return [entry for entry in entry_points(group=GROUP) if _package(entry) == vendor.package]
    strange = [entry for entry in entry_points(group=GROUP) if _package(entry) not in known]
    return [entry for entry in strange if entry.name == kind] or strange


def _package(entry: EntryPoint) -> str:
    return "" if entry.dist is None else entry.dist.name.lower().replace("_", "-").replace(".", "-")
