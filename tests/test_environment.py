"""What the environment collector says of machines shown to it as trees of files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from wattbench.harness.environment import collect_environment, collect_packages, collect_variables
from wattbench.results.environment import CpuFacts, HostFacts

XEON = """processor : 0
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu avx2 fma avx512f avx512_bf16 avx512_vnni amx_bf16 amx_int8 hypervisor
"""
GRACE = """processor : 0
Features\t: fp asimd asimdhp asimddp sve sve2 i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd4f
"""


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write the files of a pretended machine below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def cpu_of(root: Path, files: Mapping[str, str]) -> CpuFacts:
    """Return the processor facts of a pretended machine."""
    return collect_environment(write_tree(root, files), {}, lambda _: None).cpu


def host_of(
    root: Path, files: Mapping[str, str], environ: Mapping[str, str] | None = None, detected: str | None = None
) -> HostFacts:
    """Return the host facts of a pretended machine."""
    return collect_environment(write_tree(root, files), environ or {}, lambda _: detected).host


def test_this_machine_is_described_without_error() -> None:
    """The machine at hand has cores to use and memory, whatever it is."""
    environment = collect_environment()

    assert environment.cpu.cores_usable > 0
    assert environment.host.memory_bytes > 0


def test_an_empty_tree_leaves_facts_unknown(tmp_path: Path) -> None:
    """What no file tells is None, never a guess."""
    cpu = cpu_of(tmp_path, {})

    assert (None, None, None, None, None) == (cpu.sockets, cpu.features, cpu.governor, cpu.clock_max_mhz, cpu.turbo)


def test_no_accelerator_is_an_empty_tuple(tmp_path: Path) -> None:
    """A machine without graphics drivers or NVML has no accelerators, and no error."""
    assert () == collect_environment(tmp_path, {}, lambda _: None).accelerators


def test_the_model_is_the_makers_name(tmp_path: Path) -> None:
    """On x86 the model is what cpuinfo calls the processor."""
    assert "Intel(R) Xeon(R) Platinum 8480+" == cpu_of(tmp_path, {"proc/cpuinfo": XEON}).model


def test_features_are_those_that_matter(tmp_path: Path) -> None:
    """Only instruction sets that inference uses are listed."""
    cpu = cpu_of(tmp_path, {"proc/cpuinfo": XEON})

    assert ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16") == cpu.features


def test_an_arm_core_is_named_by_its_part_number(tmp_path: Path) -> None:
    """Arm kernels give numbers; the known ones become names."""
    assert "Neoverse-V2" == cpu_of(tmp_path, {"proc/cpuinfo": GRACE}).model


def test_asimd_is_called_neon(tmp_path: Path) -> None:
    """The same unit has one name on 32-bit and 64-bit Arm."""
    features = cpu_of(tmp_path, {"proc/cpuinfo": GRACE}).features

    assert ("neon", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2") == features


def test_threads_of_one_core_count_once(tmp_path: Path) -> None:
    """Physical cores are distinct pairs of package and core."""
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (0, 1), (1, 0), (1, 1)]
    tree = {
        f"sys/devices/system/cpu/cpu{i}/topology/{name}": str(value)
        for i, pair in enumerate(pairs)
        for name, value in zip(("physical_package_id", "core_id"), pair, strict=True)
    }
    cpu = cpu_of(tmp_path, tree)

    assert (2, 4) == (cpu.sockets, cpu.cores_physical)


def test_governors_that_differ_are_all_named(tmp_path: Path) -> None:
    """A machine whose cores have two governors says both."""
    folder = "sys/devices/system/cpu/cpufreq"
    tree = {
        f"{folder}/policy0/scaling_governor": "powersave\n",
        f"{folder}/policy1/scaling_governor": "performance\n",
    }

    assert "performance,powersave" == cpu_of(tmp_path, tree).governor


def test_the_highest_clock_is_in_mhz(tmp_path: Path) -> None:
    """The kernel gives kHz; the fastest core counts."""
    folder = "sys/devices/system/cpu/cpufreq"
    tree = {f"{folder}/policy0/cpuinfo_max_freq": "3800000", f"{folder}/policy8/cpuinfo_max_freq": "5100000"}

    assert 5100.0 == cpu_of(tmp_path, tree).clock_max_mhz


@pytest.mark.parametrize(
    ("path", "text", "turbo"),
    [("intel_pstate/no_turbo", "0", True), ("intel_pstate/no_turbo", "1", False), ("cpufreq/boost", "0", False)],
)
def test_turbo_is_read_from_either_driver(tmp_path: Path, path: str, text: str, turbo: bool) -> None:
    """Intel's driver says "no turbo", the others "boost"."""
    assert turbo is cpu_of(tmp_path, {f"sys/devices/system/cpu/{path}": text}).turbo


@pytest.mark.parametrize(
    "tree",
    [
        {"proc/self/cgroup": "0::/pod/box", "sys/fs/cgroup/pod/cpu.max": "50000 100000"},
        {
            "proc/self/cgroup": "0::/pod/box",
            "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
            "sys/fs/cgroup/cpu.max": "50000 100000",
        },
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/box",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        },
    ],
)
def test_a_quota_of_the_group_or_an_ancestor_cuts_the_usable_cores(tmp_path: Path, tree: dict[str, str]) -> None:
    """Half a core of quota is half a core to use, in both versions of cgroups."""
    assert 0.5 == cpu_of(tmp_path, tree).cores_usable


