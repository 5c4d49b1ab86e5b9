"""Stored price lists: every one with source and date, found by name alone, never a default."""

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.economics.price_lists import spread_words, with_list
from wattbench.results.errors import UsageError
from wattbench.results.vendor.api_prices import api_price, api_prices, of_model

CHAT = str(Path(__file__).parents[1] / "examples" / "results" / "qwen3-0.6b-chat_cpu_bfloat16.json")
RENTED = ["cost", "breakeven", CHAT, "--usd-per-h", "0.1"]


def test_every_price_has_its_source_and_day() -> None:
    """No price stands without where it was read and when, nor twice."""
    rows = api_prices()

    assert 44 == len(rows) == len({row.name for row in rows})
    assert all(row.source and date.fromisoformat(row.date) and row.grade == "second_hand" for row in rows)
    assert all(row.input_usd_per_million > 0 and row.output_usd_per_million > 0 for row in rows)


def test_a_list_is_found_by_provider_and_model() -> None:
    """In upper or lower case, with or without the space of a name; Groq's gpt-oss-120b is 0.15 in, 0.60 out."""
    found = api_price("groq:GPT-OSS-120B")

    assert (0.15, 0.075, 0.6) == (
        found.input_usd_per_million,
        found.cached_usd_per_million,
        found.output_usd_per_million,
    )
    assert "DeepInfra Turbo" == api_price("deepinfraturbo:llama-3.3-70b").provider


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gork:gpt-oss-120b", r"Did you mean 'Groq:gpt-oss-120b'"),
        ("groq:gpt-9", "No price list is stored for 'groq:gpt-9'"),
        ("gpt-oss-120b", "Cerebras:gpt-oss-120b"),
        ("", "bench cost prices"),
    ],
)
def test_an_unknown_list_is_no_default(name: str, words: str) -> None:
    """What is not stored is refused, with the providers of the model and the nearest name."""
    with pytest.raises(UsageError, match=words):
        api_price(name)


def test_the_list_comes_with_its_source() -> None:
    """The prices stand among the inputs with list, source and day; a cached one only where a share is cached."""
    plain = with_list(parse_inputs(None, {}), "groq:gpt-oss-120b")
    cached = with_list(parse_inputs(None, {"workload.cached_share": 0.5}), "groq:gpt-oss-120b")
    given = plain.given["api.usd_per_million_input"]

    assert (0.15, "--api Groq:gpt-oss-120b", "2026-07-02") == (given.value, given.place, given.date)
    assert "models.dev" in str(given.source)
    assert (None, 0.075) == tuple(each.optional("api.usd_per_million_cached") for each in (plain, cached))


def test_two_lists_are_one_too_many() -> None:
    """A stored list beside a price of one's own is refused."""
    with pytest.raises(UsageError, match=r"--api groq:gpt-oss-120b, and api\.usd_per_query"):
        with_list(parse_inputs(None, {"api.usd_per_query": 0.01}), "groq:gpt-oss-120b")


def test_the_spread_stands_beside_the_one() -> None:
    """One provider's price is never told without what the others ask for the same weights."""
    spread, age = spread_words("groq:llama-3.3-70b")

    assert "8 providers list Llama-3.3-70B: 0.1 .. 0.9 in, 0.3 .. 1.2 out" in spread
    assert "2026-07-02" in age


def test_break_even_against_a_stored_list() -> None:
    """The command takes the list by name, prints it with its source, the spread and its age."""
    done = CliRunner().invoke(bench, [*RENTED, "--api", "groq:qwen3-32b"], catch_exceptions=False)

    assert 0 == done.exit_code
    assert "0.000224 USD a query" in done.stdout  # 512 x 0.29 + 128 x 0.59, a million
    assert "api.usd_per_million_input     0.29  (--api Groq:Qwen3-32B, models.dev" in done.stdout
    assert "1 providers list Qwen3-32B" not in done.stdout
    assert "only Groq lists Qwen3-32B" in done.stdout


def test_without_a_name_there_is_no_list() -> None:
    """Nothing is taken from the stored lists unless it is named."""
    done = CliRunner().invoke(bench, RENTED)

    assert isinstance(done.exception, UsageError)
    assert "There is nothing to compare with" in str(done.exception)


def test_the_lists_are_listed() -> None:
    """`bench cost prices` prints every one, or those of a model, with source; an unknown model names the nearest."""
    everything = json.loads(CliRunner().invoke(bench, ["cost", "prices", "--json"], catch_exceptions=False).stdout)
    some = CliRunner().invoke(bench, ["cost", "prices", "--model", "deepseek-r1"], catch_exceptions=False).stdout
    wrong = CliRunner().invoke(bench, ["cost", "prices", "--model", "deepsek-r1"])

    assert 44 == len(everything)
    assert len(of_model("DeepSeek-R1")) == sum("DeepSeek-R1" in line for line in some.splitlines())
    assert "source: models.dev (2026-07-02)" in some
    assert "Did you mean 'DeepSeek-R1'?" in str(wrong.exception)
