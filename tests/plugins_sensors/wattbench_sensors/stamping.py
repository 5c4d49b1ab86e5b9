"""A mock that appends the span of every execution to a file, and holds a context of its own."""

import os
import struct
from pathlib import Path

from wattbench.backends.contract import Batch, Completion
from wattbench.backends.mock import MockBackend


class StampingBackend(MockBackend):
    """Waits as the mock does; whoever reads the file WATTBENCH_STAMPS knows when."""

    name = "stamping"
    _noted_ns = 0

    def open_context(self, device: str) -> str | None:
        """Pretend to open a context: the file says 1 from then on."""
        Path(os.environ["WATTBENCH_STAMPS"]).with_suffix(".context").write_text(device)
        return "a context of this test"

    def run(self, batch: Batch) -> Completion:
        """Wait, then note when it was; executions are short, and every 10 ms is enough to know."""
        done = super().run(batch)
        if done.end_ns - self._noted_ns < 10_000_000:
            return done
        self._noted_ns = done.end_ns
        with open(os.environ["WATTBENCH_STAMPS"], "ab") as file:
            file.write(struct.pack("<qq", done.start_ns, done.end_ns))
        return done