@pytest.mark.parametrize(
    "tree",
    [
        {"proc/self/cgroup": "0::/box", "sys/fs/cgroup/box/memory.max": "1073741824\n"},
        {"proc/self/cgroup": "3:memory:/box", "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1073741824"},
        {"proc/self/cgroup": "3:memory:/of/the/host", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824"},
    ],
)
def test_the_memory_limit_is_the_groups(tmp_path: Path, tree: dict[str, str]) -> None:
    """The limit is found in both versions, and where a container sees only its own group."""
    assert 2**30 == host_of(tmp_path, tree).memory_limit_bytes


@pytest.mark.parametrize("text", ["max", "9223372036854771712"])
def test_no_memory_limit_is_none(tmp_path: Path, text: str) -> None:
    """The words for "no limit" are not taken for a limit."""
    tree = {
        "proc/self/cgroup": "0::/\n3:memory:/",
        "sys/fs/cgroup/memory.max": text,
        "sys/fs/cgroup/memory/memory.limit_in_bytes": text,
    }

    assert host_of(tmp_path, tree).memory_limit_bytes is None


def test_the_system_is_the_distributions_pretty_name(tmp_path: Path) -> None:
    """The distribution names itself in os-release."""
    tree = {"etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian'}

    assert "Debian GNU/Linux 12 (bookworm)" == host_of(tmp_path, tree).os


def test_the_machine_is_maker_and_model(tmp_path: Path) -> None:
    """The firmware's maker and product name the machine; its serial is not read."""
    tree = {
        "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
        "sys/class/dmi/id/product_name": "XPS 13 9310\n",
        "sys/class/dmi/id/product_serial": "SECRET",
    }

    assert "Dell Inc. XPS 13 9310" == host_of(tmp_path, tree).machine


def test_a_board_names_itself_in_the_device_tree(tmp_path: Path) -> None:
    """Arm boards without firmware tables have a device tree."""
    tree = {"proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"}

    assert "NVIDIA Jetson AGX Orin Developer Kit" == host_of(tmp_path, tree).machine


@pytest.mark.parametrize(
    ("vendor", "product", "cpuinfo", "kind"),
    [
        ("QEMU", "Standard PC (Q35)", XEON, "qemu"),
        ("Amazon EC2", "m7i.large", XEON, "amazon"),
        ("Amazon EC2", "m7i.metal-24xl", "flags : avx2", "none"),
        ("Microsoft Corporation", "Virtual Machine", XEON, "microsoft"),
        ("Microsoft Corporation", "Surface Pro 9", "flags : avx2", "none"),
        ("", "", XEON, "unnamed hypervisor"),
        ("", "", GRACE, None),
    ],
)
def test_virtualisation_is_read_from_firmware_and_flags(
    tmp_path: Path, vendor: str, product: str, cpuinfo: str, kind: str | None
) -> None:
    """Without systemd, firmware names and the hypervisor flag tell; Arm without either is unknown."""
    tree = {
        "sys/class/dmi/id/sys_vendor": vendor,
        "sys/class/dmi/id/product_name": product,
        "proc/cpuinfo": cpuinfo,
    }

    assert kind == host_of(tmp_path, tree).virtualization


def test_systemd_is_believed_first(tmp_path: Path) -> None:
    """What systemd-detect-virt says stands, "none" included."""
    assert "none" == host_of(tmp_path, {"proc/cpuinfo": XEON}, detected="none").virtualization


@pytest.mark.parametrize(
    ("tree", "environ", "kind"),
    [
        ({".dockerenv": ""}, {}, "docker"),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({"proc/1/cgroup": "0::/kubepods/pod1/x"}, {}, "kubepods"),
        ({"proc/1/cgroup": "0::/init.scope"}, {}, "none"),
        ({}, {}, None),
    ],
)
def test_containers_are_told_by_their_traces(
    tmp_path: Path, tree: dict[str, str], environ: dict[str, str], kind: str | None
) -> None:
    """Each kind of container leaves a file, a variable or a group; a system without groups is unknown."""
    assert kind == host_of(tmp_path, tree, environ).container


def test_versions_are_of_installed_packages_only() -> None:
    """A missing package has no entry."""
    versions = collect_packages(["numpy", "no-such-package-anywhere"])

    assert ["numpy"] == list(versions)


def test_variables_that_change_performance_are_kept() -> None:
    """Thread and device settings are recorded by name, in order."""
    environ = {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0,1", "KMP_AFFINITY": "granularity=fine,compact,1,0"}

    assert dict(sorted(environ.items())) == collect_variables(environ)


def test_other_variables_are_left_out() -> None:
    """Secrets, hosts and users never reach a result."""
    assert {} == collect_variables({"HF_TOKEN": "hf_x", "USER": "ann", "HOSTNAME": "lab7", "HOME": "/home/ann"})


def test_a_path_in_a_setting_is_not_shown() -> None:
    """A path may hold a user's name."""
    assert {"OMP_TOOL_LIBRARIES": "(set, not shown)"} == collect_variables({"OMP_TOOL_LIBRARIES": "/home/ann/t.so"})


def test_preloaded_libraries_are_named_without_their_folder() -> None:
    """The allocator matters, the folder does not."""
    shown = collect_variables({"LD_PRELOAD": "/home/ann/lib/libtcmalloc.so.4:/opt/libx.so"})

    assert {"LD_PRELOAD": "libtcmalloc.so.4 libx.so"} == shown
