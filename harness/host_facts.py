"""Collecting the facts of the machine around the processor: memory, system, virtualisation, power source."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from wattbench.harness.cgroup import memory_limit_bytes
from wattbench.harness.text_files import read_text
from wattbench.results.environment import HostFacts

__all__ = ["collect_host", "detect_virt"]

Detect = Callable[[str], str | None]

HYPERVISORS = (
    ("KVM", "kvm"),
    ("QEMU", "qemu"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("VMware", "vmware"),
    ("VirtualBox", "oracle"),
    ("Microsoft Corporation Virtual Machine", "microsoft"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("Apple Virtualization", "apple"),
    ("OpenStack", "openstack"),
)
"""What the firmware (DMI) calls a virtual machine, and the word of systemd-detect-virt(1) where it has one."""

CONTAINERS = ("kubepods", "docker", "podman", "libpod", "lxc", "containerd")
"""Words in the control group's path of a container's first process."""


def detect_virt(option: str) -> str | None:
    """Return what `systemd-detect-virt OPTION` prints, or None where it is missing or silent for 2 s."""
    try:
        done = subprocess.run(["systemd-detect-virt", option], capture_output=True, text=True, timeout=2, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None  # it exits 1 and prints "none" when it finds nothing


def collect_host(
    root: Path = Path("/"), environ: Mapping[str, str] = os.environ, detect: Detect = detect_virt
) -> HostFacts:
    """Return the facts of the machine; what the system does not tell is None. Reads files below `root`."""
    return HostFacts(
        os=_os_name(root),
        kernel=platform.release(),
        machine=_machine(root),
        virtualization=_virtualization(root, detect),
        container=_container(root, environ, detect),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=memory_limit_bytes(root),
        on_battery=_on_battery(),
        load_average_1m=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _os_name(root: Path) -> str:
    """Return the name of the distribution, or of the system where there are none."""
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', read_text(root / "etc/os-release"), re.MULTILINE)
    if match:
        return match[1]
    release = platform.mac_ver()[0] if sys.platform == "darwin" else platform.release()
    return f"{platform.system()} {release}".strip()


def _machine(root: Path) -> str | None:
    """Return maker and model from the firmware (DMI, or the device tree of Arm boards)."""
    return _dmi(root) or read_text(root / "proc/device-tree/model") or None


def _dmi(root: Path) -> str:
    names = (read_text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    return " ".join(name for name in names if name)


def _virtualization(root: Path, detect: Detect) -> str | None:
    """Return the kind of virtual machine, "none", or None where nothing can be asked."""
    if found := detect("--vm"):
        return found
    if hypervisor := read_text(root / "sys/hypervisor/type"):
        return hypervisor
    name = _dmi(root)
    for word, kind in HYPERVISORS:
        if word in name and ".metal" not in name:  # EC2's bare machines are products named like "m7i.metal-24xl"
            return kind
    flags = re.search(r"^flags\s*:(.*)$", read_text(root / "proc/cpuinfo"), re.MULTILINE)
    if flags is None:
        return None  # only x86 has a flag for it
    return "unnamed hypervisor" if "hypervisor" in flags[1].split() else "none"


def _container(root: Path, environ: Mapping[str, str], detect: Detect) -> str | None:
    """Return the kind of container, "none" on a Linux without signs of one, or None elsewhere."""
    found = detect("--container")
    if found and found != "none":
        return found
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    group = read_text(root / "proc/1/cgroup")
    named = next((word for word in CONTAINERS if word in group), None)
    return named or ("none" if group else None)


def _on_battery() -> bool | None:
    """Return whether the battery feeds the machine; False without a battery, None where that is unknown."""
    if not hasattr(psutil, "sensors_battery"):
        return None
    battery = psutil.sensors_battery()
    if battery is None:
        return False
    plugged = battery.power_plugged
    return None if plugged is None else not plugged
