"""The mlx backend on the CPU with tiny models."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mlx.core", reason="this is the mlx backend")
pytest.importorskip("torch", reason="weights are drawn with it")

from small_models import small_load

from wattbench.backends.contract import EAGER, Preparation
from wattbench.backends.mlx.backend import mlx_backend
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import UsageError
from wattbench.testing import BackendCase, BackendContract, make_batch

BERT = small_load("bert-base/classify-128")


@pytest.fixture(scope="module", autouse=True)
def programs(graph_cache: Path) -> Iterator[None]:
    """Share weights with other files, so that each is drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_CACHE", str(graph_cache))
        yield


class TestContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(make_backend=mlx_backend, load=find_load("tiny-encoder/tiny-encode"))


def preparation(load: Load) -> Preparation:
    """Return a preparation of a load for two requests on the CPU."""
    return Preparation(
        load=load,
        weights="synthetic",
        seed=0,
        precision="float32",
        device="cpu",
        batch=2,
        threads=None,
        affinity=None,
        tuning=EAGER,
    )


def test_bert_computes_the_references_numbers() -> None:
    """The encoder of BERT, written in MLX, is the one of transformers."""
    backend, batch = mlx_backend(), make_batch(BERT)
    made = backend.prepare(preparation(BERT))
    found = backend.outputs(batch, None)
    backend.close()
    wanted = reference_outputs(BERT.model, batch.arrays, 0, weights="synthetic", seed=0)
    quality = compare(found.values, wanted.values, BERT.model.tolerance("float32"), "float32")

    assert quality.passed, quality.reason
    assert (made.weights.digest, 1.0, None) == (
        wanted.weights_digest,
        made.backend.placement_share,
        made.backend.fallback,
    )


def test_other_encoders_are_refused() -> None:
    """Images and other activations than BERT's own are not written in MLX, and said so."""
    relu = replace(BERT, model=replace(BERT.model, config=dict(BERT.model.config) | {"hidden_act": "relu"}))
    backend = mlx_backend()

    assert [()] * 3 == [
        backend.levels(load, "cpu", "float32")
        for load in (relu, find_load("vit-b16/image-224"), find_load("tiny-decoder/tiny"))
    ]
    with pytest.raises(UsageError, match="mlx cannot execute"):
        backend.prepare(preparation(relu))


def test_threads_are_refused() -> None:
    """MLX does not let its threads be set, and a wish that cannot be kept is not recorded as kept."""
    with pytest.raises(UsageError, match="mlx has no --threads"):
        mlx_backend().prepare(replace(preparation(BERT), threads=1))


def test_asking_imports_no_mlx() -> None:
    """Probe, devices and levels cost the measuring process no import of the SDK: a child process looks."""
    code = (
        "import sys; from wattbench.backends.mlx.backend import mlx_backend; "
        "from wattbench.models.find import find_load; b = mlx_backend(); "
        "assert b.probe().usable; assert b.devices(); assert b.levels(find_load('tiny-encoder'), 'cpu', 'float32'); "
        "assert not {'mlx.core', 'torch'} & set(sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
