"""Every energy of a run from its raw polls alone: pure, so that anyone can compute it again."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from wattbench.harness.power.alias import Rhythm, rhythms
from wattbench.harness.power.corrections import corrected, own_calibration, wider
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.ladder import absent_rung, primary_rung, rungs, seeing
from wattbench.harness.power.net import with_net_uncertainty
from wattbench.harness.power.phases import phase_energies
from wattbench.harness.power.series import Log, series_of
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.energy import ChannelEnergy, ChannelRecord, PowerRecord
from wattbench.results.measurement import IdleRecord, Repeat, Window
from wattbench.results.rungs import PhaseEnergies, RungEnergy

__all__ = ["Derived", "derive", "idle_rung_w", "ladder", "primary_name", "source_energies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What the polls give: the idle windows and repeats with their energies, and what the repeats add up to.

    `rung_energies` and `phases` have one entry a repeat, empty without a sensor; `idle_power_w` is by rung name.
    """

    idle: tuple[IdleRecord, ...]
    repeats: tuple[Repeat, ...]
    rung_energies: tuple[tuple[RungEnergy, ...], ...]
    idle_power_w: dict[str, float]
    phases: tuple[PhaseEnergies | None, ...]


def derive(power: PowerRecord, idle: Sequence[IdleRecord], repeats: Sequence[Repeat], *, rate_hz: float) -> Derived:
    """Return every energy of a run.

    Used are of `power` its channels (with the facts that held), polls, calibrations and device, of the windows their
    times and work.
    """
    if not power.channels:
        return Derived(idle=tuple(idle), repeats=tuple(repeats), rung_energies=(), idle_power_w={}, phases=())

    log = {channel.id: series_of(channel, power.polls) for channel in power.channels}

    energies = partial(
        source_energies,
        power.channels,
        log,
        rate_hz=rate_hz,
        calibrations=power.calibrations,
        covers=power.covers,
    )
    rested = tuple(replace(record, energy=tuple(energies(record.window))) for record in idle)
    worked = tuple(
        replace(
            repeat, energy=tuple(energies(repeat.window, idle=rested, load=rhythms(repeat.completions, repeat.window)))
        )
        for repeat in repeats
    )
    name = primary_name(worked[0].energy, power.covers) if worked else None
    ladders = tuple(ladder(repeat.energy, power.covers, name) for repeat in worked)
    return Derived(
        idle=rested,
        repeats=worked,
        rung_energies=ladders,
        idle_power_w=idle_rung_w(rested, power.covers),
        phases=tuple(
            _phases(power, log, steps[0], repeat, rate_hz) for steps, repeat in zip(ladders, worked, strict=True)
        ),
    )


def source_energies(
    channels: Sequence[ChannelRecord],
    polls: Log,
    window: Window,
    *,
    rate_hz: float,
    idle: Sequence[IdleRecord] | None = None,
    load: Sequence[Rhythm] = (),
    calibrations: Sequence[CalibrationRecord] = (),
    covers: str | None = None,
) -> list[ChannelEnergy]:
    """Return the energy of every source over a window; `idle` gives the power that net energy is counted from.

    What has a calibration is corrected by it. Where a calibration's boundary is wider than its sensor's scope, and the
    sensor sees the device `covers`, the energy there follows, unless another source has that scope.
    """
    own = {c.group for c in seeing(channels, covers)} if calibrations else set()
    found, beyond = [], []
    for group in groups_of(channels):
        name = group[0].group
        rested, after = (_idle_of({c.id for c in group}, idle or (), state) for state in ("loaded", "after"))
        idle_w = None if rested is None else rested.mean_power_w
        raw = channel_energy(group, polls, window, rate_hz=rate_hz, idle_power_w=idle_w, load=load)
        own_energy = corrected(raw, own_calibration(calibrations, name), window.duration_s, idle_w)
        found.append(with_net_uncertainty(own_energy, rested, after, window.duration_s))
        wide = wider(calibrations, name, raw, window.duration_s) if name in own else None
        beyond += [] if wide is None else [wide]
    scopes = {energy.scope for energy in found}  # what a sensor sees by itself needs no line from another
    return [*found, *(energy for energy in beyond if energy.scope not in scopes)]


def primary_name(energies: Sequence[ChannelEnergy], covers: str | None) -> str | None:
    """Return the name of the rung that stands for a device, judged by one window; None where no sensor sees it."""
    first = primary_rung(rungs(energies, covers), covers)
    return first.name if first else None


def ladder(energies: Sequence[ChannelEnergy], covers: str | None, primary: str | None) -> tuple[RungEnergy, ...]:
    """Return the energies added up by scope, the device's own rung first.

    Where no sensor sees the device, the first rung is an absent one: no energy, with the reason.
    """
    found = [_with_net(rung, energies) for rung in rungs(energies, covers)]
    own = [rung for rung in found if rung.name == primary] or [absent_rung(found, covers)]
    return (*own, *(rung for rung in found if rung.name != primary))


def idle_rung_w(idle: Iterable[IdleRecord], covers: str | None) -> dict[str, float]:
    """Return the idle power with the model loaded, by rung name, in watts."""
    loaded = [record for record in idle if record.state == "loaded"]
    found = rungs(loaded[-1].energy, covers) if loaded else ()
    return {rung.name: rung.mean_power_w for rung in found if rung.mean_power_w is not None}


def _phases(power: PowerRecord, log: Log, own: RungEnergy, repeat: Repeat, rate_hz: float) -> PhaseEnergies | None:
    """Return the phases of a repeat at the device's own rung; None where no sensor sees the device."""
    groups = [group for group in groups_of(power.channels) if any(c.id in own.channels for c in group)]
    if not groups:
        return None
    tokens = [rhythm for rhythm in rhythms(repeat.completions, repeat.window) if rhythm.what == "token"]
    return phase_energies(
        groups, log, repeat.completions, rate_hz=rate_hz, load=tokens, calibrations=power.calibrations
    )


def _with_net(rung: RungEnergy, energies: Sequence[ChannelEnergy]) -> RungEnergy:
    """Return a rung with the uncertainty of its net energy: sensors of one make err alike, but not from run to run."""
    members = [energy for energy in energies if energy.channel in rung.channels]
    absolute = [e.u_net_absolute_j for e in members if e.u_net_absolute_j is not None]
    compared = [e.u_net_comparison_j for e in members if e.u_net_comparison_j is not None]
    return replace(
        rung,
        u_net_absolute_j=math.fsum(absolute) if 0 < len(members) == len(absolute) else None,
        u_net_comparison_j=math.hypot(*compared) if 0 < len(members) == len(compared) else None,
    )


def _idle_of(channels: set[str], idle: Sequence[IdleRecord], state: str) -> ChannelEnergy | None:
    """Return the energy of a source in the last idle window of a state, or None when it was not measured."""
    for record in reversed(idle):
        if record.state == state:
            return next((e for e in record.energy if e.channel in channels), None)
    return None
