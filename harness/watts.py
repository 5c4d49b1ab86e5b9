"""The power side of one run: samplers chosen, the recorder running, and the energy of any window."""

import math
import time
from collections.abc import Sequence

from wattbench.harness.clock import RunClock
from wattbench.harness.peers.session import Peers
from wattbench.harness.power.alias import Rhythm
from wattbench.harness.power.budget import BUDGET_VERSION
from wattbench.harness.power.calibration_file import find_calibrations
from wattbench.harness.power.contract import Clocked, Paced
from wattbench.harness.power.curves import powers_within
from wattbench.harness.power.derive import idle_rung_w, ladder, primary_name, source_energies
from wattbench.harness.power.energy import alias_rel, groups_of
from wattbench.harness.power.identity import board_facts
from wattbench.harness.power.knowledge import Knowledge
from wattbench.harness.power.ladder import seeing
from wattbench.harness.power.probe_file import recall_responses
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.select import Selection, open_samplers
from wattbench.harness.power.sensorless import no_sensor_reason
from wattbench.harness.power.series import COARSE_PERIODS, coarse_reason, memory_s, settle_s
from wattbench.harness.power.steadiness import Slope, slope_of, window_drift
from wattbench.harness.power.terms import APART_MAX
from wattbench.results.covers import devices_of
from wattbench.results.crosscheck import PeerEnergy
from wattbench.results.energy import ChannelEnergy, ChannelRecord, PowerRecord
from wattbench.results.errors import UsageError, WattbenchError
from wattbench.results.measurement import IdleRecord, Repeat, Window
from wattbench.results.plan import Plan
from wattbench.results.remote_clock import RemoteClock
from wattbench.results.rungs import RungEnergy

__all__ = ["PowerSession", "check_power"]

LEAD_FLOOR_S = 0.5
SETTLE_MARGIN_S = 1.0
"""Beyond the sensors' own memory, for the device's clocks and regulators to fall back (our choice)."""

SLOW_S = 30.0
"""From this memory on every window costs minutes of load around it: too short ones are refused at once (our choice)."""


