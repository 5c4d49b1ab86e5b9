"""When a device counts as lost, and when only its point failed."""

import pytest

from wattbench.harness.sweep.interleave import DeviceWatch
from wattbench.results.errors import DeviceError, OutOfMemoryError, StorageError, WattbenchError, WorkerError

GONE = DeviceError("The device was lost")


@pytest.mark.parametrize(
    ("failures", "lost"),
    [
        ([(GONE, "measure"), (GONE, "prepare")], True),
        ([(WorkerError("It died"), "warm-up"), (GONE, "tuning")], True),
        ([(GONE, "measure")], False),
        ([(GONE, "prepare"), (GONE, "prepare")], False),
        ([(GONE, "measure"), (OutOfMemoryError("Too big"), "prepare")], False),
        ([(StorageError("Disk full"), "measure"), (StorageError("Disk full"), "measure")], False),
    ],
)
def test_a_device_is_lost_when_it_fails_at_work_and_then_again(
    failures: list[tuple[WattbenchError, str]], lost: bool
) -> None:
    """One failure, two that were never at work, a full memory or disk: these are the points' own."""
    watch = DeviceWatch()
    for error, phase in failures:
        watch.failed(error, phase)

    assert lost == watch.lost


def test_a_device_that_works_in_between_is_not_lost() -> None:
    """Any success clears the suspicion."""
    watch = DeviceWatch()
    watch.failed(GONE, "measure")
    watch.worked()
    watch.failed(GONE, "measure")

    assert not watch.lost
