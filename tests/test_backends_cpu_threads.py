"""How many CPU threads compute by default."""

from pathlib import Path

import pytest

from wattbench.backends.cpu_threads import default_threads, threads_for


def machine(root: Path, *, siblings: dict[int, str], cgroup: str = "", quotas: dict[str, str] | None = None) -> Path:
    """Write a machine's topology, and the cgroups of this process, under a folder."""
    for processor, names in siblings.items():
        folder = root / f"sys/devices/system/cpu/cpu{processor}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(names + "\n")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for path, text in (quotas or {}).items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


PAIRS = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
"""Two physical cores with two hardware threads each."""


def test_siblings_count_once(tmp_path: Path) -> None:
    """Four hardware threads of two cores give two threads."""
    assert 2 == default_threads(machine(tmp_path, siblings=PAIRS), frozenset(range(4)))


def test_only_allowed_processors_count(tmp_path: Path) -> None:
    """A process that may use one core of two computes with one thread."""
    assert 1 == default_threads(machine(tmp_path, siblings=PAIRS), frozenset({0, 2}))


@pytest.mark.parametrize(("quota", "threads"), [("150000 100000", 2), ("100000 100000", 1), ("max 100000", 4)])
def test_a_quota_limits_rounded_up(tmp_path: Path, quota: str, threads: int) -> None:
    """A cgroup's quota of 1.5 CPUs allows two threads; "max" does not limit."""
    alone = {n: str(n) for n in range(4)}
    root = machine(tmp_path, siblings=alone, cgroup="0::/job/one\n", quotas={"job/cpu.max": quota})

    assert threads == default_threads(root, frozenset(range(4)))


def test_quotas_of_the_first_cgroup_version_are_read(tmp_path: Path) -> None:
    """A quota that the controller "cpu" states in microseconds counts as well."""
    quotas = {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"}
    cgroup = "3:cpuset:/other\n2:cpu,cpuacct:/job\n"
    root = machine(tmp_path, siblings={n: str(n) for n in range(4)}, cgroup=cgroup, quotas=quotas)

    assert 2 == default_threads(root, frozenset(range(4)))


def test_what_the_system_does_not_tell_does_not_limit(tmp_path: Path) -> None:
    """Without topology and cgroups every allowed processor computes."""
    assert 3 == default_threads(tmp_path, frozenset({0, 5, 7}))


def test_there_is_always_one() -> None:
    """Whatever machine runs the tests, at least one thread computes."""
    assert default_threads() >= 1


def test_what_is_asked_for_comes_before_any_default() -> None:
    """A number of threads stands; without one, the processors that are bound to limit it."""
    assert 7 == threads_for(7, (0,))
    assert 1 == threads_for(None, (0,))
