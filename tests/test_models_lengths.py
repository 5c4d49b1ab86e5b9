"""Request shapes with other lengths: names, digests, what is the same as before, and what is refused."""

from pathlib import Path

import pytest

from wattbench.models.catalogue import directory
from wattbench.models.find import find_load
from wattbench.models.lengths import with_lengths
from wattbench.models.read import read_shape
from wattbench.results.errors import UsageError


def test_tokens_in_can_be_others() -> None:
    """SHAPE@INPUT changes the tokens in and keeps the tokens out."""
    shape = find_load("qwen3-0.6b/chat@128").shape

    assert ("chat@128", 128, 128) == (shape.name, shape.input_tokens, shape.output_tokens)


def test_tokens_out_can_be_others_too() -> None:
    """SHAPE@INPUTxOUTPUT changes both."""
    shape = find_load("qwen3-0.6b/chat@1024x64").shape

    assert ("chat@1024x64", 1024, 64) == (shape.name, shape.input_tokens, shape.output_tokens)


def test_an_agent_s_answers_have_the_tokens_out_of_each_turn() -> None:
    """The turns and what each adds stay as they are."""
    load = find_load("qwen3-0.6b/agent@1024x64")

    assert 1024 + 8 * 64 + 7 * 256 == load.context_tokens


def test_other_lengths_are_another_load() -> None:
    """The digest differs, so results are never mixed; the version is the shape's."""
    base, other = find_load("qwen3-0.6b/chat"), find_load("qwen3-0.6b/chat@128")

    assert base.digest != other.digest
    assert base.version == other.version


@pytest.mark.parametrize("name", ["chat@512", "chat@512x128"])
def test_a_shape_s_own_lengths_are_that_shape(name: str) -> None:
    """One definition has one name and one digest, however it is written."""
    assert find_load("qwen3-0.6b/chat") == find_load(f"qwen3-0.6b/{name}")


def test_tokens_out_that_are_the_shape_s_own_are_left_out_of_the_name() -> None:
    """chat@128x128 is chat@128, whose tokens out are 128 anyway."""
    assert "qwen3-0.6b/chat@128" == find_load("qwen3-0.6b/chat@128x128").name


def test_a_load_is_found_again_by_its_name() -> None:
    """The name in a result leads back to the same load."""
    load = find_load("bert-base/classify-128@64")

    assert load == find_load(load.name)


def test_the_sources_say_what_was_changed() -> None:
    """The first source names the base."""
    assert "shape chat with other lengths" in find_load("gpt2/chat@64").shape.sources[0]


@pytest.mark.parametrize("lengths", ["", "0", "-1", "012", "x64", "64x", "64x0", "64x64x64", "1e3", "٣", "9" * 10, "a"])
def test_anything_else_is_refused(lengths: str) -> None:
    """A malformed length is answered with an example."""
    shape = find_load("gpt2/chat").shape

    with pytest.raises(UsageError, match="chat@1024x64"):
        with_lengths(shape, lengths)


def test_an_encoder_has_no_tokens_out() -> None:
    """Tokens out for a shape without any are refused with the name that is meant."""
    with pytest.raises(UsageError, match="Ask for classify-128@64"):
        find_load("bert-base/classify-128@64x8")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gpt2/chat@1000", "chat@1000 reaches 1128 tokens, gpt2 has 1024 positions"),
        ("vit-b16/image-224@196", "vit-b16 takes exactly 197 positions, image-224@196 has 196"),
        (
            "whisper-large-v3/transcribe@1500x449",
            "transcribe@1500x449 has 449 tokens out, whisper-large-v3 at most 448",
        ),
    ],
)
def test_lengths_that_do_not_fit_the_model_are_refused(name: str, why: str) -> None:
    """A model's limits hold for other lengths as well."""
    with pytest.raises(UsageError) as caught:
        find_load(name)

    assert why == caught.value.why


def test_an_unknown_shape_with_lengths_suggests_the_nearest() -> None:
    """The nearest name is looked for without the lengths."""
    with pytest.raises(UsageError, match="Did you mean 'chat'"):
        find_load("gpt2/chta@64")


def test_the_mark_is_no_part_of_a_catalogue_name(tmp_path: Path) -> None:
    """A file whose name would be ambiguous is refused."""
    text = (directory() / "shapes" / "tiny.toml").read_text()
    path = tmp_path / "chat@9.toml"
    path.write_text(text.replace('"tiny"', '"chat@9"', 1))

    with pytest.raises(UsageError, match="must not hold / or @"):
        read_shape(path)
