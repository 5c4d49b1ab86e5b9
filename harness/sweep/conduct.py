"""Conducting a sweep: group after group is tuned, opened, measured in turns, and noted in the manifest."""

import random
from typing import Protocol

from wattbench.harness.clock import RunClock
from wattbench.harness.reporter import Reporter
from wattbench.harness.runner import Run, open_run
from wattbench.harness.sweep.folder import FINAL, Folder
from wattbench.harness.sweep.interleave import DeviceWatch, Ended, Turns
from wattbench.harness.sweep.manifest import GroupRecord, PointStatus
from wattbench.harness.sweep.planning import Group, Planned, groups_of, plan_point
from wattbench.harness.sweep.points import Point
from wattbench.harness.sweep.signals import SweepSignals, sweep_signals
from wattbench.harness.tuning import Choice, choose
from wattbench.harness.watts import PowerSession
from wattbench.results.errors import DeviceError, InterruptedRunError, OutOfMemoryError, UsageError, WattbenchError

__all__ = ["Limiter", "SweepReporter", "conduct"]


class SweepReporter(Protocol):
    """Watches a sweep; every method returns at once and never raises."""

    def note(self, text: str) -> None:
        """Take note of an event that the user should know of."""
        ...

    def point(self, name: str) -> Reporter:
        """Return what watches the run of one point."""
        ...


class Limiter(Protocol):
    """Sets the device's power limit."""

    def set_w(self, limit_w: float) -> None:
        """Set the limit, in watts. Raises DeviceError when it cannot be set."""
        ...


def conduct(
    folder: Folder, reporter: SweepReporter, *, command: tuple[str, ...] = (), limiter: Limiter | None = None
) -> None:
    """Measure every point of a sweep that is not done yet.

    Raises InterruptedRunError after a signal, DeviceError when the device is lost, StorageError when nothing can be
    kept, and at the very end the first bug of a point; what was measured until then lies in the folder.
    """
    with folder.locked(), sweep_signals() as signals:
        _Conductor(folder, reporter, signals, command, limiter).conduct()


