"""Seeded inputs: names, shapes, ranges, and the same numbers everywhere."""

import hashlib
import math

import numpy
import pytest

from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays


def _digest(array: numpy.ndarray) -> str:
    little = numpy.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return hashlib.sha256(little.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("load", "shapes"),
    [
        ("bert-base/classify-128", {"input_ids": (3, 128)}),
        ("qwen3-0.6b/chat", {"input_ids": (3, 512)}),
        ("qwen3-0.6b/agent", {"input_ids": (3, 2048), "turn_input_ids": (3, 7, 256)}),
        ("vit-b16/image-224", {"pixel_values": (3, 3, 224, 224)}),
        ("t5-base/translate", {"input_ids": (3, 128), "decoder_input_ids": (3, 1)}),
        ("whisper-large-v3/transcribe", {"input_features": (3, 128, 3000), "decoder_input_ids": (3, 1)}),
        ("tiny-decoder/tiny", {"input_ids": (3, 16)}),
    ],
)
def test_each_family_gets_its_arrays(load: str, shapes: dict[str, tuple[int, ...]]) -> None:
    """The arrays have the names and shapes that the model's forward takes."""
    arrays = make_arrays(find_load(load), 3, 1)

    assert shapes == {name: array.shape for name, array in arrays.items()}


def test_tokens_are_int64_and_numbers_float32() -> None:
    """The types are those of the backend contract."""
    tokens = make_arrays(find_load("gpt2/chat"), 1, 0)["input_ids"]
    pixels = make_arrays(find_load("vit-b16"), 1, 0)["pixel_values"]

    assert (numpy.int64, numpy.float32) == (tokens.dtype, pixels.dtype)


def test_the_start_token_begins_a_decoder() -> None:
    """Whisper starts with its start-of-transcript token, T5 with its padding token."""
    starts = [
        make_arrays(find_load(name), 1, 5)["decoder_input_ids"].item() for name in ("whisper-large-v3", "t5-base")
    ]

    assert [50258, 0] == starts


def test_tokens_cover_the_vocabulary_without_special_ones() -> None:
    """Enough draws hit every token but the padding and end tokens, and nothing outside."""
    tokens = make_arrays(find_load("t5-base/translate"), 2000, 3)["input_ids"]

    assert 2 == tokens.min()
    assert tokens.max() <= 32127
    assert pytest.approx(32126 * (1 - math.exp(-256000 / 32126)), rel=0.002) == len(numpy.unique(tokens))


def test_special_tokens_may_lie_in_the_middle() -> None:
    """Mixtral's begin and end tokens, 1 and 2, are left out; 0 and 3 are drawn."""
    tokens = set(make_arrays(find_load("mixtral-8x7b/chat"), 400, 3)["input_ids"].ravel().tolist())

    assert {0, 3} == tokens & {0, 1, 2, 3}


def test_numbers_are_nearly_standard_normal() -> None:
    """Mean 0, variance 1, and the share within one deviation of a normal distribution."""
    values = make_arrays(find_load("vit-b16"), 1, 7)["pixel_values"].astype(numpy.float64)

    assert pytest.approx(0, abs=0.01) == float(values.mean())
    assert pytest.approx(1, abs=0.02) == float(values.var())
    assert pytest.approx(0.6827, abs=0.005) == float((numpy.abs(values) < 1).mean())


def test_a_seed_gives_the_same_inputs() -> None:
    """Two draws with one seed are equal."""
    load = find_load("gpt2/chat")

    assert numpy.array_equal(make_arrays(load, 2, 9)["input_ids"], make_arrays(load, 2, 9)["input_ids"])


def test_another_seed_gives_other_inputs() -> None:
    """Two seeds differ."""
    load = find_load("gpt2/chat")

    assert not numpy.array_equal(make_arrays(load, 1, 0)["input_ids"], make_arrays(load, 1, 1)["input_ids"])


def test_requests_of_a_batch_differ() -> None:
    """No request repeats another, so that no cache can answer for it."""
    first, second = make_arrays(find_load("gpt2/chat"), 2, 0)["input_ids"]

    assert not numpy.array_equal(first, second)


def test_a_larger_batch_begins_with_the_smaller() -> None:
    """A request's numbers do not depend on how many follow it."""
    load = find_load("qwen3-0.6b/agent")

    small, large = make_arrays(load, 1, 4), make_arrays(load, 3, 4)

    assert all(numpy.array_equal(small[name][0], large[name][0]) for name in small)


@pytest.mark.parametrize(
    ("load", "array", "digest"),
    [
        ("qwen3-0.6b/agent", "input_ids", "a20a15eda6265b51"),
        ("qwen3-0.6b/agent", "turn_input_ids", "1c312bdd335afbab"),
        ("vit-b16/image-224", "pixel_values", "7dcc11c9141d99d8"),
        ("whisper-large-v3/transcribe", "input_features", "94f6528aec402542"),
    ],
)
def test_the_numbers_are_the_same_everywhere(load: str, array: str, digest: str) -> None:
    """The bytes of seed 20261122 are pinned: every machine and numpy version must draw them."""
    assert digest == _digest(make_arrays(find_load(load), 2, 20261122)[array])
