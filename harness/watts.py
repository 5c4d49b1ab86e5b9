"""The power side of one run: samplers chosen, the recorder running, and the energy of any window."""

import time
from collections.abc import Sequence
from math import fsum

from wattbench.harness.clock import RunClock
from wattbench.harness.power.energy import alias_rel, channel_energy, groups_of
from wattbench.harness.power.ladder import absent_rung, primary_rung, rungs, seeing
from wattbench.harness.power.phases import PhaseEnergies, PhaseEnergy, phase_energy, phase_windows
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.select import Selection, open_samplers
from wattbench.harness.power.series import settle_s
from wattbench.results.energy import ChannelEnergy, PowerRecord
from wattbench.results.measurement import IdleRecord, Repeat, Window
from wattbench.results.plan import Plan
from wattbench.results.rungs import RungEnergy

__all__ = ["PowerSession"]

ALIAS_DOUBT = 0.02
LEAD_FLOOR_S = 0.5
SETTLE_MARGIN_S = 1.0
"""Beyond the sensors' own memory, for the device's clocks and regulators to fall back (our choice)."""


class PowerSession:
    """Reads watts for one run; without a sensor it stays inactive and says why."""

    def __init__(self, plan: Plan, covers: str | None, selection: Selection) -> None:
        self._rate_hz = plan.power_rate_hz
        self._covers = covers
        self._selection = selection
        self._recorder: Recorder | None = None
        self._primary: str | None = None
        """The name of the device's own rung, chosen at the first window."""

    @classmethod
    def open(cls, plan: Plan, covers: str | None) -> "PowerSession":
        """Open the samplers that the plan asks for. Raises UsageError or SensorError when one cannot be had."""
        return cls(plan, covers, open_samplers(plan.power, covers))

    @property
    def active(self) -> bool:
        """Return whether any sampler is open."""
        return bool(self._selection.samplers)

    @property
    def unavailable_reason(self) -> str | None:
        """Return why there is no power at all, or None when there is some."""
        return self._selection.unavailable_reason

    @property
    def lag_s(self) -> float:
        """Return how long after a window its energy can be computed, in seconds."""
        channels = self._recorder.channels if self._recorder else ()
        return settle_s(channels, self._rate_hz)

    @property
    def lead_s(self) -> float:
        """Return how long the load should run before and after a window, so that sensors see only load, in seconds."""
        return max(self.lag_s, LEAD_FLOOR_S) if self.active else 0.0

    @property
    def settle_before_idle_s(self) -> float:
        """Return how long to wait after a load so that no sensor still shows it, in seconds; 0 without a sensor.

        The longest lag with its averaging window, and a second more.
        """
        memories = [(c.lag_s or 0.0) + (c.averaging_window_s or 0.0) for c in self._selection.channels]
        return max(memories, default=0.0) + SETTLE_MARGIN_S if self.active else 0.0

    def start(self, clock: RunClock) -> None:
        """Start polling on the run's clock."""
        if self.active:
            self._recorder = Recorder(self._selection.samplers, self._rate_hz, origin_ns=clock.origin_ns)
            self._recorder.start()

    def stop(self) -> None:
        """Stop polling; never hangs, safe to call twice."""
        if self._recorder is not None:
            self._recorder.stop()

    def close(self) -> None:
        """Stop polling and release the samplers."""
        self.stop()
        if self._recorder is None:
            for sampler in self._selection.samplers:
                sampler.close()

    def wait(self, seconds: float) -> None:
        """Let time pass while the recorder polls."""
        time.sleep(seconds)

    def latest_w(self) -> float | None:
        """Return the device's watts of this moment for a display, or None where no sensor sees it."""
        if self._recorder is None:
            return None
        return self._recorder.latest_w(seeing(self._recorder.channels, self._covers))

    def record(self) -> PowerRecord:
        """Return everything known of power so far."""
        return PowerRecord(
            samplers=self._selection.records,
            channels=self._recorder.channels if self._recorder else (),
            health=self._recorder.health() if self._recorder else (),
            polls=self._recorder.polls() if self._recorder else (),
            unavailable_reason=self.unavailable_reason,
        )

    def energies(self, window: Window, idle: Sequence[IdleRecord] | None) -> tuple[ChannelEnergy, ...]:
        """Return the energy of every source over a window; `idle` gives the power that net energy is counted from."""
        if self._recorder is None:
            return ()
        polls = self._recorder.polls()
        found = []
        for group in groups_of(self._recorder.channels):
            idle_w = None if idle is None else _idle_of({c.id for c in group}, idle)
            found.append(channel_energy(group, polls, window, rate_hz=self._rate_hz, idle_power_w=idle_w))
        return tuple(found)

    def rungs(self, energies: Sequence[ChannelEnergy]) -> tuple[RungEnergy, ...]:
        """Return the energies added up by scope, the device's own rung first and the same one for every window.

        Where no sensor sees the device, the first rung is an absent one: no energy, with the reason. Nothing without
        a sensor.
        """
        if not self.active:
            return ()
        found = rungs(energies)
        if self._primary is None:
            first = primary_rung(found, self._covers)
            self._primary = first.name if first else None
        own = [rung for rung in found if rung.name == self._primary] or [absent_rung(found, self._covers)]
        return (*own, *(rung for rung in found if rung.name != self._primary))

    def phase_energies(self, repeat: Repeat) -> PhaseEnergies:
        """Return the energy of a repeat's prefill and decode at the device's own rung, in joules.

        None with the reason where no sensor sees the device, or the sensor cannot tell the phases apart.
        """
        if self._recorder is None:
            return PhaseEnergies(prefill_j=None, decode_j=None, reason=self._selection.unavailable_reason)
        own = self.rungs(repeat.energy)[0]
        if not own.channels:
            return PhaseEnergies(prefill_j=None, decode_j=None, reason=own.reason)
        spans = phase_windows(repeat.completions)
        prefill, decode = (self._phase(own.channels, windows) for windows in (spans.prefill, spans.decode))
        named = (("prefill", prefill), ("decode", decode))
        reasons = [f"{name}: {phase.reason}" for name, phase in named if phase.reason is not None]
        return PhaseEnergies(prefill_j=prefill.energy_j, decode_j=decode.energy_j, reason="; ".join(reasons) or None)

    def primary_w(self, energies: Sequence[ChannelEnergy]) -> float | None:
        """Return the mean power of a window at the device's own rung, in watts; None where no sensor sees it."""
        found = self.rungs(energies)
        return found[0].mean_power_w if found else None

    def idle_w(self, idle: Sequence[IdleRecord]) -> dict[str, float]:
        """Return the idle power with the model loaded, by rung name, in watts."""
        loaded = [record for record in idle if record.state == "loaded"]
        found = self.rungs(loaded[-1].energy) if loaded else ()
        return {rung.name: rung.mean_power_w for rung in found if rung.mean_power_w is not None}

    def aliases(self, repeats: Sequence[Repeat]) -> tuple[str, ...]:
        """Return, in words, each window in which a part-time sensor left the other views of its board."""
        if self._recorder is None:
            return ()
        polls, facts = self._recorder.polls(), []
        for group in groups_of(self._recorder.channels):
            for repeat in repeats:
                apart = alias_rel(group, polls, repeat.window, rate_hz=self._rate_hz)
                if apart is not None and abs(apart) > ALIAS_DOUBT:
                    facts.append(f"repeat {repeat.index}, {group[0].group}: {100 * apart:+.1f} % off the other views")
        return tuple(facts)

    def _phase(self, names: Sequence[str], windows: Sequence[Window]) -> PhaseEnergy:
        """Return one phase's energy over the sources of a rung; None with the reason when one of them has none."""
        channels = self._recorder.channels if self._recorder else ()
        polls = self._recorder.polls() if self._recorder else ()
        groups = [group for group in groups_of(channels) if any(c.id in names for c in group)]
        parts = [phase_energy(group, polls, windows, rate_hz=self._rate_hz) for group in groups]
        reason = next((part.reason for part in parts if part.reason is not None), None)
        joules = [part.energy_j for part in parts if part.energy_j is not None]
        return PhaseEnergy(
            energy_j=fsum(joules) if reason is None else None, duration_s=parts[0].duration_s, reason=reason
        )


def _idle_of(channels: set[str], idle: Sequence[IdleRecord]) -> float | None:
    """Return the power of a source with the model loaded and idle, in watts, or None when it was not measured."""
    for record in reversed(idle):
        if record.state == "loaded":
            return next((e.mean_power_w for e in record.energy if e.channel in channels), None)
    return None
