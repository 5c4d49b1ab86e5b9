"""A backend whose micro-benchmark waits for a stated time and does a stated amount of work; it counts its calls."""

import itertools
import os
import time
from pathlib import Path

from wattbench.backends.contract import CeilingReport, CeilingRequest, CeilingSample, DeviceInfo
from wattbench.backends.mock import MockBackend
from wattbench.results.errors import DeviceError

FLOPS = 3e9


class ProbingBackend(MockBackend):
    """The mock and its device with ceilings: each window is 3 GFLOP. What else happens stands in WATTBENCH_CEILINGS.

    "lost": DeviceError; "bug": KeyError; "nothing": no sample; a path: each call appends a line to that file.
    """

    name = "probing"

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the one made-up device, which a sensor of the board "made-up" sees."""
        return (
            DeviceInfo(
                name="mock",
                description="a made-up device",
                memory_bytes=None,
                precisions=("float32", "bfloat16"),
                precision_default="bfloat16",
                power_covers="made-up",
                computes=False,
                cache_bytes=32 << 20,
            ),
        )

    def ceilings(self, request: CeilingRequest) -> CeilingReport:
        """Wait through the windows, one after the other."""
        wish = os.environ.get("WATTBENCH_CEILINGS", "")
        if wish == "lost":
            raise DeviceError("The device was lost", "it fell off the bus", "Reset it.")
        if wish == "bug":
            raise KeyError("a bug in the backend")
        if wish.startswith("/"):
            with Path(wish).open("a") as file:
                file.write(f"{request.precisions} {request.shapes}\n")
        samples = () if wish == "nothing" else (self._sample(request),)
        return CeilingReport(samples=samples, skipped=("memory_read: made up",))

    def _sample(self, request: CeilingRequest) -> CeilingSample:
        stamps = [time.perf_counter_ns()]
        for _ in range(request.windows):
            time.sleep(request.window_s)
            stamps.append(time.perf_counter_ns())
        return CeilingSample(
            kind="matmul",
            precision=request.precisions[0],
            shape="2x2x2",
            work=(FLOPS,) * request.windows,
            spans_ns=tuple(itertools.pairwise(stamps)),
            library="made up 1.0",
            threads=None,
        )
