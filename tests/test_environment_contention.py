"""Who used the processor between two readings."""

import os
import subprocess
import sys

import pytest

from wattbench.harness.contention import CpuTimes, cpu_use, read_cpu_times


def times(
    *, at_s: float, busy_s: float, parent_s: float = 0.0, worker_s: float | None = None, steal_s: float | None = 0.0
) -> CpuTimes:
    """Return a reading of a machine with two cores."""
    return CpuTimes(
        at_ns=int(at_s * 1e9),
        total_s=2 * at_s,
        busy_s=busy_s,
        steal_s=steal_s,
        parent_s=parent_s,
        worker_s=worker_s,
    )


START = times(at_s=1, busy_s=1, parent_s=0.5, worker_s=0)


def test_the_rest_is_somebody_elses() -> None:
    """What neither worker nor parent used, others did."""
    use = cpu_use(START, times(at_s=11, busy_s=13, parent_s=1, worker_s=9.5))

    assert 2.0 == use.other_s


def test_without_a_worker_the_rest_is_what_the_parent_did_not_use() -> None:
    """Idle windows have no worker."""
    use = cpu_use(times(at_s=1, busy_s=0), times(at_s=11, busy_s=5, parent_s=1))

    assert 4.0 == use.other_s


def test_a_lack_within_the_ticks_is_nobody() -> None:
    """The machine's count may lag its parts by a few ticks."""
    use = cpu_use(START, times(at_s=11, busy_s=10.95, parent_s=0.5, worker_s=10))

    assert 0.0 == use.other_s


def test_a_count_smaller_than_its_parts_is_unknown() -> None:
    """A system that does not count its processes' time cannot say what others used."""
    use = cpu_use(START, times(at_s=11, busy_s=1, parent_s=0.5, worker_s=10))

    assert use.other_s is None


def test_a_worker_that_is_gone_leaves_its_share_unknown() -> None:
    """Its time would be taken for that of others."""
    use = cpu_use(START, times(at_s=11, busy_s=11, parent_s=0.5, worker_s=None))

    assert (None, None) == (use.worker_s, use.other_s)


def test_steal_is_unknown_where_the_system_does_not_tell() -> None:
    """No word of the hypervisor is None, not 0."""
    use = cpu_use(times(at_s=1, busy_s=0, steal_s=None), times(at_s=2, busy_s=1, steal_s=None))

    assert use.steal_s is None


def test_the_busy_share_is_of_all_cores() -> None:
    """One busy core of two is a half."""
    use = cpu_use(times(at_s=1, busy_s=1), times(at_s=11, busy_s=11))

    assert 0.5 == use.busy_share


def test_readings_out_of_order_are_refused() -> None:
    """A difference needs time between."""
    with pytest.raises(ValueError, match="not after the first"):
        cpu_use(START, START)


def test_this_process_has_used_time() -> None:
    """The readings of the machine at hand hold this process."""
    now = read_cpu_times(os.getpid())

    assert 0 < now.parent_s <= now.busy_s


def test_a_worker_counts_with_the_children_it_outlived() -> None:
    """Time of a grandchild that has ended stays in the worker's sum."""
    grandchild = "import time; [0 for _ in iter(lambda: time.process_time() > 0.3, True)]"
    child = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}]); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        seen = read_cpu_times(worker.pid).worker_s
        worker.communicate(b"\n")

    assert seen is not None
    assert seen >= 0.3


def test_a_worker_that_does_not_exist_is_unknown() -> None:
    """A dead worker has no reading, and no error."""
    assert read_cpu_times(2**22 + 1).worker_s is None  # above the largest number that Linux gives
