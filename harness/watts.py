"""The power side of one run: samplers chosen, the recorder running, and the energy of any window."""

import time
from collections.abc import Sequence

from wattbench.harness.clock import RunClock
from wattbench.harness.power.energy import alias_rel, channel_energy, groups_of
from wattbench.harness.power.ladder import no_rung_reason, primary_rung, rungs
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


class PowerSession:
    """Reads watts for one run; without a sensor it stays inactive and says why."""

    def __init__(self, plan: Plan, covers: str | None, selection: Selection) -> None:
        self._rate_hz = plan.power_rate_hz
        self._covers = covers
        self._selection = selection
        self._recorder: Recorder | None = None
        self._primary: str | None = None

    @classmethod
    def open(cls, plan: Plan, covers: str | None) -> "PowerSession":
        """Open the samplers that the plan asks for. Raises UsageError or SensorError when one cannot be had."""
        return cls(plan, covers, open_samplers(plan.power, covers))

    @property
    def active(self) -> bool:
        """Return whether any sampler is open."""
        return bool(self._selection.samplers)

    @property
    def lag_s(self) -> float:
        """Return how long after a window its energy can be computed, in seconds."""
        channels = self._recorder.channels if self._recorder else ()
        return settle_s(channels, self._rate_hz)

    @property
    def lead_s(self) -> float:
        """Return how long the load should run before and after a window, so that sensors see only load, in seconds."""
        return max(self.lag_s, LEAD_FLOOR_S) if self.active else 0.0

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
        """Return the watts of this moment for a display, or None."""
        return self._recorder.latest_w() if self._recorder else None

    def record(self) -> PowerRecord:
        """Return everything known of power so far."""
        return PowerRecord(
            samplers=self._selection.records,
            channels=self._recorder.channels if self._recorder else (),
            health=self._recorder.health() if self._recorder else (),
            polls=self._recorder.polls() if self._recorder else (),
            unavailable_reason=self._selection.unavailable_reason,
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
        """Return the energies added up by scope, the device's own rung first and the same one for every window."""
        found = rungs(energies)
        if self._primary is None:
            first = primary_rung(found, self._covers)
            self._primary = first.name if first else None
        return tuple(sorted(found, key=lambda rung: rung.name != self._primary))

    def no_energy_reason(self, energies: Sequence[ChannelEnergy]) -> str | None:
        """Return why the device under test has no energy, or None when it has one."""
        if not self.active:
            return self._selection.unavailable_reason
        found = rungs(energies)
        return None if primary_rung(found, self._covers) else no_rung_reason(found, self._covers)

    def primary_w(self, energies: Sequence[ChannelEnergy]) -> float | None:
        """Return the mean power of a window at the device's own rung, in watts."""
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


def _idle_of(channels: set[str], idle: Sequence[IdleRecord]) -> float | None:
    """Return the power of a source with the model loaded and idle, in watts, or None when it was not measured."""
    for record in reversed(idle):
        if record.state == "loaded":
            return next((e.mean_power_w for e in record.energy if e.channel in channels), None)
    return None
