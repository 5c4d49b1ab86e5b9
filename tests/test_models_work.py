"""The arithmetic and traffic of loads: hand-counted cases, published figures, and properties."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.models.configurations import dimensions
from wattbench.models.find import find_load, list_loads
from wattbench.models.load import Load, ModelSpec
from wattbench.models.work import (
    decode_flops,
    decode_kv_bytes,
    kv_bytes_per_token,
    load_record,
    memory_needed_bytes,
    prefill_flops,
    weight_bytes,
    work,
)
from wattbench.results.errors import UsageError

LOADS = list_loads()
MODELS = tuple({load.model.name: load.model for load in LOADS}.values())


def _shaped(name: str, **shape: int) -> Load:
    load = find_load(name)
    return replace(load, shape=replace(load.shape, **shape))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_dimensions_give_the_published_parameters(model: ModelSpec) -> None:
    """Counting every matrix, bias, norm and table gives the file's count exactly."""
    assert model.parameters == dimensions(model).parameters


def test_the_tiny_decoder_is_counted_by_hand() -> None:
    """Prefill of 16 tokens: matrices, causal pairs, one head; then 7 steps at contexts 17 to 23."""
    load = find_load("tiny-decoder/tiny")
    matrices = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    head = 256 * 64
    pairs_prefill, pairs_decode = 16 * 17 // 2, sum(range(17, 24))

    found = work(load, "float32")

    assert 2 * 16 * matrices + 2 * head + 4 * 2 * 64 * pairs_prefill == found.prefill_flops
    assert 7 * 2 * (matrices + head) + 4 * 2 * 64 * pairs_decode == found.decode_flops


def test_a_bert_sequence_is_22_gflop() -> None:
    """BERT-base at 128 tokens: 85 M matrix weights, 12 layers of full attention, and the pooler."""
    matrices = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    attention = 12 * 4 * 768 * 128 * 128

    assert 2 * 128 * matrices + attention + 2 * 768 * 768 == prefill_flops(find_load("bert-base/classify-128"))


def test_an_encoder_has_no_decode() -> None:
    """Loads without tokens out have neither decode work nor a cache."""
    load = find_load("bert-base/classify-128")
    found = work(load, "float32")

    assert (None, None, None) == (found.decode_flops, found.kv_bytes_per_token, decode_kv_bytes(load, "float32"))


def test_one_token_out_needs_no_decode_step() -> None:
    """The prefill gives the first token, so a single one costs no decode."""
    load = _shaped("gpt2/chat", output_tokens=1)

    assert (0.0, 0) == (decode_flops(load), decode_kv_bytes(load, "float32"))


