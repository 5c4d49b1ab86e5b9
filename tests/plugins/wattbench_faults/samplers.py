"""Samplers that work for a second and then fail, each in its own way."""

import time

from wattbench.harness.power.contract import Reading, SamplerOptions
from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import SensorError

FAILS_AFTER_S = 1.0


def channel(name: str) -> ChannelRecord:
    """Return a board channel of 100 W that is said to be measured."""
    return ChannelRecord(
        id=f"{name}:power",
        sampler=name,
        group=name,
        scope="node",
        kind="power",
        provenance="measured",
        unit="W",
        covers=None,
        resolution=0.1,
        update_period_s=0.02,
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=0.01,
        accuracy_basis="test",
    )


class SteadySampler:
    """Gives 100 W, always."""

    name = "steady"

    def __init__(self, options: SamplerOptions) -> None:
        self.channels: tuple[ChannelRecord, ...] = ()
        self._first: float | None = None

    def probe(self) -> Availability:
        """Be present."""
        self.channels = (channel(self.name),)
        return Availability(state="present", reason="a test's sampler")

    def read(self) -> tuple[Reading, ...]:
        """Give 100 W, then fail in the way of the class."""
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        if now - self._first > FAILS_AFTER_S:
            self.fail()
        return (Reading(channel=self.channels[0].id, value=100.0),)

    def fail(self) -> None:
        """Do nothing: this one never fails."""

    def close(self) -> None:
        """Do nothing."""


class FadingSampler(SteadySampler):
    """Raises from its second second on."""

    name = "fading"

    def fail(self) -> None:
        """Raise."""
        raise SensorError("The sensor is gone", "it was unplugged", "Plug it in.")


class SilentSampler(SteadySampler):
    """Hangs from its second second on."""

    name = "silent"

    def fail(self) -> None:
        """Hang."""
        time.sleep(3600)
