"""Turning a failed read of one channel into a reading that says why."""

from collections.abc import Callable

from wattbench.harness.power.contract import Reading
from wattbench.results.errors import SensorError

__all__ = ["answer", "fault_of"]


def answer(channel: str, read: Callable[[], float]) -> Reading:
    """Return what a read gives as a reading, or one without a value and with the cause."""
    try:
        return Reading(channel=channel, value=read())
    except SensorError as exc:
        return Reading(channel=channel, value=None, error=f"{exc.what}: {exc.why}")


def fault_of(read: Callable[[], object]) -> SensorError | None:
    """Return why a read fails now, or None."""
    try:
        read()
    except SensorError as exc:
        return exc
    return None
