"""The contract of a backend as checks: each raises AssertionError with what is wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy

from wattbench.backends.contract import (
    EAGER,
    Availability,
    Backend,
    DeviceLister,
    Inspectable,
    MemoryReporter,
    Preparation,
    Prepared,
)
from wattbench.backends.truth import completion_truth
from wattbench.harness.quality import compare
from wattbench.models.load import Load
from wattbench.results.errors import UsageError, WattbenchError
from wattbench.testing.batches import make_batch
from wattbench.testing.lateness import LATE_S, Late

__all__ = ["CHECKS", "BackendCase", "BackendContract", "GateReference", "check_backend"]

PROBE_LIMIT_S = 10.0
"""A probe answers from names and files, or from one child process that loads the SDK; this is far above any honest one.

It is no limit for an SDK that hangs: how long that is waited for is its backend's own (docs/backends.md, "Probing").
"""

GATE_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReference:
    """What a backend's outputs must be: float32 (positions, width), and the tokens to force (None: none)."""

    values: numpy.ndarray
    forced_tokens: numpy.ndarray | None


class Held:
    """A backend that is prepared once, for all checks that only look at it."""

    def __init__(self) -> None:
        self._ready: tuple[Backend, Prepared] | None = None

    def ready(self, case: "BackendCase") -> tuple[Backend, Prepared]:
        """Return the backend and what it said when it was prepared, which the first call does."""
        if self._ready is None:
            backend = case.make_backend()
            try:
                self._ready = backend, backend.prepare(_preparation(case, case.device, case.precision))
            except BaseException:
                backend.close()
                raise
        return self._ready

    def close(self) -> None:
        """Close the backend, if there is one."""
        ready, self._ready = self._ready, None
        if ready is not None:
            ready[0].close()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCase:
    """What a backend is checked with: how to make it, a small load, a device and a precision that it has.

    `reference` gives what the outputs for a load must be; None takes wattbench's own float32 reference, which
    needs PyTorch and a backend that builds the same synthetic weights. `tuning` is one of the backend's levels.
    `held` keeps one prepared backend for all checks that can share it; None prepares one for each.
    """

    make_backend: Callable[[], Backend]
    load: Load
    device: str = "cpu"
    precision: str = "float32"
    reference: Callable[[Load], GateReference] | None = None
    tuning: str = EAGER
    held: Held | None = None


def check_backend(case: BackendCase) -> tuple[str, ...]:
    """Run every check of the contract and return their names. Raises AssertionError for the first broken promise."""
    for check in CHECKS:
        check(case)
    return tuple(check.__name__ for check in CHECKS)


class BackendContract:
    """Every check as a pytest test: inherit it in a class `Test...` and give the attribute `case`.

    The tests of a class share one prepared backend, where they do not end it or need one of their own.
    """

    case: BackendCase
    _held: Held

    @classmethod
    def setup_class(cls) -> None:
        """Have nothing prepared yet."""
        cls._held = Held()

    @classmethod
    def teardown_class(cls) -> None:
        """Close what was prepared."""
        cls._held.close()

    def test_probe_answers_quickly(self) -> None:
        """The probe gives an answer with a reason, and does not raise or hang."""
        probe_answers_quickly(self.case)

    def test_foreign_precisions_and_devices_are_refused(self) -> None:
        """A precision or device that it does not have is a UsageError, not a cast."""
        foreign_precisions_and_devices_are_refused(self._alone())

    def test_unknown_is_none(self) -> None:
        """What the SDK cannot tell is None, never 0."""
        unknown_is_none(self._shared())

    def test_the_record_says_how_it_is_known(self) -> None:
        """The record states precision, synchronisation, placement and the sources of its counts."""
        the_record_says_how_it_is_known(self._shared())

    def test_the_work_is_all_there(self) -> None:
        """A completion has the batch's requests and tokens, and one stamp for each token."""
        the_work_is_all_there(self._shared())

    def test_times_are_in_order(self) -> None:
        """A completion's times follow one another, within the call."""
        times_are_in_order(self._shared())

    def test_completion_is_truthful(self) -> None:
        """No work ends outside the reported times."""
        completion_is_truthful(self._shared())

    def test_outputs_equal_the_reference(self) -> None:
        """The outputs are the reference's within the load's tolerance."""
        outputs_equal_the_reference(self._shared())

    def test_executions_leave_nothing_behind(self) -> None:
        """Outputs are the same before and after other executions."""
        executions_leave_nothing_behind(self._shared())

    def test_the_record_owns_up(self) -> None:
        """The record says what was emulated, what compiling took, and that nothing fell back to another device."""
        the_record_owns_up(self._shared())

    def test_late_work_is_told(self) -> None:
        """Work that ends late is timed right by a call that waits for it, and a call that does not wait is caught."""
        late_work_is_told(self._alone())

    def test_close_is_safe(self) -> None:
        """Closing twice, or before anything was prepared, is allowed; running afterwards is refused."""
        close_is_safe(self._alone())

    def _shared(self) -> BackendCase:
        return replace(self.case, held=self._held)

    def _alone(self) -> BackendCase:
        self._held.close()  # no SDK has to bear two prepared backends in one process
        return self.case


