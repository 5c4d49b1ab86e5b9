"""Drawing the inputs of a load from a seed, the same numbers on every machine and numpy version."""

import math

import numpy

from wattbench.models.configurations import dimensions
from wattbench.models.load import Load

__all__ = ["make_arrays"]

SPECIAL_TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
"""The configuration fields whose tokens are never drawn: they would stand for an empty or ended text."""


def make_arrays(load: Load, requests: int, seed: int) -> dict[str, numpy.ndarray]:
    """Return seeded inputs for `requests` requests of a load, by the names that the model's forward takes.

    Tokens: `input_ids`, int64 (requests, input_tokens), uniform over the vocabulary without the configuration's
    special tokens. Agents also get `turn_input_ids`, int64 (requests, turns - 1, turn_input_tokens): the new tokens
    of each later turn. Images: `pixel_values`, float32 (requests, channels, height, width); audio:
    `input_features`, float32 (requests, mel_bins, frames): both nearly standard normal. Encoder-decoders also get
    `decoder_input_ids`, int64 (requests, 1): the start token.

    A request's numbers depend on the seed and on its place in the batch, not on the batch's size. Only PCG64's raw
    stream is used, whose values numpy guarantees (NEP 19); a normal number is the sum of twelve 16-bit uniform ones
    minus 6 (Irwin-Hall: mean 0, variance 1, never beyond 6), since that is integer arithmetic and bit-equal
    everywhere.
    """
    raw = numpy.random.PCG64(seed)
    rows = [_request(load, raw) for _ in range(requests)]
    return {name: numpy.stack([row[name] for row in rows]) for name in rows[0]}


def _request(load: Load, raw: numpy.random.PCG64) -> dict[str, numpy.ndarray]:
    shape = load.shape
    architecture = dimensions(load.model)
    arrays: dict[str, numpy.ndarray] = {}
    if architecture.modality == "image":
        arrays["pixel_values"] = _normals(raw, (_field(load, "num_channels"), *[_field(load, "image_size")] * 2))
    elif architecture.modality == "audio":
        frames = 2 * shape.input_tokens  # the stem's second convolution halves them
        arrays["input_features"] = _normals(raw, (_field(load, "num_mel_bins"), frames))
    else:
        arrays["input_ids"] = _tokens(raw, load, (shape.input_tokens,))
    if shape.turns > 1:
        arrays["turn_input_ids"] = _tokens(raw, load, (shape.turns - 1, shape.turn_input_tokens))
    if load.model.family == "encoder-decoder":
        arrays["decoder_input_ids"] = numpy.array([_field(load, "decoder_start_token_id")], dtype=numpy.int64)
    return arrays


def _tokens(raw: numpy.random.PCG64, load: Load, shape: tuple[int, ...]) -> numpy.ndarray:
    """Return uniform tokens by multiply and shift; its bias is below vocabulary / 2^32."""
    special = _special_tokens(load)
    choices = numpy.uint64(_field(load, "vocab_size") - len(special))
    words = raw.random_raw(math.prod(shape)) >> numpy.uint64(32)
    tokens = ((words * choices) >> numpy.uint64(32)).astype(numpy.int64)
    for token in special:  # ascending, so that each shift leaves a gap at the special token
        tokens[tokens >= token] += 1
    return tokens.reshape(shape)


def _special_tokens(load: Load) -> list[int]:
    found: set[int] = set()
    for field in SPECIAL_TOKENS:
        value = load.model.config.get(field, [])
        found.update(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int))
    return sorted(v for v in found if 0 <= v < _field(load, "vocab_size"))


def _normals(raw: numpy.random.PCG64, shape: tuple[int, ...]) -> numpy.ndarray:
    words = raw.random_raw(3 * math.prod(shape))  # twelve 16-bit numbers for each value
    sums = words.view(numpy.uint16).reshape(-1, 12).sum(axis=1, dtype=numpy.int64)
    values: numpy.ndarray = ((sums - 6 * 65535) / 65536).astype(numpy.float32)
    return values.reshape(shape)


def _field(load: Load, name: str) -> int:
    value = load.model.config[name]
    assert isinstance(value, int), f"{name} is an integer"
    return value
