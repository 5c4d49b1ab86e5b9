"""The lines of a result on several devices: what each of them drew."""

from collections.abc import Iterator

from wattbench.harness.power.ladder import rungs
from wattbench.results.covers import device_name, devices_of
from wattbench.results.document import Result
from wattbench.results.stats import median

__all__ = ["device_lines"]


def device_lines(result: Result) -> Iterator[str]:
    """Yield each device's median power over the repeats; nothing for a single device or without a sensor."""
    devices = devices_of(result.power.covers)
    for uuid in devices if len(devices) > 1 else ():
        found = [
            rung.mean_power_w
            for repeat in result.repeats
            for rung in rungs(repeat.energy)
            if rung.covers is not None and device_name(rung.covers) == device_name(uuid)
        ]
        known = [watts for watts in found if watts is not None]
        if known:
            yield f"{_names(result).get(device_name(uuid), uuid)}: {median(known):.1f} W"


def _names(result: Result) -> dict[str, str]:
    """Return the framework's names of the devices by those of the sensors."""
    ranks = result.backend.ranks if result.backend is not None else ()
    return {device_name(rank.covers): f"{rank.device} ({rank.covers})" for rank in ranks if rank.covers is not None}
