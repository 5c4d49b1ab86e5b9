"""The declared sampler: watts that the user states for the device under test, with who says so; nothing is read."""

import math

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions

__all__ = ["DeclaredSampler", "declared_source", "is_declared"]

NAME = "declared"

_REMEDY = "Say how many watts, and who says so: --declared-watts W --source TEXT (such as 350 and 'data sheet, 2026')"

_BASIS = "declared, not measured: {watts:g} W at work, by {source}"


def declared_source(watts: float, source: str) -> str:
    """Return what `--power` is to be told for watts and their source."""
    return f"{NAME}:{watts!r}:{source}"


def is_declared(wish: str) -> bool:
    """Return whether an item of `--power` declares watts."""
    return wish.partition(":")[0] == NAME


class DeclaredSampler:
    """Gives the same watts at every read; the argument is "WATTS:SOURCE"."""

    name = NAME

    def __init__(self, options: SamplerOptions) -> None:
        self._argument = options.argument
        self._covers = options.covers
        self._watts = 0.0
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Check watts and source; without them it is absent: it is never a silent stand-in for a sensor."""
        if self._argument is None:
            return Availability(state="absent", reason="nothing is declared", remedy=_REMEDY)
        text, _, source = self._argument.partition(":")
        try:
            self._watts = float(text)
        except ValueError:
            return Availability(state="broken", reason=f"{text!r} is no number of watts", remedy=_REMEDY)
        if not 0 < self._watts < math.inf:
            return Availability(state="broken", reason=f"{text} W is no power at work", remedy=_REMEDY)
        if not source.strip():
            return Availability(state="broken", reason="nobody is named who says so", remedy=_REMEDY)
        self.channels = (_channel(self._watts, source.strip(), self._covers),)
        return Availability(state="present", reason=_BASIS.format(watts=self._watts, source=source.strip()))

    def read(self) -> tuple[Reading, ...]:
        """Return the declared watts."""
        return tuple(Reading(channel=channel.id, value=self._watts) for channel in self.channels)

    def close(self) -> None:
        """Do nothing; there is nothing to release."""


def _channel(watts: float, source: str, covers: str | None) -> ChannelRecord:
    return ChannelRecord(
        id="declared:device",
        sampler=NAME,
        group="declared:device",
        scope="package" if covers is not None and covers.startswith("cpu") else "board",
        kind="model",
        provenance="declared",
        unit="W",
        covers=covers,
        resolution=None,
        update_period_s=None,
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=None,
        accuracy_basis=_BASIS.format(watts=watts, source=source),
    )
