"""Serving hosts that are read from afar: how channels name theirs, and the energies of all of them together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from wattbench.results.energy import ChannelEnergy, ChannelRecord
from wattbench.results.errors import UsageError

__all__ = ["DEPLOYMENT", "SAMPLER", "as_on_host", "at_host", "by_host", "host_of", "require_hosts_alone"]

DEPLOYMENT = "deployment"
"""What a rung covers that adds up every serving host: whatever device is under test is in one of them."""

SAMPLER = "agent"
"""The sampler that reads serving hosts; it leads the names of their channels, and the host follows."""

_AT = "@"
"""Parts a device from its host in `covers` ("GPU-1@gpu7:8477", "@gpu7:8477" for the whole host); no device has it."""


def at_host(covers: str | None, host: str) -> str:
    """Return what a channel covers, named with the host that it is of."""
    return f"{covers or ''}{_AT}{host}"


def host_of(covers: str | None) -> str | None:
    """Return the serving host that a channel is of, None for one of this machine."""
    return None if covers is None or _AT not in covers else covers.partition(_AT)[2]


def by_host(energies: Iterable[ChannelEnergy]) -> list[list[ChannelEnergy]]:
    """Return the energies of each serving host; those of this machine are left out."""
    found: dict[str, list[ChannelEnergy]] = {}
    for energy in energies:
        host = host_of(energy.covers)
        if host is not None:
            found.setdefault(host, []).append(energy)
    return list(found.values())


def as_on_host(energy: ChannelEnergy) -> ChannelEnergy:
    """Return an energy of a serving host with its channel, and what that covers, named as on the host itself."""
    here, _, host = (energy.covers or "").partition(_AT)
    return replace(energy, channel=energy.channel.removeprefix(f"{SAMPLER}:{host}:"), covers=here or None)


def require_hosts_alone(channels: Sequence[ChannelRecord], boots: Sequence[str]) -> None:
    """Raise UsageError where serving hosts are mixed with sensors of this machine, or one of them is named twice."""
    remote = [c for c in channels if host_of(c.covers) is not None]
    if remote and len(remote) < len(channels):
        here = next(c.sampler for c in channels if host_of(c.covers) is None)
        raise UsageError(
            f"The power sources agent and {here} cannot be used together",
            "the agents' hosts are what is measured, and it is not clear whether this machine belongs to them",
            "Name agents alone, and run one here too if this machine serves (docs/agent.md).",
        )
    if len(set(boots)) < len(boots):
        raise UsageError("One agent is named twice", "its watts would be added twice", "Name each host once.")
