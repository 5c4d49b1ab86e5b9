"""What the devices at hand call themselves: drivers' names, PCI ids, the processor's model, JAX's and AWS's kinds."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from wattbench.harness.accelerator_facts import collect_accelerators
from wattbench.harness.cpu_facts import collect_cpu
from wattbench.harness.host_facts import collect_host
from wattbench.harness.text_files import read_text
from wattbench.results.vendor.match import Identity, IdentityKind

__all__ = ["identities", "jax_kind", "pci_identities"]

DRIVERS: dict[str, IdentityKind] = {"NVIDIA": "nvml", "AMD": "rocm"}

PCI_CLASSES = ("0x03", "0x12")
"""Display controllers and processing accelerators (pci.ids): what a device is that may run models."""

JAX_TIMEOUT_S = 60
JAX_CODE = "import jax; print(sorted({device.device_kind for device in jax.devices('tpu')})[0])"


def identities(root: Path = Path("/")) -> tuple[Identity, ...]:
    """Return every name that a device of this machine has; the same one only once. Nothing is allocated on any."""
    found = [*_drivers(root), *pci_identities(root), *_processor(root), *_neuron(root), *_jax()]
    return tuple({(identity.kind, identity.value): identity for identity in found}.values())


def pci_identities(root: Path = Path("/")) -> tuple[Identity, ...]:
    """Return the PCI ids of the accelerators and graphics cards that the kernel lists, sorted."""
    ids = set()
    for device in (root / "sys/bus/pci/devices").glob("*"):
        numbers = [read_text(device / name).removeprefix("0x").lower() for name in ("vendor", "device")]
        if read_text(device / "class").startswith(PCI_CLASSES) and all(numbers):
            ids.add(":".join(numbers))
    return tuple(Identity(kind="pci", value=pci, origin="the kernel's list of PCI devices") for pci in sorted(ids))


def jax_kind(python: str = sys.executable) -> str | None:
    """Return the kind of the first TPU that JAX sees, asked in a process of its own; None without an answer."""
    command = [python, "-c", JAX_CODE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=JAX_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    said = done.stdout.strip().splitlines()  # libtpu prints what it misses to standard output too
    return said[-1] if said and done.returncode == 0 else None


def _drivers(root: Path) -> Iterator[Identity]:
    for board in collect_accelerators(root):
        if board.vendor in DRIVERS:
            yield Identity(kind=DRIVERS[board.vendor], value=board.name, origin=f"{board.vendor}'s driver")


def _processor(root: Path) -> Iterator[Identity]:
    model = collect_cpu(root).model
    if model is not None:
        kind: IdentityKind = "apple" if model.startswith("Apple") else "cpu"
        yield Identity(kind=kind, value=model, origin="the processor's name")


def _neuron(root: Path) -> Iterator[Identity]:
    """Yield the family of an AWS machine with Neuron devices: the firmware names the instance ("inf2.xlarge")."""
    found = re.search(r"\b(inf|trn)\d+", collect_host(root).machine or "")
    if found is not None:
        yield Identity(kind="neuron", value=found[0], origin="the instance's name in the firmware")


def _jax() -> Iterator[Identity]:
    """Yield what JAX calls a TPU, where its library for them is installed."""
    if find_spec("jax") is None or find_spec("libtpu") is None:
        return
    kind = jax_kind()
    if kind is not None:
        yield Identity(kind="jax", value=kind, origin="JAX")
