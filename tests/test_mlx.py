"""The mlx backend on the CPU with tiny models."""

from dataclasses import replace

import pytest

pytest.importorskip("mlx.core", reason="this is the mlx backend")
pytest.importorskip("torch", reason="weights are drawn with it")

from edge_case import BERT, assert_asked_lightly, judged, preparation

from wattbench.backends.contract import EAGER
from wattbench.backends.mlx.backend import mlx_backend
from wattbench.models.find import find_load
from wattbench.results.errors import UsageError
from wattbench.testing import BackendCase, BackendContract

pytestmark = pytest.mark.usefixtures("kept_graphs")

EAGERLY = preparation(BERT, threads=None, tuning=EAGER)
"""MLX keeps no program and sets no threads."""


class TestContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(make_backend=mlx_backend, load=find_load("tiny-encoder/tiny-encode"))


def test_bert_computes_the_references_numbers() -> None:
    """The encoder of BERT, written in MLX, is the one of transformers."""
    found = judged(mlx_backend(), EAGERLY)
    record, weights = found.made.backend, found.made.weights

    assert found.quality.passed, found.quality.reason
    assert (found.weights_digest, 1.0, None) == (weights.digest, record.placement_share, record.fallback)


def test_other_encoders_are_refused() -> None:
    """Images and other activations than BERT's own are not written in MLX, and said so."""
    relu = replace(BERT, model=replace(BERT.model, config=dict(BERT.model.config) | {"hidden_act": "relu"}))
    backend = mlx_backend()

    assert [()] * 3 == [
        backend.levels(load, "cpu", "float32")
        for load in (relu, find_load("vit-b16/image-224"), find_load("tiny-decoder/tiny"))
    ]
    with pytest.raises(UsageError, match="mlx cannot execute"):
        backend.prepare(replace(EAGERLY, load=relu))


def test_threads_are_refused() -> None:
    """MLX does not let its threads be set, and a wish that cannot be kept is not recorded as kept."""
    with pytest.raises(UsageError, match="mlx has no --threads"):
        mlx_backend().prepare(replace(EAGERLY, threads=1))


def test_asking_imports_no_mlx() -> None:
    """Probe, devices and levels cost the measuring process no import of the SDK: a child process looks."""
    assert_asked_lightly("mlx", mlx_backend().devices()[0].name, "mlx.core", "torch")
