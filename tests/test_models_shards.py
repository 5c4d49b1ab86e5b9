"""Sharing a model out over ranks: the parts are the whole, and what cannot be shared is refused with what would do."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.models.find import find_load
from wattbench.models.shards import Share, cut_of, head_is_cut, part_of_block, refuse_ranks
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import UsageError

LLAMA = find_load("llama-3.1-8b/chat")


@given(
    rows=st.integers(1, 9),
    width=st.integers(1, 9),
    ranks=st.integers(1, 3),
    by_rows=st.booleans(),
    block=st.integers(1, 40),
)
def test_blocks_of_any_length_give_the_part_of_the_whole(
    rows: int, width: int, ranks: int, by_rows: bool, block: int
) -> None:
    """However a flattened matrix is cut into blocks, what a rank keeps of them is its rows or columns, each once."""
    whole = numpy.arange(rows * ranks * width * ranks).reshape(rows * ranks, width * ranks)
    for rank in range(ranks):
        share = Share(rank=rank, ranks=ranks)
        kept_rows = share.of(len(whole)) if by_rows else slice(0, len(whole))
        kept_columns = slice(0, whole.shape[1]) if by_rows else share.of(whole.shape[1])
        part = whole[kept_rows, kept_columns]
        found = numpy.full(part.size, -1)
        for start in range(0, whole.size, block):
            values = whole.reshape(-1)[start : start + block]
            for place, inside in part_of_block(start, values, whole.shape[1], kept_rows, kept_columns):
                assert (found[place : place + len(inside)] == -1).all()
                found[place : place + len(inside)] = inside

        assert numpy.array_equal(part.reshape(-1), found)


def test_a_share_is_refused_where_the_ranks_do_not_divide() -> None:
    """Neither a rank beyond the last nor a part of a part exists."""
    with pytest.raises(ValueError, match="rank 2 is not one of 2"):
        Share(rank=2, ranks=2)
    with pytest.raises(ValueError, match="2 ranks do not divide 3"):
        Share(rank=0, ranks=2).of(3)


@pytest.mark.parametrize(
    ("load", "layer", "cut"),
    [
        ("llama-3.1-8b/chat", "model.layers.31.self_attn.k_proj", "outputs"),
        ("llama-3.1-8b/chat", "model.layers.0.self_attn.o_proj", "inputs"),
        ("llama-3.1-8b/chat", "model.layers.0.mlp.down_proj", "inputs"),
        ("llama-3.1-8b/chat", "lm_head", "outputs"),
        ("qwen3-0.6b/chat", "lm_head", None),
        ("bert-base/classify-128", "encoder.layer.3.attention.self.query", "outputs"),
        ("bert-base/classify-128", "encoder.layer.3.attention.output.dense", "inputs"),
        ("bert-base/classify-128", "encoder.layer.3.output.dense", "inputs"),
        ("bert-base/classify-128", "pooler.dense", None),
        ("vit-b16/image-224", "classifier", None),
    ],
)
def test_matrices_are_cut_as_megatron_does(load: str, layer: str, cut: str | None) -> None:
    """Into attention and feed-forward by outputs, out of them by inputs; a head that is the token table stays whole."""
    assert cut == cut_of(find_load(load).model, layer, 2)


def test_a_vocabulary_that_the_ranks_do_not_divide_leaves_the_head_whole() -> None:
    """128256 logits are 4 x 32064, but not 5 parts."""
    assert head_is_cut(LLAMA.model, 4)
    assert not head_is_cut(LLAMA.model, 5)


@pytest.mark.parametrize(
    ("load", "ranks", "says"),
    [
        ("llama-3.1-8b/chat", 3, "3 does not divide its 32 heads Choose --tensor-parallel 2, 4, 8."),
        ("llama-3.1-8b/chat", 16, "16 does not divide its 8 key and value heads Choose --tensor-parallel 2, 4, 8."),
        ("smollm2-135m/chat", 2, "2 does not divide its 9 heads Choose --tensor-parallel 3."),
        ("gpt2/chat", 2, "decoders of Llama's kind, BERT, ViT and the tiny models Choose another load"),
        ("whisper-large-v3/transcribe", 2, "cannot be shared out over 2 ranks"),
    ],
)
def test_what_cannot_be_shared_is_refused_with_what_would_do(load: str, ranks: int, says: str) -> None:
    """The number that is not divided is named, and those that would fit."""
    with pytest.raises(UsageError) as caught:
        refuse_ranks(find_load(load).model, ranks)

    assert says in f"{caught.value.what} {caught.value.why} {caught.value.remedy}"


def test_a_model_that_no_ranks_can_share_says_so() -> None:
    """One head cannot be shared."""
    tiny = find_load("tiny-decoder/tiny").model
    with pytest.raises(UsageError, match="Leave out --tensor-parallel"):
        refuse_ranks(replace(tiny, config={**tiny.config, "heads": 1, "kv_heads": 1}), 2)


def test_each_rank_needs_its_part_of_matrices_and_cache_and_the_whole_table() -> None:
    """Llama 3.1 8B on two ranks: half of all but the token table and the activations' residual."""
    one, two = (memory_needed_bytes(LLAMA, 1, "bfloat16", ranks) for ranks in (1, 2))
    table = 2 * 128256 * 4096

    assert one / 2 + table / 2 <= two <= 1.01 * (one / 2 + table / 2)
