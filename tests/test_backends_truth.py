"""The check that a backend's times wait for its work, on a make-believe device with its own clock."""

from collections.abc import Callable

import numpy
import pytest

from wattbench.backends.contract import Availability, Backend, Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.truth import completion_truth

MS = 1_000_000
BATCH = Batch(arrays={}, requests=1, input_tokens=1, output_tokens=0)


class Device:
    """A queue of work and a clock that only moves when somebody waits or calls."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.busy_until_ns = 0

    def launch(self, work_ns: int) -> None:
        """Queue work and return at once; the call itself takes 10 us."""
        self.now_ns += 10_000
        self.busy_until_ns = max(self.now_ns, self.busy_until_ns) + work_ns

    def synchronise(self) -> None:
        """Wait until the queue is empty."""
        self.now_ns = max(self.now_ns, self.busy_until_ns)


class AsyncBackend:
    """Queues 10 ms of work an execution and then calls the synchronise that it was given."""

    name = "async"

    def __init__(self, device: Device, synchronise: Callable[[], None], *, stamp_first: bool = False) -> None:
        self._device, self._synchronise, self._stamp_first = device, synchronise, stamp_first

    def probe(self) -> Availability:
        return Availability(state="present", reason="a fake")

    def prepare(self, preparation: Preparation) -> Prepared:
        raise NotImplementedError

    def run(self, batch: Batch) -> Completion:
        start_ns = self._device.now_ns
        self._device.launch(10 * MS)
        end_ns = self._device.now_ns
        self._synchronise()
        if not self._stamp_first:
            end_ns = self._device.now_ns
        return Completion(
            start_ns=start_ns,
            first_output_ns=None,
            step_end_ns=(),
            end_ns=end_ns,
            requests=1,
            input_tokens=1,
            output_tokens=0,
        )

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        self._device.launch(1 * MS)
        self._device.synchronise()  # reading values back cannot but wait
        return Outputs(values=numpy.zeros((1, 1), dtype=numpy.float32))

    def close(self) -> None:
        return None


class Unreadable:
    """A truthful backend that has no outputs to read back."""

    def __init__(self, backend: Backend) -> None:
        self.name, self.probe, self.prepare = backend.name, backend.probe, backend.prepare
        self.run, self.close = backend.run, backend.close


def test_late_work_is_timed_right() -> None:
    """A backend whose work ends 10 ms after its launch reports 10 ms, and is found truthful."""
    device = Device()
    backend = AsyncBackend(device, device.synchronise)
    done = backend.run(BATCH)

    assert 10 * MS <= done.end_ns - done.start_ns
    assert completion_truth(backend, BATCH, lambda: device.now_ns).truthful


def test_a_synchronise_that_does_nothing_is_caught() -> None:
    """A backend that returns before the work is done is not truthful, and the facts say how late it is."""
    device = Device()
    report = completion_truth(AsyncBackend(device, lambda: None), BATCH, lambda: device.now_ns)

    assert not report.truthful
    assert "100%" in report.facts


def test_stamps_taken_before_the_wait_are_caught() -> None:
    """Waiting after the end was stamped does not help."""
    device = Device()
    backend = AsyncBackend(device, device.synchronise, stamp_first=True)

    assert not completion_truth(backend, BATCH, lambda: device.now_ns).truthful


@pytest.mark.parametrize(("waits_share", "truthful"), [(0.9, True), (0.5, False)])
def test_the_limit_is_a_quarter(waits_share: float, truthful: bool) -> None:
    """A tenth of the work outside the times passes as overhead, half of it does not."""
    device = Device()

    def partly() -> None:
        left_ns = max(0, device.busy_until_ns - device.now_ns)
        device.now_ns += int(waits_share * min(left_ns, 10 * MS))

    assert truthful == completion_truth(AsyncBackend(device, partly), BATCH, lambda: device.now_ns).truthful


class Disturbed(AsyncBackend):
    """A truthful backend on a machine that stops it for 200 ms in its second read-back, the one that is timed."""

    reads = 0

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        self.reads += 1
        if self.reads == 2:
            self._device.now_ns += 200 * MS
        return super().outputs(batch, forced_tokens)


def test_one_disturbed_read_back_accuses_nobody() -> None:
    """Outputs that seemed to take far longer than an execution are timed again before that is believed."""
    device = Device()
    report = completion_truth(Disturbed(device, device.synchronise), BATCH, lambda: device.now_ns)

    assert report.truthful


class Skipping(AsyncBackend):
    """A backend whose executions leave out most of what its outputs take."""

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        self._device.launch(40 * MS)
        return super().outputs(batch, forced_tokens)


def test_left_out_work_is_caught() -> None:
    """An execution that takes a quarter of the time of its own outputs, every time, has not computed them."""
    device = Device()
    report = completion_truth(Skipping(device, device.synchronise), BATCH, lambda: device.now_ns)

    assert not report.truthful
    assert "an execution took 10.01 ms, but computing its outputs alone takes 41.0" in report.facts


def test_without_outputs_nothing_is_proven() -> None:
    """A backend that cannot be read back is reported as unproven."""
    device = Device()
    report = completion_truth(Unreadable(AsyncBackend(device, device.synchronise)), BATCH, lambda: device.now_ns)

    assert not report.truthful
    assert "no outputs()" in report.facts