class PowerSession:
    """Reads watts for one run; without a sensor it stays inactive and says why."""

    def __init__(
        self,
        plan: Plan,
        covers: str | None,
        selection: Selection,
        peers: Peers | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self._rate_hz = plan.power_rate_hz
        self._covers = covers
        self._selection = selection
        self._peers = peers or Peers()
        self._knowledge = knowledge or Knowledge(selection.channels)
        self._origin_ns = 0
        self._sensorless = no_sensor_reason(plan)
        self._recorder: Recorder | None = None
        self._primary: str | None = None
        """The name of the device's own rung, chosen at the first window."""

    @classmethod
    def open(cls, plan: Plan, covers: str | None, *, corrected: bool = True) -> "PowerSession":
        """Open the samplers and peers that the plan asks for, with what is remembered of the samplers.

        Without `corrected` calibrations are left out. Raises UsageError or SensorError when one cannot be had,
        DocumentError for a calibration that cannot be read.
        """
        peers = Peers.open(plan.cross_check, plan.cross_check_python, covers)
        try:
            selection = open_samplers(plan.power, covers)
            return cls(plan, covers, selection, peers, _remembered(selection, corrected=corrected))
        except WattbenchError:
            peers.close()
            raise

    @property
    def active(self) -> bool:
        """Return whether any sampler is open."""
        return bool(self._selection.samplers)

    @property
    def unavailable_reason(self) -> str | None:
        """Return why there is no power at all, or None when there is some."""
        reason = self._selection.unavailable_reason
        return reason if reason is None or self._sensorless is None else f"{reason}; {self._sensorless}"

    @property
    def lag_s(self) -> float:
        """Return how long after a window its energy can be computed, in seconds."""
        channels = self._knowledge.channels if self._recorder else ()
        return max(settle_s(channels, self._rate_hz) + self._delivery_s(), self._peers.lag_s)

    def _delivery_s(self) -> float:
        """Return how long after it was taken a value of a source that is fetched now and then may come, in seconds."""
        paced = (s for s in self._selection.samplers if isinstance(s, Paced) and any(c.buffered for c in s.channels))
        return max((2 * s.poll_period_s for s in paced), default=0.0)

    @property
    def lead_s(self) -> float:
        """Return how long the load should run before and after a window, so that sensors see only load, in seconds."""
        return max(self.lag_s, LEAD_FLOOR_S) if self.active or self._peers.records else 0.0

    @property
    def settle_before_idle_s(self) -> float:
        """Return how long to wait after a load so that no sensor still shows it, in seconds; 0 without a sensor.

        The longest lag with its averaging window, and a second more.
        """
        memories = [(c.lag_s or 0.0) + (c.averaging_window_s or 0.0) for c in self._knowledge.channels]
        return max(memories, default=0.0) + SETTLE_MARGIN_S if self.active else 0.0

    def stated_channels(self) -> tuple[ChannelRecord, ...]:
        """Return the opened channels as their samplers state them."""
        return self._selection.channels

    def require_windows(self, plan: Plan) -> None:
        """Raise UsageError for windows too short for a slow sensor that was named; asked before anything starts."""
        named = {word.partition(":")[0] for word in plan.power}
        for channel in self._selection.channels:
            why = coarse_reason(channel, plan.window_s)
            if why is None or channel.sampler not in named or memory_s(channel) < SLOW_S:
                continue
            need_s, lead_s = COARSE_PERIODS * memory_s(channel), settle_s([channel], self._rate_hz)
            lead = f"the load runs {lead_s:g} s before and after each"
            remedy = f"Use --window {need_s:g} or more ({lead}), or leave out --power {channel.sampler}."
            raise UsageError(f"The windows are too short for --power {channel.sampler}", why, remedy)

    def start(self, clock: RunClock) -> None:
        """Start polling on the run's clock."""
        self._origin_ns = clock.origin_ns
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
        self._peers.close()
        if self._recorder is None:
            for sampler in self._selection.samplers:
                sampler.close()

    def wait(self, seconds: float) -> None:
        """Let time pass while the recorder polls."""
        time.sleep(seconds)

    def latest_w(self) -> float | None:
        """Return the watts of this moment for a display, of all devices under test; None where one is not seen."""
        recorder = self._recorder
        if recorder is None:
            return None
        found = [recorder.latest_w(seeing(recorder.channels, one)) for one in self._each_device()]
        known = [watts for watts in found if watts is not None]
        return math.fsum(known) if len(known) == len(found) else None

    def record(self) -> PowerRecord:
        """Return everything known of power so far."""
        polls = self._recorder.polls() if self._recorder else ()
        return PowerRecord(
            samplers=self._selection.records,
            channels=self._knowledge.channels if self._recorder else (),
            health=self._recorder.health() if self._recorder else (),
            polls=polls,
            unavailable_reason=self.unavailable_reason,
            covers=self._covers,
            peers=self._peers.records,
            observed=self._knowledge.observed(polls) if self._recorder else (),
            calibrations=self._knowledge.calibrations if self._recorder else (),
            budget_version=BUDGET_VERSION,
            clocks=tuple(clock for clock in self._clocks() if clock is not None),
        )

    def _clocks(self) -> list[RemoteClock | None]:
        return [s.remote_clock() for s in self._selection.samplers if isinstance(s, Clocked)]

    def energies(
        self, window: Window, idle: Sequence[IdleRecord] | None, load: Sequence[Rhythm] = ()
    ) -> tuple[ChannelEnergy, ...]:
        """Return the energy of every source over a window, as far as the log goes now.

        `idle` gives the power that net energy is counted from, `load` the rhythms of what ran.
        """
        if self._recorder is None:
            return ()
        polls = self._recorder.polls()
        found = source_energies(
            self._knowledge.learn(polls),
            polls,
            window,
            rate_hz=self._rate_hz,
            idle=idle,
            load=load,
            calibrations=self._knowledge.calibrations,
            covers=self._covers,
        )
        return tuple(found)

    def peer_energies(self, window: Window, energies: Sequence[ChannelEnergy]) -> tuple[PeerEnergy, ...]:
        """Return what the peers counted in a window, beside our own energies of it."""
        return self._peers.energies(window, energies, self._origin_ns)

    def slope(self, window: Window) -> Slope | None:
        """Return how the device's power moves within a window; None where no sensor sees it or there are too few.

        Of several devices under test the one that moves the most counts.
        """
        if self._recorder is None:
            return None
        polls, found = self._recorder.polls(), []
        for one in self._each_device():
            slope = slope_of(*powers_within(seeing(self._knowledge.channels, one), polls, window))
            found += [] if slope is None else [slope]
        return max(found, key=lambda slope: abs(slope.sure_per_s), default=None)

    def _each_device(self) -> tuple[str | None, ...]:
        return devices_of(self._covers) or (None,)

    def drifts(self, repeats: Sequence[Repeat]) -> tuple[str, ...]:
        """Return, in words, each window within which the device's power moved."""
        moved = [(repeat.name, window_drift(self.slope(repeat.window))) for repeat in repeats]
        return tuple(f"{name}: {facts}" for name, facts in moved if facts is not None)

    def rungs(self, energies: Sequence[ChannelEnergy]) -> tuple[RungEnergy, ...]:
        """Return the energies added up by scope, the device's own rung first and the same one for every window.

        Where no sensor sees the device, the first rung is an absent one: no energy, with the reason. Nothing without
        a sensor.
        """
        if not self.active:
            return ()
        if self._primary is None:
            self._primary = primary_name(energies, self._covers)
        return ladder(energies, self._covers, self._primary)

    def primary_w(self, energies: Sequence[ChannelEnergy]) -> float | None:
        """Return the mean power of a window at the device's own rung, in watts; None where no sensor sees it."""
        found = self.rungs(energies)
        return found[0].mean_power_w if found else None

    def idle_w(self, idle: Sequence[IdleRecord]) -> dict[str, float]:
        """Return the idle power with the model loaded, by rung name, in watts."""
        return idle_rung_w(idle, self._covers) if self.active else {}

    def aliases(self, repeats: Sequence[Repeat]) -> tuple[str, ...]:
        """Return, in words, each window whose looks were no fair sample of the load.

        A budget with an alias says so, and so does a part-time view that left the other views of its source.
        """
        if self._recorder is None:
            return ()
        polls, facts = self._recorder.polls(), []
        for repeat in repeats:
            where = f"{repeat.name}, "
            facts += [f"{where}{e.channel}: {t.basis}" for e in repeat.energy for t in e.budget if t.name == "alias"]
            for group in groups_of(self._knowledge.channels):
                apart = alias_rel(group, polls, repeat.window, rate_hz=self._rate_hz)
                if apart is not None and abs(apart) > APART_MAX:
                    facts.append(f"{where}{group[0].group}: {100 * apart:+.1f} % off the other views")
        return tuple(facts)


def check_power(plan: Plan, covers: str | None) -> None:
    """Raise what stands in the way of a plan's power, before minutes are spent on anything else."""
    power = PowerSession.open(plan, covers)
    try:
        power.require_windows(plan)
    finally:
        power.close()


def _remembered(selection: Selection, *, corrected: bool) -> Knowledge:
    """Return what is remembered of the opened channels; the samplers are released where that cannot be read."""
    if not selection.samplers:
        return Knowledge(selection.channels)
    try:
        calibrations = find_calibrations(selection.channels) if corrected else ()
        return Knowledge(selection.channels, recall_responses(selection.channels, board_facts()), calibrations)
    except WattbenchError:
        for sampler in selection.samplers:
            sampler.close()
        raise
