"""A sensor that shows 100 W, and 300 W while the stamping backend works, as the mean of a trailing half second."""

import os
import struct
import time
from pathlib import Path

from wattbench.harness.power.contract import Reading, SamplerOptions
from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord

WINDOW_NS = 500_000_000
UPDATE_NS = 100_000_000
LATE_NS = 50_000_000
"""Updates show what was 50 ms ago, so that the backend has noted it."""

BRIDGED_NS = 300_000_000
"""Pauses between steps are longer than this by far."""


class AveragingSampler:
    """States that it is instant and has no lag, which is not true: a probe must find out."""

    name = "averaging"

    def __init__(self, options: SamplerOptions) -> None:
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Be present."""
        self.channels = (
            ChannelRecord(
                id="averaging:board",
                sampler=self.name,
                group="averaging:board",
                scope="node",
                kind="power",
                provenance="measured",
                unit="W",
                covers=None,
                resolution=0.001,
                update_period_s=0.1,
                averaging_window_s=0.1,
                lag_s=0.1,
                seen_share=1.0,
                wraps_at_j=None,
                limit_w=None,
                accuracy_rel=0.01,
                accuracy_basis="a test's",
            ),
        )
        return Availability(state="present", reason="a test's sensor")

    def read(self) -> tuple[Reading, ...]:
        """Give the mean of the half second that ended at the last update, with a trace of noise."""
        now_ns = time.perf_counter_ns()
        end_ns = now_ns // UPDATE_NS * UPDATE_NS - LATE_NS
        watts = 100.0 + 200.0 * _busy_ns(end_ns - WINDOW_NS, end_ns) / WINDOW_NS
        return (Reading(channel="averaging:board", value=watts + end_ns // UPDATE_NS % 7 * 0.01),)

    def close(self) -> None:
        """Do nothing."""


def _busy_ns(start_ns: int, end_ns: int) -> int:
    """Return how long the backend worked between two instants: short gaps between executions are a busy machine."""
    path = Path(os.environ["WATTBENCH_STAMPS"])
    data = path.read_bytes()[-16 * 4000 :] if path.exists() else b""
    spans: list[list[int]] = []
    for first, last in struct.iter_unpack("<qq", data[: len(data) // 16 * 16]):
        if spans and first - spans[-1][1] < BRIDGED_NS:
            spans[-1][1] = last
        else:
            spans.append([first, last])
    return sum(max(0, min(last, end_ns) - max(first, start_ns)) for first, last in spans)
