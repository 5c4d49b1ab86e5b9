"""What only a machine with an NVIDIA GPU can show of the torch backend's levels and precisions."""

from dataclasses import replace

import pytest

from wattbench.backends.contract import Preparation
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.truth import completion_truth
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.testing import make_batch

torch = pytest.importorskip("torch", reason="needs PyTorch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU that PyTorch can use"),
]

CASES = [
    ("smollm2-135m", precision, level)
    for precision in ("float32", "tf32", "bfloat16", "float8")
    for level in ("eager", "compiled", "max")
] + [("bert-base", precision, level) for precision in ("bfloat16", "float8") for level in ("eager", "compiled", "max")]


def short(name: str) -> Load:
    """Return a load with 64 tokens in, and 24 out where it writes."""
    load = find_load(name)
    if load.shape.output_tokens == 0:
        return load
    return replace(load, shape=replace(load.shape, input_tokens=64, output_tokens=24))


@pytest.mark.parametrize(("name", "precision", "level"), CASES)
@pytest.mark.parametrize("batch", [1, 8])
def test_a_level_is_right_and_truthful_on_the_gpu(name: str, precision: str, level: str, batch: int) -> None:
    """Every level and precision agrees with the CPU's float32 reference, ran as asked, and its times hold its work."""
    load = short(name)
    backend = TorchBackend()
    if precision not in backend.devices()[0].precisions:
        pytest.skip(f"this GPU has no {precision}")
    made = backend.prepare(
        Preparation(
            load=load,
            weights="synthetic",
            seed=3,
            precision=precision,
            device="cuda",
            batch=batch,
            threads=None,
            affinity=None,
            tuning=level,
        )
    )
    inputs = make_batch(load, batch)
    reference = reference_outputs(
        load.model, inputs.arrays, 16 if load.shape.output_tokens else 0, weights="synthetic", seed=3
    )
    found = backend.outputs(inputs, reference.forced_tokens)
    verdict = compare(found.values, reference.values, load.model.tolerance(precision), precision)
    truth = completion_truth(backend, inputs)
    backend.close()

    assert (level, None) == (made.backend.engine, made.backend.tuning_fallback)
    assert "" == verdict.reason
    assert truth.truthful, truth.facts