def test_causal_attention_is_half_a_square() -> None:
    """Model FLOPs count S (S + 1) / 2 pairs where the square has S x S."""
    load = find_load("gpt2/chat")

    assert 12 * 4 * 768 * (512 * 511 // 2) == prefill_flops(load, full_square=True) - prefill_flops(load)


def test_the_head_is_needed_once_a_prefill() -> None:
    """One more prompt token costs no second multiplication with the language-model head."""
    longer = prefill_flops(_shaped("qwen3-0.6b/chat", input_tokens=513))
    attention = 28 * 4 * 16 * 128 * 513

    assert 2 * (440_401_920) + attention == longer - prefill_flops(find_load("qwen3-0.6b/chat"))


def test_a_window_bounds_attention() -> None:
    """In gpt-oss every second layer sees at most 128 positions."""
    step = {n: decode_flops(_shaped("gpt-oss-20b/chat", input_tokens=n, output_tokens=2)) for n in (1000, 1001)}
    cost = (step[1001] or 0.0) - (step[1000] or 0.0)

    assert 12 * 4 * 64 * 64 == cost  # the 12 layers without a window


def test_an_agent_prefills_only_new_tokens() -> None:
    """With the cache kept, turn two prefills its tokens and the last answer's last token, seeing all before."""
    one = _shaped("smollm2-135m/agent", turns=1, turn_input_tokens=0)
    two = _shaped("smollm2-135m/agent", turns=2)
    stack = dimensions(one.model).decoder
    assert stack is not None
    new, past = 257, 2048 + 127
    pairs = sum(range(past + 1, past + new + 1))
    expected = 2 * new * stack.position_matrices + 2 * 49152 * 576 + 4 * 30 * 576 * pairs

    assert expected == prefill_flops(two) - prefill_flops(one)


def test_an_agents_last_step_sees_all_but_the_last_token() -> None:
    """The last decode step's context is the whole conversation without the token that it gives."""
    load = find_load("smollm2-135m/agent")
    cut = decode_kv_bytes(load, "bfloat16") or 0
    shorter = decode_kv_bytes(_shaped("smollm2-135m/agent", output_tokens=128, turns=7), "bfloat16") or 0
    last_turn = cut - shorter
    contexts = range(load.context_tokens - 127, load.context_tokens)

    assert 2 * 30 * 192 * 2 * sum(contexts) == last_turn


@pytest.mark.parametrize(("name", "active"), [("gpt-oss-20b", 3.61e9), ("gpt-oss-120b", 5.13e9)])
def test_active_parameters_match_the_model_card(name: str, active: float) -> None:
    """The weights of one step are the card's active parameters (arXiv:2508.10925, table 1)."""
    assert pytest.approx(active, rel=0.002) == weight_bytes(find_load(name).model, "bfloat16") / 2


def test_mixtral_activates_12_9_billion() -> None:
    """With the embedding table, which the paper counts, one token uses 12.9 B parameters (arXiv:2401.04088)."""
    read = weight_bytes(find_load("mixtral-8x7b").model, "bfloat16") / 2

    assert pytest.approx(12.9e9, rel=0.005) == read + 32000 * 4096


def test_a_large_batch_touches_every_expert() -> None:
    """Tokens that choose their experts independently soon read all of them."""
    model = find_load("mixtral-8x7b").model

    assert pytest.approx(2 * (model.parameters - 32000 * 4096), rel=1e-6) == weight_bytes(model, "bfloat16", tokens=64)


def test_tied_tables_are_read_once() -> None:
    """Llama 3.2 1B reads all its parameters: its head is its embedding table."""
    model = find_load("llama-3.2-1b").model

    assert 2 * model.parameters == weight_bytes(model, "bfloat16")


def test_untied_lookup_rows_are_not_traffic() -> None:
    """Llama 3.1 8B reads 15.0 GB a token in bfloat16: all but the embedding table."""
    model = find_load("llama-3.1-8b").model

    assert 2 * (model.parameters - 128256 * 4096) == weight_bytes(model, "bfloat16")


def test_a_step_of_an_encoder_decoder_reads_its_decoder() -> None:
    """T5's step reads the decoder's layers and the head, neither encoder nor cross keys and values."""
    layer = 4 * 768 * 768 + 2 * 768 * 768 + 2 * 768 * 3072 + 3 * 768
    read = 12 * layer + 32 * 12 + 768 + 32128 * 768

    assert 4 * read == weight_bytes(find_load("t5-base").model, "float32")


@pytest.mark.parametrize(("name", "kv"), [("llama-3.1-8b", 131072), ("qwen3-0.6b", 114688), ("gpt2", 36864)])
def test_the_cache_grows_by_key_heads_only(name: str, kv: int) -> None:
    """2 x layers x key heads x head width x 2 bytes in bfloat16."""
    assert kv == kv_bytes_per_token(find_load(name).model, "bfloat16")


def test_cross_attention_reads_the_encoder_each_step() -> None:
    """Two steps of Whisper read the stored keys and values of 1500 positions twice, and 2 and 3 of its own."""
    load = _shaped("whisper-large-v3/transcribe", output_tokens=3)

    assert 2 * 2 * 32 * 1280 * (2 * 1500 + 2 + 3) == decode_kv_bytes(load, "float16")


@pytest.mark.parametrize(("precision", "bits"), [("tf32", 32), ("float8", 8), ("int8", 8), ("int4", 4)])
def test_quantised_weights_count_their_own_bits(precision: str, bits: int) -> None:
    """The bytes are nominal, without scales, and whole numbers."""
    model = find_load("qwen3-0.6b").model
    found = weight_bytes(model, precision)

    assert model.parameters * bits // 8 == found
    assert isinstance(found, int)


@pytest.mark.parametrize("precision", ["float8", "int8", "int4"])
def test_quantised_weights_leave_the_cache_in_16_bits(precision: str) -> None:
    """Caches and activations are kept in 16 bits beside quantised weights."""
    load = find_load("qwen3-0.6b/chat")
    wide, narrow = work(load, "float16"), work(load, precision)
    saved = 2 * load.model.parameters - narrow.weight_bytes

    assert (wide.kv_bytes_per_token, wide.decode_kv_bytes) == (narrow.kv_bytes_per_token, narrow.decode_kv_bytes)
    assert saved == memory_needed_bytes(load, 4, "float16") - memory_needed_bytes(load, 4, precision)


def test_tf32_is_float32_in_memory() -> None:
    """tf32 only names what products are computed in."""
    load = find_load("qwen3-0.6b/chat")

    assert work(load, "float32") == work(load, "tf32")
    assert memory_needed_bytes(load, 2, "float32") == memory_needed_bytes(load, 2, "tf32")


def test_half_a_byte_a_weight_is_rounded_once() -> None:
    """An odd number of weights in four bits gives a whole number of bytes."""
    model = replace(find_load("tiny-decoder").model, config={**find_load("tiny-decoder").model.config, "layers": 1})

    assert isinstance(weight_bytes(model, "int4"), int)
    assert isinstance(memory_needed_bytes(Load(model=model, shape=find_load("tiny-decoder").shape), 1, "int4"), int)


@pytest.mark.parametrize(
    ("shape", "steps", "depth"), [("prefill", 0, None), ("decode-64", 63, 64), ("decode-512", 63, 512)]
)
def test_the_phase_shapes_have_the_depth_of_their_name(shape: str, steps: int, depth: int | None) -> None:
    """Their decode steps see so many positions in the mean; a prefill has none."""
    load = find_load(f"qwen3-0.6b/{shape}")
    read, position = decode_kv_bytes(load, "float32"), kv_bytes_per_token(load.model, "float32")
    assert read is not None
    assert position is not None

    assert steps == load.shape.output_tokens - 1
    assert steps * (depth or 0) * position == read


def test_memory_holds_weights_and_caches() -> None:
    """The estimate is more than weights and cache, and not twice as much, for a decoder of 8 B."""
    load = find_load("llama-3.1-8b/chat")
    least = 2 * load.model.parameters + 8 * load.context_tokens * 131072

    assert least < memory_needed_bytes(load, 8, "bfloat16") < 1.1 * least


def test_an_encoder_decoder_caches_both_sides() -> None:
    """Whisper's cache holds 1500 positions of the encoder and 128 of its own for each request."""
    load = find_load("whisper-large-v3/transcribe")
    more = memory_needed_bytes(load, 2, "float16") - memory_needed_bytes(load, 1, "float16")

    assert more > 2 * 2 * 32 * 1280 * (1500 + 128)


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_the_record_says_what_the_load_is(load: Load) -> None:
    """The record carries the load's identity, sizes, positive work and all sources."""
    record = load_record(load, load.model.precisions[0])

    assert (load.name, load.digest, load.model.parameters) == (record.name, record.digest, record.parameters)
    assert record.work.prefill_flops > 0
    assert load.model.sources + load.shape.sources == record.sources


def test_an_unknown_precision_is_refused() -> None:
    """A precision whose size is unknown is not guessed."""
    with pytest.raises(UsageError, match="Did you mean 'bfloat16'"):
        weight_bytes(find_load("gpt2").model, "bfloat")


def test_an_incomplete_configuration_is_refused() -> None:
    """A missing field is named."""
    model = find_load("gpt2").model
    config = {key: value for key, value in model.config.items() if key != "n_head"}

    with pytest.raises(UsageError, match="has no 'n_head'"):
        dimensions(replace(model, config=config))


def test_a_field_of_another_type_is_refused() -> None:
    """A size that is not an integer is named."""
    model = find_load("gpt2").model

    with pytest.raises(UsageError, match="'n_head' must be an integer"):
        dimensions(replace(model, config={**model.config, "n_head": "12"}))


@given(first=st.integers(1, 400), more=st.integers(1, 400))
def test_work_splits_at_any_turn(first: int, more: int) -> None:
    """Prefilling in two turns costs the attention and matrices of one, plus one head and the answer's token."""
    whole = _shaped("smollm2-135m/chat", input_tokens=first + more + 1, output_tokens=1)
    split = _shaped("smollm2-135m/chat", input_tokens=first, output_tokens=1, turns=2, turn_input_tokens=more)

    assert 2 * 49152 * 576 == prefill_flops(split) - prefill_flops(whole)


@given(batch=st.integers(1, 64))
def test_memory_grows_with_the_batch(batch: int) -> None:
    """Each request adds the same bytes."""
    load = find_load("tiny-decoder/tiny")
    first = memory_needed_bytes(load, 1, "float32")
    step = memory_needed_bytes(load, 2, "float32") - first

    assert first + (batch - 1) * step == memory_needed_bytes(load, batch, "float32")
