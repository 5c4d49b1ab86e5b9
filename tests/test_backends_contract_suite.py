"""The contract suite finds what is wrong with a backend or a sampler."""

from dataclasses import replace

import numpy
import pytest
from records import PLAIN_POWER

from wattbench.backends.contract import Batch, Completion, DeviceInfo, Outputs, Preparation, Prepared
from wattbench.backends.mock import MockBackend, mock_outputs
from wattbench.backends.truth import TruthReport
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading
from wattbench.models.find import find_load
from wattbench.results.errors import SensorError
from wattbench.results.plugins import load_plugin, plugin_names
from wattbench.testing import BackendCase, check_backend, check_sampler
from wattbench.testing import backends as testing_backends
from wattbench.testing.backends import CHECKS, GateReference


class Wrapped(MockBackend):
    """A mock to be broken in one place."""


class SilentProbe(Wrapped):
    """Finds nothing and does not say what to do."""

    def probe(self) -> Availability:
        return Availability(state="absent", reason="the SDK is not installed")


class ZeroMemory(Wrapped):
    """Says 0 where it does not know."""

    def devices(self) -> tuple[DeviceInfo, ...]:
        return (replace(super().devices()[0], memory_bytes=0),)


class SilentlyCasting(Wrapped):
    """Takes any precision."""

    def prepare(self, preparation: Preparation) -> Prepared:
        return super().prepare(replace(preparation, precision="float32"))


class Unproven(Wrapped):
    """Does not say where the work ran."""

    def prepare(self, preparation: Preparation) -> Prepared:
        made = super().prepare(preparation)
        return replace(made, backend=replace(made.backend, placement=""))


class Lazy(Wrapped):
    """Writes one token fewer than asked."""

    def run(self, batch: Batch) -> Completion:
        done = super().run(batch)
        return replace(done, output_tokens=done.output_tokens - batch.requests, step_end_ns=done.step_end_ns[:-1])


class OtherClock(Wrapped):
    """Takes its times from a clock of its own."""

    def run(self, batch: Batch) -> Completion:
        done = super().run(batch)
        return replace(done, start_ns=done.start_ns + 10**12, end_ns=done.end_ns + 10**12)


class WrongNumbers(Wrapped):
    """Computes something else."""

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        return Outputs(values=-super().outputs(batch, forced_tokens).values)


class Remembering(Wrapped):
    """Lets one execution change the next."""

    calls = 0

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        values = super().outputs(batch, forced_tokens).values
        return Outputs(values=values + self.calls)

    def run(self, batch: Batch) -> Completion:
        self.calls += 1
        return super().run(batch)


class FallingBack(Wrapped):
    """Lets the CPU do part of the work and goes on."""

    def prepare(self, preparation: Preparation) -> Prepared:
        made = super().prepare(preparation)
        return replace(made, backend=replace(made.backend, fallback="3 of 9 nodes on the CPU"))


class Miscounting(Wrapped):
    """Says that compiling took longer than the execution that it was a part of."""

    def prepare(self, preparation: Preparation) -> Prepared:
        return replace(super().prepare(preparation), compile_s=1e6)


class Pretending(Wrapped):
    """Lists an emulated device and does not say so in its record."""

    def devices(self) -> tuple[DeviceInfo, ...]:
        return (replace(super().devices()[0], emulated_on="the CPU"),)


class Undead(Wrapped):
    """Still runs after it was closed."""

    def close(self) -> None:
        return None


BROKEN = [
    (SilentProbe, "must say what to do"),
    (ZeroMemory, "unknown memory is None, not 0"),
    (SilentlyCasting, "must refuse float1"),
    (Unproven, "placement must say something"),
    (Lazy, "is not the work of"),
    (OtherClock, "times must be in order"),
    (WrongNumbers, "relative error"),
    (Remembering, "changed what the next one computes"),
    (FallingBack, "fell back unasked: 3 of 9"),
    (Miscounting, "compile_s is a part of first_execution_s"),
    (Pretending, "emulated on the CPU: its record must say"),
    (Undead, "run\\(\\) after close\\(\\)"),
]


