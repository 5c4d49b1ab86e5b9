"""The recording of an external meter: samples on the wall clock, as every reader of meter files gives them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Literal

from wattbench.results.checks import require

__all__ = ["MeterRecording", "utc_ns", "utc_text"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecording:
    """What a meter wrote: instants in ns since 1970 (UTC) that ascend, and values in W (`power`) or J (`counter`).

    A value is None where the meter gave no valid reading, and `errors` maps its row to the cause. `time_reference` says
    in words how the file's times were read, `cut` where and why the text breaks off or cannot be read (None: it is
    whole), and `skipped` how many of its rows were lost to that.
    """

    format: str
    kind: Literal["power", "counter"]
    times_ns: tuple[int, ...]
    values: tuple[float | None, ...]
    errors: dict[int, str]
    time_reference: str
    cut: str | None = None
    skipped: int = 0

    def __post_init__(self) -> None:
        require(len(self.times_ns) == len(self.values) > 0, "a recording has as many times as values, at least one")
        require(all(a <= b for a, b in pairwise(self.times_ns)), "the times of a recording do not descend")

    @property
    def spacing_s(self) -> float | None:
        """Return the median time between samples in seconds, or None for a single one."""
        gaps = [b - a for a, b in pairwise(self.times_ns)]
        return median(gaps) / 1e9 if gaps else None


def utc_ns(moment: datetime) -> int:
    """Return the ns since 1970 of a moment that knows its time zone, exact to the microsecond."""
    return (moment - EPOCH) // MICROSECOND * 1000


def utc_text(time_ns: int) -> str:
    """Return an instant as ISO 8601 in UTC with milliseconds."""
    moment = EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
