"""The model sampler: power guessed from CPU load between two declared figures, only on request."""

from collections.abc import Callable

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions

__all__ = ["ModelSampler"]

_REMEDY = "Declare the machine's watts at rest and at full load: --power model:IDLE_W,MAX_W (for example model:40,180)"

_ACCURACY_REL = 0.35
_ACCURACY_BASIS = (
    "35 % (k=1): a line between idle and maximum power misses RAPL by 36 % on average over the 8 validation series "
    "(4 processors) that CodeCarbon publishes"
)


class ModelSampler:
    """Gives idle + (max - idle) * CPU load, in watts, for the whole machine; the argument is "IDLE_W,MAX_W".

    `cpu_times` returns (busy, total) seconds of all processors since boot; psutil's by default.
    """

    name = "model"

    def __init__(self, options: SamplerOptions, *, cpu_times: Callable[[], tuple[float, float]] | None = None) -> None:
        self._argument = options.argument
        self._cpu_times = _psutil_times if cpu_times is None else cpu_times
        self._idle_w = 0.0
        self._max_w = 0.0
        self._last = (0.0, 0.0)
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Check the declared watts; without them the model is absent: it is never a silent stand-in for a sensor."""
        if self._argument is None:
            return Availability(state="absent", reason="a model is no sensor; it runs only on request", remedy=_REMEDY)
        try:
            self._idle_w, self._max_w = (float(word) for word in self._argument.split(","))
        except ValueError:
            return Availability(
                state="broken", reason=f"{self._argument!r} is not two numbers with a comma", remedy=_REMEDY
            )
        if not 0 < self._idle_w <= self._max_w < float("inf"):
            return Availability(state="broken", reason=f"{self._argument!r} is not 0 < idle <= max", remedy=_REMEDY)
        self._last = self._cpu_times()
        self.channels = (_channel(self._idle_w, self._max_w),)
        return Availability(
            state="present", reason=f"modelled between {self._idle_w:g} W idle and {self._max_w:g} W at full load"
        )

    def read(self) -> tuple[Reading, ...]:
        """Return the modelled power over the CPU load since the last read."""
        (busy0_s, total0_s), (busy_s, total_s) = self._last, self._cpu_times()
        if total_s <= total0_s:
            return (
                Reading(channel="model:cpu-load", value=None, error="the CPU clock has not moved since the last read"),
            )
        self._last = (busy_s, total_s)
        load = min(max((busy_s - busy0_s) / (total_s - total0_s), 0.0), 1.0)
        return (Reading(channel="model:cpu-load", value=self._idle_w + (self._max_w - self._idle_w) * load),)

    def close(self) -> None:
        """Do nothing; there is nothing to release."""


def _psutil_times() -> tuple[float, float]:
    import psutil

    times = psutil.cpu_times()
    fields = times._asdict()
    total_s = sum(seconds for name, seconds in fields.items() if not name.startswith("guest"))  # guest is in user
    return total_s - times.idle - fields.get("iowait", 0.0), total_s


def _channel(idle_w: float, max_w: float) -> ChannelRecord:
    return ChannelRecord(
        id="model:cpu-load",
        sampler="model",
        group="model:cpu-load",
        scope="node",
        kind="model",
        provenance="modelled",
        unit="W",
        covers=None,
        resolution=None,
        update_period_s=None,  # each read is the mean since the one before
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=max_w,
        accuracy_rel=_ACCURACY_REL,
        accuracy_basis=f"{_ACCURACY_BASIS}; declared {idle_w:g} W idle, {max_w:g} W at full load",
    )
