"""The records of the catalogue: names, versions, digests, contexts and what they refuse."""

from dataclasses import replace

import pytest

from wattbench.models.find import find_load
from wattbench.models.load import Load, RequestShape, Tolerance


def test_a_load_is_named_after_its_model_and_shape() -> None:
    """The name is MODEL/SHAPE."""
    assert "gpt2/chat" == find_load("gpt2/chat").name


def test_a_new_version_of_either_part_raises_the_version() -> None:
    """A load's version rises with its model's and with its shape's."""
    load = find_load("gpt2/chat")
    newer = Load(model=replace(load.model, version=3), shape=replace(load.shape, version=2))

    assert 4 == newer.version


def test_the_context_counts_every_turn() -> None:
    """The context holds the first input, every answer and every later turn's input."""
    load = find_load("qwen3-0.6b/agent")

    assert 2048 + 8 * 128 + 7 * 256 == load.context_tokens


def test_the_digest_follows_the_definition() -> None:
    """Another field value gives another digest."""
    load = find_load("gpt2/chat")
    other = replace(load, model=replace(load.model, config={**load.model.config, "n_layer": 13}))

    assert load.digest != other.digest


def test_the_digest_ignores_what_is_not_executed() -> None:
    """A corrected source, tolerance, checkpoint or list of precisions does not make another load."""
    load = find_load("gpt2/chat")
    other = replace(
        load, model=replace(load.model, sources=("elsewhere",), tolerances=(), precisions=("int8",), checkpoint=None)
    )

    assert other.digest == load.digest


def test_a_tolerance_is_found_by_precision() -> None:
    """The tolerance of a declared precision is found; another precision has none."""
    model = find_load("gpt2/chat").model

    assert ["bfloat16", None] == [t and t.precision for t in (model.tolerance("bfloat16"), model.tolerance("int3"))]


@pytest.mark.parametrize("change", [{"turns": 1}, {"output_tokens": 0}, {"input_tokens": 0}, {"turn_input_tokens": -1}])
def test_an_impossible_shape_is_refused(change: dict[str, int]) -> None:
    """A shape without input, with turns that say nothing, or with tokens for turns it lacks cannot exist."""
    shape = find_load("qwen3-0.6b/agent").shape

    with pytest.raises(ValueError, match="token"):
        replace(shape, **change)


def test_a_shape_is_made_of_tokens_unless_it_says_otherwise() -> None:
    """The modality's default is tokens."""
    shape = RequestShape(
        name="x",
        version=1,
        input_tokens=1,
        output_tokens=0,
        turns=1,
        turn_input_tokens=0,
        families=("encoder",),
        sources=("here",),
    )

    assert "tokens" == shape.modality


@pytest.mark.parametrize(("error", "cosine"), [(float("nan"), 1.0), (-0.1, 1.0), (0.1, 1.1)])
def test_an_impossible_tolerance_is_refused(error: float, cosine: float) -> None:
    """A tolerance is a number that can be held."""
    with pytest.raises(ValueError, match=r"relative_error|cosine"):
        Tolerance(precision="bfloat16", relative_error=error, cosine=cosine, reason="")
