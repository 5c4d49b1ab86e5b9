"""A backend that works like the mock on a device of little memory, which its processes share.

SMALL_ROOM      folder in which every prepared process notes its batch; without it there is no limit
SMALL_REQUESTS  how many requests all prepared processes together may hold
SMALL_LOST      the device is lost once this file exists
SMALL_BUG       the batch at which the backend has a bug
SMALL_COVERS    the UUID of the board that the device is
SMALL_LEVELS    names of tuning levels, with commas between; without it there is one
SMALL_SLOW      the level whose prefill takes SLOW_S longer
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil

from wattbench.backends.contract import EAGER, Batch, Completion, Level, Outputs, Preparation, Prepared
from wattbench.backends.mock import MockBackend
from wattbench.results.errors import DeviceError, OutOfMemoryError

SLOW_S = 0.1


class SmallBackend:
    """Wraps the mock."""

    name = "small"

    def __init__(self) -> None:
        self._mock = MockBackend()
        self._note: Path | None = None
        self._slow_s = 0.0

    def probe(self):
        """Say what the mock says."""
        return self._mock.probe()

    def devices(self):
        """Name the mock's device; it covers the board of the setting."""
        return tuple(replace(d, power_covers=os.environ.get("SMALL_COVERS")) for d in self._mock.devices())

    def levels(self, load, device, precision):
        """Name the levels of the setting."""
        names = os.environ.get("SMALL_LEVELS", EAGER).split(",")
        return tuple(Level(name=name, description="the mock") for name in names)

    def prepare(self, preparation: Preparation) -> Prepared:
        """Prepare the mock, unless the device is lost or has no room left."""
        _refuse_if_lost()
        self._take_room(preparation.batch)
        self._slow_s = SLOW_S if os.environ.get("SMALL_SLOW") == preparation.tuning else 0.0
        return self._mock.prepare(preparation)

    def run(self, batch: Batch) -> Completion:
        """Run the mock, unless the device is lost or the batch meets the bug."""
        _refuse_if_lost()
        if os.environ.get("SMALL_BUG") == str(batch.requests):
            raise KeyError("a bug in the backend")
        start_ns = time.perf_counter_ns()
        time.sleep(self._slow_s)
        return replace(self._mock.run(batch), start_ns=start_ns)

    def outputs(self, batch: Batch, forced_tokens) -> Outputs:
        """Give the mock's outputs."""
        return self._mock.outputs(batch, forced_tokens)

    def close(self) -> None:
        """Give the room back."""
        self._mock.close()
        if self._note is not None:
            self._note.unlink(missing_ok=True)

    def _take_room(self, batch: int) -> None:
        room = os.environ.get("SMALL_ROOM")
        if room is None:
            return
        held = sum(int(p.read_text()) for p in Path(room).iterdir() if psutil.pid_exists(int(p.name)))
        free = int(os.environ["SMALL_REQUESTS"]) - held
        if batch > free:
            raise OutOfMemoryError(
                "The device ran out of memory", f"{batch} requests, room for {free}", "Ask for less."
            )
        self._note = Path(room) / str(os.getpid())
        self._note.write_text(str(batch))


def _refuse_if_lost() -> None:
    if "SMALL_LOST" in os.environ and Path(os.environ["SMALL_LOST"]).exists():
        raise DeviceError("The device was lost", "it fell off the bus", "Reset it.")
