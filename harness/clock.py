"""The run's one clock: monotonic nanoseconds since an origin whose UTC time is recorded once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from wattbench.results.document import ClockRecord

__all__ = ["RunClock"]

SOURCE = "time.perf_counter_ns (CLOCK_MONOTONIC on Linux), shared by the measuring process and its worker"


class RunClock:
    """Counts ns since its creation; the two time sources can be replaced by hand-turned ones in tests."""

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self.origin_ns = monotonic_ns()
        self._origin_wall_ns = wall_ns()

    def now_ns(self) -> int:
        """Return the ns since the origin."""
        return self._monotonic_ns() - self.origin_ns

    def offset_s(self) -> float:
        """Return how far the wall clock has moved against the monotonic one since the origin, in seconds."""
        return (self._wall_ns() - self._origin_wall_ns - self.now_ns()) / 1e9

    @property
    def origin_utc(self) -> str:
        """Return the origin as ISO 8601 in UTC, with microseconds."""
        moment = datetime.fromtimestamp(self._origin_wall_ns / 1e9, tz=UTC)
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def record(self, *, ended: bool) -> ClockRecord:
        """Return the clock's record; the offset is filled in once the run has ended."""
        offset = round(self.offset_s(), 6) if ended else None
        return ClockRecord(source=SOURCE, origin_utc=self.origin_utc, end_offset_s=offset)
