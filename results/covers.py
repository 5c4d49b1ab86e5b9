"""What is under test, in the words of power sensors: one device's UUID or "cpu", or several joined as "GPU-a+GPU-b"."""

from collections.abc import Iterable

__all__ = ["PHONE", "covers_of", "device_name", "devices_of", "is_among", "is_elsewhere"]

JOINT = "+"
"""No name of a device has it: UUIDs, "cpu:0", "pci:0000:03:00.0", "neuron:0", "soc"."""


PHONE = "phone"
"""A phone behind a cable or a network: none of this machine's sensors sees it."""


def covers_of(devices: Iterable[str | None]) -> str | None:
    """Return several devices as one word, each once; None when one of them is unknown."""
    names = tuple(dict.fromkeys(devices))
    return None if None in names or not names else JOINT.join(str(name) for name in names)


def devices_of(covers: str | None) -> tuple[str, ...]:
    """Return the devices in such a word, none for None."""
    return () if covers is None else tuple(covers.split(JOINT))


def is_among(device: str | None, covers: str | None) -> bool:
    """Return whether a device is one of those in `covers`, however a framework writes its UUID."""
    return device is not None and device_name(device) in {device_name(one) for one in devices_of(covers)}


def is_elsewhere(covers: str | None) -> bool:
    """Return whether what is under test is no part of this machine, so that this one's state says nothing of it."""
    return covers == PHONE


def device_name(device: str) -> str:
    """Return a device's name without the vendor's prefix of its UUID, in lower case ("cpu:0" is part of "cpu")."""
    name = device.lower()
    return "cpu" if name.split(":")[0] == "cpu" else name.removeprefix("gpu-")