def probe_answers_quickly(case: BackendCase) -> None:
    """Check that the probe gives an answer with a reason, and does not raise or hang."""
    started = perf_counter()
    found = case.make_backend().probe()
    took_s = perf_counter() - started
    assert isinstance(found, Availability), f"probe() must return an Availability, not {found!r}"
    assert found.reason, "probe() must give its reason in words"
    assert found.usable or found.remedy, "a probe that finds nothing usable must say what to do"
    assert took_s < PROBE_LIMIT_S, f"probe() took {took_s:.1f} s"


def unknown_is_none(case: BackendCase) -> None:
    """Check that what the SDK cannot tell is None, never 0."""
    backend = case.make_backend()
    if isinstance(backend, DeviceLister):
        for info in backend.devices():
            assert info.memory_bytes != 0, f"{info.name}: unknown memory is None, not 0"
            assert info.precision_default in info.precisions, f"{info.name}: its default precision is not among its own"
    with _prepared(case) as (ready, _):
        if isinstance(ready, MemoryReporter):
            assert ready.memory_peak_bytes() != 0, "an unknown peak is None, not 0"


def the_record_says_how_it_is_known(case: BackendCase) -> None:
    """Check that the record states precision, synchronisation, placement and the sources of its counts."""
    with _prepared(case) as (_, made):
        record = made.backend
    assert record.precision_requested == case.precision, "the record must repeat the precision asked for"
    for field in ("precision_effective", "synchronisation", "placement", "token_source", "memory_source"):
        assert getattr(record, field), f"the record's {field} must say something"
    assert record.memory_peak_bytes != 0, "an unknown peak is None, not 0"
    assert made.build_s >= 0, "build_s cannot be negative"
    assert made.first_execution_s >= 0, "first_execution_s cannot be negative"
    assert made.weights.digest, "the weights must have a digest"


def foreign_precisions_and_devices_are_refused(case: BackendCase) -> None:
    """Check that a precision or device that it does not have is a UsageError, not a cast."""
    for device, precision in ((case.device, "float1"), ("no-such-device", case.precision)):
        backend = case.make_backend()
        try:
            backend.prepare(_preparation(case, device, precision))
        except UsageError:
            continue
        finally:
            backend.close()
        raise AssertionError(f"prepare() must refuse {precision} on {device} with a UsageError")


def the_work_is_all_there(case: BackendCase) -> None:
    """Check that a completion has the batch's requests and tokens, and one stamp for each token."""
    batch = make_batch(case.load, 2)
    with _prepared(case) as (backend, _):
        done = backend.run(batch)
    assert done.error is None, f"the execution failed: {done.error}"
    asked = (batch.requests, batch.input_tokens, batch.output_tokens)
    assert (done.requests, done.input_tokens, done.output_tokens) == asked, f"{done} is not the work of {asked}"
    tokens = batch.output_tokens // batch.requests
    stamps = len(done.step_end_ns) + (done.first_output_ns is not None)
    assert stamps == tokens, f"{stamps} stamps for {tokens} tokens of each request"


def times_are_in_order(case: BackendCase) -> None:
    """Check that a completion's times follow one another, within the call."""
    from time import perf_counter_ns

    with _prepared(case) as (backend, _):
        before = perf_counter_ns()
        done = backend.run(make_batch(case.load, 2))
        after = perf_counter_ns()
    first = () if done.first_output_ns is None else (done.first_output_ns,)
    times = [before, done.start_ns, *first, *done.step_end_ns, done.end_ns, after]
    assert times == sorted(times), "times must be in order and on time.perf_counter_ns"


def completion_is_truthful(case: BackendCase) -> None:
    """Check that no work ends outside the reported times."""
    with _prepared(case) as (backend, _):
        report = completion_truth(backend, make_batch(case.load, 2))
    assert report.truthful, report.facts