class _Conductor:
    """One sweep at work."""

    def __init__(
        self,
        folder: Folder,
        reporter: SweepReporter,
        signals: SweepSignals,
        command: tuple[str, ...],
        limiter: Limiter | None,
    ) -> None:
        self._folder = folder
        self._plan = folder.manifest.plan
        self._reporter = reporter
        self._signals = signals
        self._command = command
        self._limiter = limiter
        self._watch = DeviceWatch()
        self._again: list[Planned] = []
        self._bugs: list[Exception] = []
        self._limit_w: float | None = None

    def conduct(self) -> None:
        """Measure group after group; what ran out of memory beside others follows its group, alone."""
        records = sorted(self._folder.manifest.points, key=lambda r: bool(r.aside))  # what failed before comes last
        pending = [planned for r in records if (planned := self._planned(r.point)) is not None]
        for group in groups_of(pending, self._plan.together):
            self._measure(group)
            again, self._again = self._again, []
            for planned in again:
                self._folder.put_aside(planned.point.name)
                self._measure(Group(points=(planned,), reason="it ran out of memory beside others"))
            if self._watch.lost:
                self._give_up()
        if self._bugs:
            raise self._bugs[0]

    def _planned(self, point: Point) -> Planned | None:
        """Return the plan of a point that is not done; None when it has none, which is noted."""
        if self._folder.record(point.name).status in FINAL:
            return None
        planned = plan_point(point, self._plan.request)
        if planned.refusal is None:
            return planned
        self._note_failure(point, planned.refusal, "refused" if isinstance(planned.refusal, UsageError) else "error")
        return None

    def _measure(self, group: Group) -> None:
        """Tune, open and measure the points of a group; those that turn out to run on another board follow the rest."""
        self._set_limit(group)
        ready = [(planned, choice) for planned in group.points if (choice := self._chosen(planned)) is not None]
        for board in dict.fromkeys(choice.resolved.covers for _, choice in ready):
            here = [(planned, choice) for planned, choice in ready if choice.resolved.covers == board]
            power, clock = PowerSession.open(here[0][1].resolved.plan, board), RunClock()
            try:
                power.start(clock)
                runs = {planned.point.name: self._open(planned, choice, power, clock) for planned, choice in here}
                self._take_turns(runs, group.reason)
            finally:
                power.close()

    def _chosen(self, planned: Planned) -> Choice | None:
        """Return how to run a point, by trials where that is open; None when it cannot run, which is noted."""
        point = planned.point
        if self._folder.record(point.name).status in FINAL:
            return None
        try:
            with self._signals.between_runs():
                return choose(point.request(self._plan.request), self._reporter.point(point.name))
        except InterruptedRunError:
            raise
        except WattbenchError as exc:
            self._watch.failed(exc, "tuning")
            self._note_failure(point, exc, "error")
            return None

    def _open(self, planned: Planned, choice: Choice, power: PowerSession, clock: RunClock) -> Run:
        name = planned.point.name
        run = open_run(
            choice.resolved,
            power=power,
            reporter=self._reporter.point(name),
            command=self._command,
            out=self._folder.file_of(name),
            clock=clock,
            tuning=choice.tuning,
            shared_power=True,
        )
        self._folder.mark(name, "started")
        return run

    def _take_turns(self, runs: dict[str, Run], reason: str) -> None:
        group = len(self._folder.manifest.groups)
        shuffler = random.Random(f"{self._plan.request.seed or 0} {group}")  # seeded: the order is part of the plan
        turns = Turns(runs, self._signals, self._watch, self._ended, shuffler)
        try:
            turns.take()
        finally:
            interleaved = len(runs) > 1
            why = "" if interleaved else reason or "the others of its group could not be opened"
            record = GroupRecord(points=tuple(runs), interleaved=interleaved, reason=why, turns=tuple(turns.turns))
            self._folder.note_group(record)

    def _ended(self, ended: Ended) -> None:
        """Note a point's end; one that ran out of memory beside others is measured again alone."""
        point = self._folder.record(ended.name).point
        error = ended.outcome.error
        if ended.bug is not None:
            self._bugs.append(ended.bug)
        if isinstance(error, OutOfMemoryError) and ended.beside_others:
            self._reporter.note(f"{ended.name}: out of memory beside others; it will be measured again alone")
            self._folder.mark(ended.name, "pending", f"{error.what}: {error.why}")
            planned = plan_point(point, self._plan.request)
            if planned.refusal is None:
                self._again.append(planned)
        elif error is not None:
            status: PointStatus = "partial" if ended.outcome.result.status == "partial" else "error"
            self._note_failure(point, error, status)
        elif ended.outcome.path != self._folder.file_of(ended.name):
            why = f"its result lies at {ended.outcome.path}, since the folder could not take it"
            self._folder.mark(ended.name, "partial", why)
            self._reporter.note(f"{ended.name}: {why}")
        else:
            self._folder.mark(ended.name, "complete")
            self._reporter.note(f"{ended.name}: complete")

    def _note_failure(self, point: Point, error: WattbenchError, status: PointStatus) -> None:
        """Note why a point has no complete result; one that ran out of memory ends its series."""
        too_big = isinstance(error, OutOfMemoryError)
        reason = f"{error.what}: {error.why}" if error.why else error.what
        self._folder.mark(point.name, "out_of_memory" if too_big else status, reason)
        self._reporter.note(f"{point.name}: {reason}")
        if too_big:
            self._skip_larger(point)

    def _skip_larger(self, point: Point) -> None:
        for record in self._folder.manifest.points:
            other = record.point
            larger = (other.batch or 0) > (point.batch or 0) and other.series == point.series
            if larger and record.status == "pending":
                why = f"larger than batch {point.batch}, which ran out of memory"
                self._folder.mark(record.name, "skipped", why)

    def _set_limit(self, group: Group) -> None:
        limit_w = group.points[0].point.power_limit_w
        if limit_w is not None and limit_w != self._limit_w:
            assert self._limiter is not None, "a sweep over power limits has a limiter"
            self._limiter.set_w(limit_w)
            self._limit_w = limit_w
            self._reporter.note(f"the power limit is {limit_w:g} W from now on")

    def _give_up(self) -> None:
        """Report the remaining points and raise DeviceError: the device does not answer any more."""
        left = [r.name for r in self._folder.manifest.points if r.status == "pending"]
        for name in left:
            self._folder.mark(name, "pending", "not measured: the device was lost")
        what = f"The device was lost, {len(left)} points were not measured"
        raise DeviceError(what, "it failed in a point that had worked, and then again", "Reset it and use --resume.")
