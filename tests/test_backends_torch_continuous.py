"""Continuous batching: the right tokens for every request, whoever shares its steps, and times of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("torch", reason="this is the torch backend")
pytest.importorskip("transformers", reason="the batching is transformers' own")

import torch
from small_models import small_load

from wattbench.backends.contract import Preparation, Prepared
from wattbench.backends.execution import executed
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.continuous import ContinuousEngine
from wattbench.backends.torch.watched_head import WatchedHead
from wattbench.backends.truth import completion_truth
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import DeviceError
from wattbench.testing import make_batch

REQUESTS, SLOTS = 7, 3
SMALL = small_load("smollm2-135m/chat")


@contextmanager
def prepared(
    level: str, precision: str = "float32", slots: int | None = None
) -> Iterator[tuple[TorchBackend, Prepared]]:
    """Give a backend that holds the small decoder for seven requests, and what it says; close it afterwards."""
    backend = TorchBackend()
    made = backend.prepare(
        Preparation(
            load=SMALL,
            weights="synthetic",
            seed=3,
            precision=precision,
            device="cpu",
            batch=REQUESTS,
            threads=1,
            affinity=None,
            tuning=level,
            slots=slots,
        )
    )
    try:
        yield backend, made
    finally:
        backend.close()


def test_every_request_gets_the_tokens_of_the_plain_engine() -> None:
    """Seven requests through three slots, twice over: the tokens are those of steps in which nobody waits."""
    batch = make_batch(SMALL, REQUESTS)
    with prepared("eager") as (backend, _):
        backend.run(batch)
        assert backend._session is not None
        engine = backend._session._engine
        assert engine is not None
        expected = engine.state()[-2].tolist()
    with prepared("continuous", slots=SLOTS) as (backend, _):
        assert backend._session is not None
        engine = backend._session._engine
        assert isinstance(engine, ContinuousEngine)
        found = [engine.tokens(batch) for _ in range(2)]

    assert [expected, expected] == found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_engine_passes_the_gate_also_after_executions(precision: str) -> None:
    """Prompt and forced decode steps through the paged cache agree with the reference, before and after a batch."""
    batch = make_batch(SMALL, REQUESTS)
    reference = reference_outputs(SMALL.model, batch.arrays, 12, weights="synthetic", seed=3)
    with prepared("continuous", precision, SLOTS) as (backend, made):
        before = backend.outputs(batch, reference.forced_tokens).values
        backend.run(batch)
        after = backend.outputs(batch, reference.forced_tokens).values
    verdict = compare(before, reference.values, SMALL.model.tolerance(precision), precision)

    assert "" == verdict.reason
    assert before.tolist() == after.tolist()
    assert ("continuous", precision) == (made.backend.engine, made.backend.precision_effective)


def test_requests_have_times_of_their_own() -> None:
    """At most three requests are in progress at once, each with a stamp for every token, inside the call."""
    batch = make_batch(SMALL, REQUESTS)
    with prepared("continuous", slots=SLOTS) as (backend, made):
        done = executed(backend, batch).completion
        truth = completion_truth(backend, batch)
    starts = sorted(part.start_ns for part in done.parts)
    ends = sorted(part.end_ns for part in done.parts)

    assert truth.truthful, truth.facts
    assert (REQUESTS, REQUESTS * 20, REQUESTS * 12) == (done.requests, done.input_tokens, done.output_tokens)
    assert {(1, 20, 12, 11)} == {
        (part.requests, part.input_tokens, part.output_tokens, len(part.step_end_ns)) for part in done.parts
    }
    assert all(sum(s <= t for s in starts) - sum(e <= t for e in ends) <= SLOTS for t in starts)
    assert "3 slots" in made.backend.tuning
    assert "static KV cache" not in made.backend.tuning
    assert "read on the host in every step" in made.backend.synchronisation


def test_levels_that_batch_continuously_are_told_apart() -> None:
    """The level is there for decoders of one turn in plain precisions, and for nothing else."""
    backend = TorchBackend()

    def found(load: str, precision: str) -> list[str]:
        return [level.name for level in backend.levels(find_load(load), "cpu", precision) if level.continuous]

    assert ["continuous"] == found("smollm2-135m/chat", "bfloat16")
    assert [] == found("smollm2-135m/agent", "bfloat16")
    assert [] == found("smollm2-135m/chat", "int8")
    assert [] == found("bert-base/classify-128", "bfloat16")
    assert [] == found("tiny-decoder/tiny", "float32")


def test_the_watch_forces_tokens_and_records_what_it_was_given() -> None:
    """Row 0's logits are kept as they were, the forced token wins, other rows and a full record change nothing."""
    linear = torch.nn.Linear(4, 6, bias=False).requires_grad_(False)
    watch, x = WatchedHead(linear, 3), torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(1))
    plain = linear(x)
    watch.force([5, 2])
    found = [watch(x) for _ in range(4)]

    assert [5, 2] == [int(logits[0, 0].argmax()) for logits in found[:2]]
    assert torch.equal(plain, found[2])
    assert torch.equal(plain, found[3])
    assert all(torch.equal(plain[0, 0], row) for row in watch.seen)
    assert all(torch.equal(plain[0, 1], logits[0, 1]) for logits in found)


def test_more_tokens_than_the_record_has_rows_are_refused() -> None:
    """The watch says how many it takes."""
    watch = WatchedHead(torch.nn.Linear(4, 6), 3)

    with pytest.raises(ValueError, match="at most 2 tokens"):
        watch.force([1, 2, 3])


def test_a_manager_that_has_died_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails ends the run with its reason instead of waiting for ever."""
    batch = make_batch(SMALL, REQUESTS)
    with prepared("continuous", slots=SLOTS) as (backend, _):
        assert backend._session is not None
        engine = backend._session._engine
        assert isinstance(engine, ContinuousEngine)

        def fail(_: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("the device is gone")

        monkeypatch.setattr(engine._head, "forward", fail)
        with pytest.raises(DeviceError, match="the device is gone"):
            backend.run(batch)
