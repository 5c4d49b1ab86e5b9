"""Building tiny models with synthetic weights."""

import pytest

pytest.importorskip("torch", reason="these are torch modules")

import torch

from wattbench.models.find import find_load
from wattbench.models.load import ModelSpec
from wattbench.models.torch_build import BuiltModel, build
from wattbench.results.errors import UsageError

CPU = torch.device("cpu")


def tiny(name: str = "tiny-decoder/tiny") -> ModelSpec:
    """Return a tiny model of the catalogue."""
    return find_load(name).model


def built(dtype: torch.dtype = torch.float32, seed: int = 0) -> BuiltModel:
    """Build the tiny decoder on the CPU."""
    return build(tiny(), weights="synthetic", seed=seed, dtype=dtype, device=CPU)


def test_one_seed_gives_one_set_of_weights() -> None:
    """Two builds with one seed have the same digest and the same numbers."""
    first, second = built(), built()

    assert first.weights == second.weights
    assert all(map(torch.equal, first.module.parameters(), second.module.parameters()))


def test_another_seed_gives_other_weights() -> None:
    """The digest depends on the seed."""
    assert built(seed=0).weights.digest != built(seed=1).weights.digest


def test_precision_only_rounds() -> None:
    """A bfloat16 build has the float32 build's digest and its numbers, rounded."""
    exact, rounded = built(), built(torch.bfloat16)

    assert exact.weights.digest == rounded.weights.digest
    for wide, narrow in zip(exact.module.parameters(), rounded.module.parameters(), strict=True):
        assert torch.equal(wide.to(torch.bfloat16), narrow)


def test_the_record_says_how_the_weights_came_to_be() -> None:
    """Synthetic weights name their seed and distribution, and no revision."""
    record = built(seed=7).weights

    assert ("synthetic", 7, None) == (record.origin, record.seed, record.revision)
    assert "normal" in record.distribution


def test_parameters_are_counted_as_the_catalogue_says() -> None:
    """Decoder and encoder have the catalogue's number of distinct parameters."""
    for name in ("tiny-decoder/tiny", "tiny-encoder/tiny-encode"):
        model = tiny(name)
        module = build(model, weights="synthetic", seed=0, dtype=torch.float32, device=CPU).module

        assert model.parameters == sum(p.numel() for p in module.parameters())


def test_norm_weights_are_one_and_matrices_are_normal() -> None:
    """Norms start at 1; matrices have the default deviation and a mean of about 0."""
    named = dict(built().module.named_parameters())
    matrix = named["tower.layers.0.feed_forward.up.weight"]

    assert torch.equal(torch.ones(64), named["tower.norm.weight"])
    assert 0.02 == pytest.approx(float(matrix.std()), rel=0.05)
    assert abs(float(matrix.mean())) < 0.001


def test_a_family_that_tiny_lacks_is_refused() -> None:
    """There is no tiny vision encoder."""
    model = tiny()
    wrong = ModelSpec(
        name="tiny-vision",
        version=1,
        family="vision-encoder",
        architecture=model.architecture,
        config=model.config,
        parameters=1,
        precisions=("float32",),
        tolerances=(),
        sources=(),
        checkpoint=None,
    )
    with pytest.raises(UsageError, match="no tiny vision-encoder"):
        build(wrong, weights="synthetic", seed=0, dtype=torch.float32, device=CPU)