def outputs_equal_the_reference(case: BackendCase) -> None:
    """Check that the outputs are the reference's within the load's tolerance."""
    wanted = (case.reference or _own_reference)(case.load)
    with _prepared(case) as (backend, _):
        assert isinstance(backend, Inspectable), "without outputs() nothing can be compared"
        found = backend.outputs(make_batch(case.load), wanted.forced_tokens)
    tolerance = case.load.model.tolerance(case.precision)
    quality = compare(found.values, wanted.values, tolerance, case.precision)
    assert quality.passed, quality.reason


def executions_leave_nothing_behind(case: BackendCase) -> None:
    """Check that outputs are the same before and after other executions."""
    batch = make_batch(case.load, 2, seed=1)
    with _prepared(case) as (backend, _):
        assert isinstance(backend, Inspectable), "without outputs() nothing can be compared"
        before = backend.outputs(batch, None).values
        backend.run(make_batch(case.load, 2, seed=2))
        after = backend.outputs(batch, None).values
    assert numpy.allclose(before, after, rtol=1e-5, atol=1e-6), "an execution changed what the next one computes"


def the_record_owns_up(case: BackendCase) -> None:
    """Check that the record says what was emulated, what compiling took, and that nothing fell back elsewhere."""
    with _prepared(case) as (backend, made):
        infos = backend.devices() if isinstance(backend, DeviceLister) else ()
    record = made.backend
    for info in infos:
        assert info.name, "a device must have a name"
        assert info.description, f"{info.name} must say what it is"
    emulated_on = next((info.emulated_on for info in infos if info.name == record.device), None)
    assert emulated_on is None or record.emulated, f"{record.device} is emulated on {emulated_on}: its record must say"
    assert record.fallback is None, f"work fell back unasked: {record.fallback}"
    assert record.placement_share in (None, 1.0), f"{record.placement_share:.0%} of the work is on the device"
    if made.compile_s is not None:
        assert 0 <= made.compile_s <= made.first_execution_s, "compile_s is a part of first_execution_s"


def late_work_is_told(case: BackendCase) -> None:
    """Check that late work is timed right by a call that waits for it, and that a call that does not wait is caught.

    So the check of the times is itself checked, with the backend's own work in a queue.
    """
    batch = make_batch(case.load, 2)
    late = Late(case.make_backend())
    with _prepared(replace(case, make_backend=lambda: late, held=None)):
        done = late.run(batch)
        waited = completion_truth(late, batch)
        late.waits = False
        hurried = completion_truth(late, batch)
    took_s = (done.end_ns - done.start_ns) / 1e9
    assert took_s >= LATE_S, f"work that ends {LATE_S} s late was timed as {took_s:.4f} s"
    assert waited.truthful, waited.facts
    assert not hurried.truthful, f"a call that does not wait was believed: {hurried.facts}"


def close_is_safe(case: BackendCase) -> None:
    """Check that closing twice, or before anything was prepared, is allowed, and running afterwards refused."""
    case.make_backend().close()
    with _prepared(replace(case, held=None)) as (backend, _):
        backend.close()
        backend.close()
        try:
            backend.run(make_batch(case.load))
        except WattbenchError:
            return
    raise AssertionError("run() after close() must raise one of wattbench's errors")


CHECKS: tuple[Callable[[BackendCase], None], ...] = (
    probe_answers_quickly,
    unknown_is_none,
    the_record_says_how_it_is_known,
    foreign_precisions_and_devices_are_refused,
    the_work_is_all_there,
    times_are_in_order,
    completion_is_truthful,
    outputs_equal_the_reference,
    executions_leave_nothing_behind,
    the_record_owns_up,
    late_work_is_told,
    close_is_safe,
)
"""Every check, in the order of `check_backend`."""


@contextmanager
def _prepared(case: BackendCase) -> Iterator[tuple[Backend, Prepared]]:
    if case.held is not None:
        yield case.held.ready(case)
        return
    backend = case.make_backend()
    try:
        yield backend, backend.prepare(_preparation(case, case.device, case.precision))
    finally:
        backend.close()


def _preparation(case: BackendCase, device: str, precision: str) -> Preparation:
    return Preparation(
        load=case.load,
        weights="synthetic",
        seed=0,
        precision=precision,
        device=device,
        batch=2,
        threads=None,
        affinity=None,
        tuning=case.tuning,
    )


def _own_reference(load: Load) -> GateReference:
    from wattbench.models.torch_reference import reference_outputs

    steps = min(GATE_STEPS, load.shape.output_tokens)
    found = reference_outputs(load.model, make_batch(load).arrays, steps, weights="synthetic", seed=0)
    return GateReference(values=found.values, forced_tokens=found.forced_tokens)
