"""A backend that works like the mock until its fault, named in WATTBENCH_FAULT, strikes in a measured window."""

import os
import signal

from wattbench.backends.contract import Batch, Completion, Preparation, Prepared
from wattbench.backends.mock import MockBackend
from wattbench.results.errors import DeviceError

STRIKES_AT = 500
"""The execution in which it strikes. One takes 0.4 ms at least, the longest warm-up of these tests 0.1 s and each of
their windows with its lead-in and lead-out 1.4 s: it is in a window however busy the machine is."""


class FaultyBackend:
    """Wraps the mock; the fault strikes in a window (or at once in `prepare`, for faults named so)."""

    name = "faulty"

    def __init__(self) -> None:
        self._mock = MockBackend()
        self._executions = 0
        self._hoard: list[bytearray] = []
        self._fault = os.environ.get("WATTBENCH_FAULT", "")

    def probe(self):
        """Say what the mock says."""
        return self._mock.probe()

    def devices(self):
        """Name the mock's devices."""
        return self._mock.devices()

    def prepare(self, preparation: Preparation) -> Prepared:
        """Prepare the mock, unless the fault is in preparing."""
        if self._fault == "prepare":
            raise DeviceError("The device did not answer", "its driver is missing", "Install the driver.")
        if self._fault == "chatty":
            os.write(1, b"a library that writes to standard output\n")
        return self._mock.prepare(preparation)

    def run(self, batch: Batch) -> Completion:
        """Run the mock until the fault strikes."""
        self._executions += 1
        if self._executions >= STRIKES_AT:
            self._strike()
        return self._mock.run(batch)

    def close(self) -> None:
        """Close the mock."""
        self._mock.close()

    def _strike(self) -> None:
        match self._fault:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "memory":
                while True:
                    self._hoard.append(bytearray(64 << 20))
            case "device":
                raise DeviceError("The device was lost", "it fell off the bus", "Reset it.")
            case "bug":
                raise KeyError("a bug in the backend")
