"""What is known of a run's channels beyond what their samplers state: observed behaviour, probes, calibrations."""

from collections.abc import Sequence
from dataclasses import replace

from wattbench.harness.power.observing import observe, used_channel
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.observed import ObservedRecord, StepResponse

__all__ = ["Knowledge"]

RECENT = 6000
"""Polls that a period is looked for in: five minutes at 20 Hz are enough, and a sweep's log has hours."""


class Knowledge:
    """Keeps each channel's facts and calibration; a fact that was contradicted once stays replaced for the run.

    `stated` are the samplers' channels, `responses` the remembered probes by channel id, `calibrations` one a group.
    """

    def __init__(
        self,
        stated: Sequence[ChannelRecord],
        responses: dict[str, StepResponse] | None = None,
        calibrations: Sequence[CalibrationRecord] = (),
    ) -> None:
        self._stated = tuple(stated)
        self._responses = responses or {}
        self.calibrations = tuple(calibrations)
        self._used = {c.id: used_channel(c, observe(c, (), self._responses.get(c.id))) for c in self._stated}

    @property
    def channels(self) -> tuple[ChannelRecord, ...]:
        """Return the channels with the facts that hold so far."""
        return tuple(self._used[c.id] for c in self._stated)

    def learn(self, polls: Sequence[Polls]) -> tuple[ChannelRecord, ...]:
        """Look at the polls so far and return the channels with the facts that hold from now on."""
        for seen in self.observed(polls):
            stated = next(c for c in self._stated if c.id == seen.channel)
            if seen.contradictions and self._used[stated.id].update_period_s == stated.update_period_s:
                self._used[stated.id] = used_channel(stated, seen)
        return self.channels

    def observed(self, polls: Sequence[Polls]) -> tuple[ObservedRecord, ...]:
        """Return how each channel was seen to behave so far."""
        recent = [_recent(rows) for rows in polls]
        return tuple(observe(c, recent, self._responses.get(c.id)) for c in self._stated)


def _recent(polls: Polls) -> Polls:
    first = max(len(polls.value) - RECENT, 0)
    return replace(
        polls,
        before_ns=polls.before_ns[first:],
        after_ns=polls.after_ns[first:],
        value=polls.value[first:],
        taken_ns=None if polls.taken_ns is None else polls.taken_ns[first:],
        sensor_ns=None,
        errors={},
    )
