"""Every energy of a run that meters were attached to: pure, so that anyone can compute it again."""

from collections.abc import Sequence
from dataclasses import replace
from math import fsum

from wattbench.harness.power.budget import combined
from wattbench.harness.power.derive import Derived, derive, idle_rung_w, ladder, primary_name
from wattbench.harness.power.energy import channel_energy
from wattbench.harness.power.estimate import estimate
from wattbench.harness.power.net import with_net_uncertainty
from wattbench.harness.power.phases import phase_windows
from wattbench.harness.power.series import Series, series_of
from wattbench.results.attachment import AttachmentRecord
from wattbench.results.energy import BudgetTerm, ChannelEnergy, ChannelRecord, PowerRecord
from wattbench.results.measurement import Completions, IdleRecord, Repeat, Window
from wattbench.results.rungs import PhaseEnergies, PhaseEnergy

__all__ = ["derive_attached", "with_clock_term", "with_meter"]


def derive_attached(
    power: PowerRecord,
    idle: Sequence[IdleRecord],
    repeats: Sequence[Repeat],
    attachments: Sequence[AttachmentRecord],
    *,
    rate_hz: float,
) -> Derived:
    """Return what `derive` gives for the run's own channels, then with every attached meter, in their order.

    `rate_hz` is that of the run's own samplers; a meter has its own, and an uncertainty of its clock.
    """
    meters = [attachment.channel for attachment in attachments]
    own = replace(
        power,
        channels=tuple(channel for channel in power.channels if channel.id not in meters),
        polls=tuple(log for log in power.polls if log.channel not in meters),
    )
    bare_idle = [replace(record, energy=()) for record in idle]
    found = derive(own, bare_idle, [replace(repeat, energy=()) for repeat in repeats], rate_hz=rate_hz)
    for attachment in attachments:
        for channel in power.channels:
            if channel.id == attachment.channel:
                found = with_meter(found, channel, power, attachment.clock_uncertainty_s)
    return found


def with_meter(found: Derived, meter: ChannelRecord, power: PowerRecord, clock_uncertainty_s: float) -> Derived:
    """Return the energies of a run with those of one attached meter; `power` has its polls and the device's name.

    The device's own rung is chosen anew. Where it is the meter's, prefill and decode are not told apart: the phases of
    one execution are mostly shorter than the meter's clock is known.
    """
    series = series_of(meter, power.polls)

    def energy(window: Window, rested: ChannelEnergy | None, after: ChannelEnergy | None) -> ChannelEnergy:
        idle_w = None if rested is None else rested.mean_power_w
        own = _meter_energy(series, window, idle_w, clock_uncertainty_s)
        return with_net_uncertainty(own, rested, after, window.duration_s)

    idle = tuple(replace(i, energy=(*i.energy, energy(i.window, None, None))) for i in found.idle)
    last = {record.state: record.energy[-1] for record in idle}
    rested, after = last.get("loaded"), last.get("after")
    repeats = tuple(replace(r, energy=(*r.energy, energy(r.window, rested, after))) for r in found.repeats)
    name = primary_name(repeats[0].energy, power.covers) if repeats else None
    ladders = tuple(ladder(repeat.energy, power.covers, name) for repeat in repeats)
    phases = found.phases or (None,) * len(repeats)
    if ladders and meter.id in ladders[0][0].channels:
        why = f"{meter.id} was attached after the run, on a clock known to {clock_uncertainty_s:.3g} s (k=1)"
        phases = tuple(_unknown_phases(repeat.completions, why) for repeat in repeats)
    idle_power_w = idle_rung_w(idle, power.covers)
    return Derived(idle=idle, repeats=repeats, rung_energies=ladders, idle_power_w=idle_power_w, phases=phases)


def with_clock_term(
    found: ChannelEnergy, series: Series, window: Window, uncertainty_s: float, rate_hz: float
) -> ChannelEnergy:
    """Return an energy with a line in its budget for a clock whose offset is known to `uncertainty_s` (k=1).

    The line is how much the energy changes when the window is moved by that, either way; where the samples do not
    reach so far, the worst: full power on one side of an edge, none on the other.
    """
    if found.energy_j is None:
        return found
    shift_ns = round(uncertainty_s * 1e9)
    moved = [estimate(series, window.start_ns + s, window.end_ns + s, rate_hz).joules for s in (-shift_ns, shift_ns)]
    changes = [abs(joules - found.energy_j) for joules in moved if joules is not None]
    u_rel = max(changes) / found.energy_j if changes else uncertainty_s / window.duration_s
    basis = f"the meter's clock is known to {uncertainty_s:.3g} s, by shifting the window"
    term = BudgetTerm(name="clock_offset", kind="B", u_rel=u_rel, absolute_only=False, basis=basis)
    terms = (*found.budget, term)
    u = combined(terms)
    return replace(found, budget=terms, u_absolute_rel=u.absolute_rel, u_comparison_rel=u.comparison_rel)


def _meter_energy(series: Series, window: Window, idle_w: float | None, clock_uncertainty_s: float) -> ChannelEnergy:
    """Return a meter's energy of a window, at the rate that the meter was read at."""
    channel = series.channel
    rate_hz = 1 / (channel.update_period_s or series.period_s or 1.0)  # ours always state it, an edited one may not
    log = {channel.id: series}
    found = channel_energy((channel,), log, window, rate_hz=rate_hz, idle_power_w=idle_w)
    return with_clock_term(found, series, window, clock_uncertainty_s, rate_hz)


def _unknown_phases(done: Completions, why: str) -> PhaseEnergies:
    spans = phase_windows(done)

    def of(windows: Sequence[Window]) -> PhaseEnergy:
        duration_s = fsum(window.duration_s for window in windows)
        return PhaseEnergy(energy_j=None, duration_s=duration_s, u_absolute_rel=None, u_comparison_rel=None, reason=why)

    return PhaseEnergies(prefill=of(spans.prefill), decode=of(spans.decode))
