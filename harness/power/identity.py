"""Whose sensor it is: a board by its UUID, anything else by what it covers and the machine that it is in."""

import hashlib
import platform
from pathlib import Path

from wattbench.harness.accelerator_facts import collect_accelerators
from wattbench.results.energy import ChannelRecord

__all__ = ["BoardFacts", "board_facts", "device_of", "facts_of", "machine_name"]

MACHINE_ID = Path("/etc/machine-id")

BoardFacts = dict[str, tuple[str | None, str | None]]
"""By UUID in lower case, without the vendor's prefix: a board's name and its driver."""


def machine_name(path: Path = MACHINE_ID) -> str:
    """Return a name that tells this machine from others: a digest of its machine-id (which is private), else its host.

    Home folders are shared between machines, and a processor has no UUID.
    """
    try:
        text = path.read_text().strip()
    except OSError:
        text = ""
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else platform.node()


def device_of(channel: ChannelRecord) -> str:
    """Return the device whose sensor a channel is: its UUID, or "cpu:0@MACHINE", "node@MACHINE"."""
    covers = channel.covers
    if covers is None or _bare(covers).split(":")[0] == "cpu":
        return f"{covers or channel.scope}@{machine_name()}"
    return covers


def board_facts() -> BoardFacts:
    """Return the names and drivers of the accelerators of this machine."""
    return {_bare(a.uuid): (a.name, a.driver) for a in collect_accelerators() if a.uuid is not None}


def facts_of(device: str, boards: BoardFacts) -> tuple[str | None, str | None]:
    """Return a device's name and driver, None where they are not known."""
    return boards.get(_bare(device), (None, None))


def _bare(uuid: str) -> str:
    return uuid.lower().removeprefix("gpu-")
