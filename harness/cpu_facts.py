"""Collecting the facts of the processor: model, topology, instruction sets, clocks, and the cores we may use."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import psutil

from wattbench.harness.cgroup import cpu_quota_cores
from wattbench.harness.text_files import read_text
from wattbench.results.environment import CpuFacts

__all__ = ["collect_cpu", "usable_cores"]

FEATURES = (
    *("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("neon", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "svebf16", "svei8mm", "sme"),
)
"""The instruction sets that inference uses, in the kernel's words (x86, then Arm)."""

ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
    "0xd84": "Neoverse-V3",
    "0xd8e": "Neoverse-N3",
}
"""Arm's part numbers (Linux, arch/arm64/include/asm/cputype.h): arm64 kernels give no model name."""


def collect_cpu(root: Path = Path("/")) -> CpuFacts:
    """Return the facts of the processor; what the system does not tell is None. Reads files below `root`."""
    cpuinfo = read_text(root / "proc/cpuinfo")
    topology = _topology(root)
    flags = _flags(cpuinfo)
    return CpuFacts(
        model=_model(cpuinfo),
        architecture=platform.machine(),
        sockets=len({package for package, _ in topology}) or None,
        cores_physical=len(topology) or psutil.cpu_count(logical=False),
        cores_logical=psutil.cpu_count() or 1,
        cores_usable=usable_cores(root),
        features=None if flags is None else tuple(feature for feature in FEATURES if feature in flags),
        governor=_governor(root),
        clock_max_mhz=_clock_max_mhz(root),
        turbo=_turbo(root),
    )


def _model(cpuinfo: str) -> str | None:
    """Return the maker's name of the processor, or on Arm the names of its kinds of core."""
    if match := re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
        return match[1].strip()
    parts = dict.fromkeys(re.findall(r"^CPU part\s*:\s*(\S+)$", cpuinfo, re.MULTILINE))
    implementers = set(re.findall(r"^CPU implementer\s*:\s*(\S+)$", cpuinfo, re.MULTILINE))
    if parts and implementers == {"0x41"}:  # 0x41: Arm's own designs (same source)
        return " + ".join(ARM_PARTS.get(part.lower(), f"Arm part {part}") for part in parts)
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string")
    return None if cpuinfo else (platform.processor() or None)


def _flags(cpuinfo: str) -> set[str] | None:
    """Return the words of the first "flags" (x86) or "Features" (Arm) line, or None without one.

    The same unit is called neon by 32-bit and asimd by 64-bit Arm kernels: we say neon.
    """
    match = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return {"neon" if word == "asimd" else word for word in match[1].split()} if match else None


def _topology(root: Path) -> set[tuple[str, str]]:
    """Return the distinct (package, core) pairs that Linux lists, empty where it lists none."""
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology")
    pairs = {(read_text(f / "physical_package_id"), read_text(f / "core_id")) for f in folders}
    return {(package, core) for package, core in pairs if package and core}


def usable_cores(root: Path = Path("/")) -> float:
    """Return the cores that this process may use: affinity, cut by the cgroup's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (psutil.cpu_count() or 1)
    quota = cpu_quota_cores(root)
    return float(allowed) if quota is None else min(float(allowed), quota)


def _governor(root: Path) -> str | None:
    """Return the frequency governor; several are joined by commas."""
    names = {read_text(p) for p in _cpufreq(root).glob("policy*/scaling_governor")} - {""}
    return ",".join(sorted(names)) or None


def _clock_max_mhz(root: Path) -> float | None:
    """Return the highest clock of any core in MHz (Linux gives kHz)."""
    texts = (read_text(p) for p in _cpufreq(root).glob("policy*/cpuinfo_max_freq"))
    return max((int(text) / 1000 for text in texts if text.isdigit()), default=None)


def _turbo(root: Path) -> bool | None:
    """Return whether clocks above the nominal one are allowed (Linux: pm/intel_pstate.rst, pm/cpufreq.rst)."""
    no_turbo = read_text(root / "sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = read_text(_cpufreq(root) / "boost")
    if no_turbo in ("0", "1"):
        return no_turbo == "0"
    return boost == "1" if boost in ("0", "1") else None


def _cpufreq(root: Path) -> Path:
    return root / "sys/devices/system/cpu/cpufreq"


def _sysctl(name: str) -> str | None:
    """Return one value of macOS' sysctl, or None when it does not answer within 2 s."""
    try:
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