def case(backend: type[MockBackend]) -> BackendCase:
    """Return a case for a kind of mock."""
    return BackendCase(
        make_backend=backend,
        load=find_load("tiny-decoder/tiny"),
        device="mock",
        reference=lambda _: GateReference(values=mock_outputs(0), forced_tokens=None),
    )


def test_a_good_backend_passes_every_check() -> None:
    """The names of all checks come back."""
    assert tuple(check.__name__ for check in CHECKS) == check_backend(case(MockBackend))


@pytest.mark.parametrize(("backend", "complaint"), BROKEN)
def test_a_broken_promise_is_named(backend: type[MockBackend], complaint: str) -> None:
    """Each broken backend fails with the promise that it breaks."""
    with pytest.raises(AssertionError, match=complaint):
        check_backend(case(backend))


def test_a_truth_check_that_believes_everything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the check of the times blind, the suite would say so by work that nobody waited for."""
    blind = TruthReport(truthful=True, facts="believed")
    monkeypatch.setattr(testing_backends, "completion_truth", lambda backend, batch: blind)
    with pytest.raises(AssertionError, match="a call that does not wait was believed"):
        testing_backends.late_work_is_told(case(MockBackend))


@pytest.mark.usefixtures("kept_graphs")
@pytest.mark.parametrize("name", plugin_names("wattbench.backends"))
def test_every_installed_backend_keeps_the_contract(name: str) -> None:
    """All checks, the two of lateness among them, for each backend that is installed and can be used here."""
    if name == "endpoint":
        pytest.skip("endpoint: it executes nothing itself; tests/test_endpoint_* hold it to what a client promises")
    backend = load_plugin("wattbench.backends", name, "backend")
    if not backend().probe().usable:
        pytest.skip(f"{name}: {backend().probe().reason}")
    encoder = BackendCase(
        make_backend=backend,
        load=find_load("tiny-encoder/tiny-encode"),
        tuning="graph" if name == "onnxruntime" else "eager",
    )

    assert len(CHECKS) == len(check_backend(case(backend) if name == "mock" else encoder))


CHANNEL = replace(
    PLAIN_POWER, id="fake:energy", kind="counter", provenance="replayed", unit="J", accuracy_basis="made up"
)


class FakeSampler:
    """A counter that reads the numbers it is given."""

    name = "fake"

    def __init__(self, *values: float | None, channel: str = "fake:energy", error: str | None = None) -> None:
        self.channels: tuple[ChannelRecord, ...] = ()
        self._values, self._channel, self._error = list(values), channel, error

    def probe(self) -> Availability:
        self.channels = (CHANNEL,)
        return Availability(state="present", reason="a fake")

    def read(self) -> tuple[Reading, ...]:
        if not self._values:
            raise SensorError("The fake has no more values")
        return (Reading(channel=self._channel, value=self._values.pop(0), error=self._error),)

    def close(self) -> None:
        return None


def test_a_good_sampler_passes() -> None:
    """A counter that counts up keeps the contract."""
    assert 4 == len(check_sampler(lambda: FakeSampler(1.0, 2.0)))


@pytest.mark.parametrize(
    ("sampler", "complaint"),
    [
        (lambda: FakeSampler(2.0, 1.0), "fell from 2.0 to 1.0 J"),
        (lambda: FakeSampler(float("nan")), "read nan"),
        (lambda: FakeSampler(None), "must say why"),
        (lambda: FakeSampler(1.0, channel="other"), "unknown channel other"),
    ],
)
def test_a_broken_sampler_is_named(sampler: object, complaint: str) -> None:
    """Each broken sampler fails with the promise that it breaks."""
    assert callable(sampler)
    with pytest.raises(AssertionError, match=complaint):
        check_sampler(sampler)
