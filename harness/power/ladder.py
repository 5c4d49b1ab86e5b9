"""The ladder of scopes: which energies may be added, what each rung includes, and which one is the device's own."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from wattbench.harness.power.hosts import DEPLOYMENT, as_on_host, by_host, host_of
from wattbench.harness.power.supplies import supply_of
from wattbench.results.covers import device_name, devices_of, is_among
from wattbench.results.energy import ChannelEnergy, ChannelRecord
from wattbench.results.rungs import RungEnergy

__all__ = ["absent_rung", "no_rung_reason", "primary_rung", "rungs", "seeing"]

_BOUNDARY = {
    "board": "accelerator board, by its own sensor; not: host CPU, memory, disks, fans, power supply",
    "module": "accelerator module with all that is soldered to it, by its own sensor; not: disks, fans, power supply",
    "package": "CPU packages; not: DRAM outside the packages, board, disks, fans, power supply",
    "package:soc": "one chip with CPU, GPU and neural engine; not: DRAM, board, screen, disks, power supply",
    "package+dram:soc": "one chip with CPU, GPU and neural engine, and DRAM; not: board, screen, disks, power supply",
    "package+dram": "CPU packages and DRAM; not: board, disks, fans, power supply",
    "psys": "platform as the processor sees it (psys), its extent set by the board's maker; not: power supply losses",
    "node": "whole machine behind its power supply or battery; not: power supply losses, cooling of the room",
    "node:phone": "whole phone behind its battery, with screen, radios and adb; not: losses of its charger",
    "wall": "whole machine at the wall socket; not: cooling of the room",
}

_OWN_SENSOR = ", by its own sensor"

_ORDER = ("board", "package+dram", "package", "module", "psys", "node", "wall")
"""The narrowest view of the device first; wider ones stand in only where no narrower one sees it."""

_WIDE = ("psys", "node", "wall")
"""Scopes that take in whatever device the machine has."""

_CHIP = "soc"
"""What the sensors of a machine cover whose one chip holds every processor (Jetson, Apple): any device is on it."""

Seer = TypeVar("Seer", RungEnergy, ChannelRecord)


def rungs(energies: Sequence[ChannelEnergy], covers: str | None = None) -> tuple[RungEnergy, ...]:
    """Return the rungs of one window, narrowest scope first: which energies may be added, and what each sum means.

    CPU packages are added over sockets, and DRAM to them where every package has its own; boards and modules stand
    alone, with their sum where there are several, and with that of the devices in `covers` where several are under test
    and each has its own; psys, node and wall are never added to anything (but the supplies of one machine, "supply
    1/2", to each other), and scope "other" (cores, uncore, unknown rails) makes no rung. Two samplers' views of the
    same thing are never added, and psys has the first one's. A sum with one unknown member is unknown, with that
    member's reason. Serving hosts that are read from afar make rungs of their own: a scope that each of them has, added
    up over all.
    """
    found = _deployment_rungs(by_host(energies))
    energies = [e for e in energies if host_of(e.covers) is None]
    for scope in ("board", "module"):
        views = _first_views(energies, scope)
        found += [_rung(scope, e.covers, [e]) for e in views]
        together = _together(views, covers)
        found += [_rung(scope, covers, together)] if together else []
        found += [_rung(scope, "all", views)] if len(views) > max(1, len(together)) else []
    found += _host_rungs(energies)
    for scope in _WIDE:
        views = _one_sampler(energies, scope) if scope == "psys" else [e for e in energies if e.scope == scope]
        found += _wide_rungs(scope, views)
    return tuple(found)


def primary_rung(found: Sequence[RungEnergy], covers: str | None) -> RungEnergy | None:
    """Return the rung that stands for a device under test ("cpu", a UUID; None: unknown which), or None.

    The narrowest scope that sees the device, known energies first; a whole-node rung stands in where nothing closer
    is read. Only such a rung stands for an unknown device, or the one chip of a machine, or the board where there is
    exactly one. Choose once per run and follow the rung's `name` through the windows, so that scopes never mix.
    """
    whole = [r for r in seeing(found, covers) if _sees_all(r, covers)]
    return min(whole, key=lambda r: (r.energy_j is None, _ORDER.index(r.scope)), default=None)


def seeing(found: Sequence[Seer], covers: str | None) -> list[Seer]:
    """Return the rungs or channels that see a device, by the rule of `primary_rung`; scope "other" sees nothing.

    Where several devices are under test, so do those that see one of them.
    """
    boards = [r for r in found if r.scope in ("board", "module")]
    only = covers is None and len({r.covers for r in boards}) == 1
    return [r for r in found if _sees(r.scope, r.covers, covers) or (only and r in boards)]


def no_rung_reason(found: Sequence[RungEnergy], covers: str | None) -> str:
    """Return why no rung stands for a device, in one sentence."""
    seen = ", ".join(r.name for r in found)
    missing = [one for one in devices_of(covers) if not any(is_among(one, r.covers) for r in found)]
    what = " or ".join(missing or devices_of(covers)) or "the device"
    return f"no sensor sees {what} (read were: {seen or 'none with a known scope'})"


def absent_rung(found: Sequence[RungEnergy], covers: str | None) -> RungEnergy:
    """Return the rung of a device that no sensor sees: its energy is None, with `no_rung_reason`.

    It stands where the device's own rung would, so that no other device's energy is taken for it.
    """
    return RungEnergy(
        name=f"device:{covers or 'unknown'}",
        scope="package" if covers is not None and device_name(covers) == "cpu" else "board",
        covers=covers,
        boundary="the device under test, which no sensor sees",
        provenance=found[0].provenance if found else "measured",
        channels=(),
        energy_j=None,
        energy_net_j=None,
        mean_power_w=None,
        method="unknown",
        u_absolute_rel=None,
        u_comparison_rel=None,
        reason=no_rung_reason(found, covers),
    )


def _deployment_rungs(hosts: Sequence[Sequence[ChannelEnergy]]) -> list[RungEnergy]:
    """Return a rung for each scope that every serving host has a view of: the sum of these views.

    A host's view of a scope is its widest one: all of its boards together, all of its packages.
    """
    ladders = [rungs([as_on_host(e) for e in energies]) for energies in hosts]
    count = "the serving host" if len(hosts) == 1 else f"all {len(hosts)} serving hosts"
    found = []
    for scope in _ORDER:
        each = [_widest(ladder, scope, energies) for ladder, energies in zip(ladders, hosts, strict=True)]
        if each and all(each):
            rung = _rung(scope, DEPLOYMENT, [e for members in each for e in members])
            found.append(replace(rung, boundary=f"{count}, read by an agent there: {rung.boundary}"))
    return found


def _widest(found: Sequence[RungEnergy], scope: str, energies: Sequence[ChannelEnergy]) -> list[ChannelEnergy]:
    """Return the members of a host's rung of a scope, of the one with the most of them; none without such a rung."""
    rung = max((r for r in found if r.scope == scope), key=lambda r: len(r.channels), default=None)
    return [] if rung is None else [e for e in energies if as_on_host(e).channel in rung.channels]


def _host_rungs(energies: Sequence[ChannelEnergy]) -> list[RungEnergy]:
    packages = _one_sampler(energies, "package")
    if not packages:
        return []
    sampler = _sampler(packages[0])
    drams = [e for e in energies if e.scope == "dram" and _sampler(e) == sampler]
    covers = _CHIP if {e.covers for e in packages} == {_CHIP} else "cpu"
    host = [_rung("package", covers, packages)]
    if {e.covers for e in drams} == {e.covers for e in packages}:
        host.insert(0, _rung("package+dram", covers, [*packages, *drams]))
    return host


def _wide_rungs(scope: str, energies: Sequence[ChannelEnergy]) -> list[RungEnergy]:
    """Return a rung for each view of the whole machine, and one for its power supplies together.

    A second view of the same scope carries its channel in its name, so that no two rungs have one name.
    """
    supplies = [e for e in energies if supply_of(e.covers) is not None]
    found = [_rung(scope, None, supplies)] if supplies else []
    found += [_rung(scope, _whole(e.covers), [e]) for e in energies if e not in supplies]
    names = [rung.name for rung in found]
    return [
        replace(rung, name=f"{rung.name}:{rung.channels[0]}") if rung.name in names[:i] else rung
        for i, rung in enumerate(found)
    ]


def _whole(covers: str | None) -> str | None:
    """Return what a rung covers: a machine's only supply ("supply 1/1") is the whole machine."""
    return None if covers == "supply 1/1" else covers


def _one_sampler(energies: Sequence[ChannelEnergy], scope: str) -> list[ChannelEnergy]:
    """Return the energies of a scope from the sampler that sees most of them, the first one on a tie."""
    every = [e for e in energies if e.scope == scope]
    samplers = list(dict.fromkeys(_sampler(e) for e in every))
    best = max(samplers, key=lambda s: sum(_sampler(e) == s for e in every), default="")
    return [e for e in every if _sampler(e) == best]


def _first_views(energies: Sequence[ChannelEnergy], scope: str) -> list[ChannelEnergy]:
    """Return one energy per covered device: the first sampler's."""
    by_device: dict[str | None, ChannelEnergy] = {}
    for energy in energies:
        if energy.scope == scope:
            by_device.setdefault(energy.covers, energy)
    return list(by_device.values())


def _sampler(energy: ChannelEnergy) -> str:
    return energy.channel.split(":", 1)[0]


def _rung(scope: str, covers: str | None, members: Sequence[ChannelEnergy]) -> RungEnergy:
    reasons = [e.reason for e in members if e.reason is not None]
    energy_j = _sum([e.energy_j for e in members])
    power_w = _sum([e.mean_power_w for e in members])
    boundary = _BOUNDARY.get(f"{scope}:{covers}", _BOUNDARY[scope])
    if any(e.provenance == "declared" for e in members):
        boundary = f"{boundary.replace(_OWN_SENSOR, '')}; watts declared, not measured"
    return RungEnergy(
        name=scope if covers is None else f"{scope}:{covers}",
        scope=scope,
        covers=covers,
        boundary=boundary if len(members) == 1 else f"{boundary} ({len(members)} sensors added)",
        provenance=members[0].provenance,
        channels=tuple(e.channel for e in members),
        energy_j=energy_j,
        energy_net_j=_sum([e.energy_net_j for e in members]),
        mean_power_w=power_w,
        method="+".join(dict.fromkeys(e.method or "unknown" for e in members)),
        u_absolute_rel=_added_u_rel(members, [e.u_absolute_rel for e in members], correlated=True),
        u_comparison_rel=_added_u_rel(members, [e.u_comparison_rel for e in members], correlated=False),
        reason="; ".join(reasons) or None,
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return math.fsum(known) if len(known) == len(values) else None


def _added_u_rel(members: Sequence[ChannelEnergy], shares: Sequence[float | None], *, correlated: bool) -> float | None:
    """Return the relative uncertainty of the sum: sensors of one make share their gain error, not their edges."""
    parts = [e.energy_j * u for e, u in zip(members, shares, strict=True) if e.energy_j is not None and u is not None]
    total_j = _sum([e.energy_j for e in members])
    if total_j is None or len(parts) < len(members):
        return None
    return (math.fsum(parts) if correlated else math.hypot(*parts)) / total_j


def _sees(scope: str, seen: str | None, covers: str | None) -> bool:
    if seen == DEPLOYMENT or host_of(seen) is not None:
        return scope != "other"
    if scope in _WIDE or scope == "other":
        return scope != "other" and supply_of(seen) is None
    if seen == _CHIP:
        return True
    return any(is_among(one, covers) for one in devices_of(seen))


def _sees_all(rung: RungEnergy, covers: str | None) -> bool:
    """Return whether a rung that sees one of the devices under test sees each of them, and no other device."""
    if covers is None or rung.scope in _WIDE or rung.covers in (_CHIP, DEPLOYMENT):
        return True
    return {device_name(one) for one in devices_of(rung.covers)} == {device_name(one) for one in devices_of(covers)}


def _together(views: Sequence[ChannelEnergy], covers: str | None) -> list[ChannelEnergy]:
    """Return the views of the devices in `covers`, to be added; none unless there are several and all are seen."""
    devices = devices_of(covers)
    found = [next((v for v in views if is_among(v.covers, one)), None) for one in devices]
    return [view for view in found if view is not None] if len(devices) > 1 and None not in found else []
