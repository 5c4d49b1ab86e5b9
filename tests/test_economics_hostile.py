"""Files and figures that were never meant: each is refused in words, at once, and none hangs or fills the memory."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.errors import UsageError, WattbenchError

CHAT = str(Path(__file__).parents[1] / "examples" / "results" / "qwen3-0.6b-chat_cpu_bfloat16.json")
RENTED = ["cost", "query", CHAT, "--usd-per-h", "1"]


def refusal(*arguments: str) -> str:
    """Return what a command line is refused with; anything but one of our errors is a fault of ours."""
    done = CliRunner().invoke(bench, list(arguments))
    assert isinstance(done.exception, WattbenchError), (done.output, done.exception)
    return str(done.exception)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/stdin"])
def test_a_device_is_no_cost_file(name: str) -> None:
    """What never ends, or waits, is not read."""
    if not os.path.exists(name):
        pytest.skip(f"this system has no {name}")
    if name == "/dev/stdin" and os.path.isfile("/dev/stdin"):
        pytest.skip("standard input is a regular file here")

    assert "cannot be used: it is no regular file" in refusal(*RENTED, "-s", name)


def test_a_pipe_is_no_cost_file(tmp_path: Path) -> None:
    """Nobody waits for a writer that may never come."""
    os.mkfifo(tmp_path / "pipe")

    assert "it is no regular file" in refusal(*RENTED, "-s", str(tmp_path / "pipe"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("power: {active_w: 1:30}", "'1:30' is no decimal number"),
        ("hardware: {price_usd: 0100}", "'0100' is no decimal number"),
        ("hardware: {price_usd: 0x100}", "'0x100' is no decimal number"),
        ("[" * 5000, "it is nested too deeply"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]", "unknown section 'a'"),
        ("power: &p\n  pue: *p", "power.pue has 'pue'"),
        ("power:\n  pue: " + "9" * 6000, "it is not YAML"),
        ("power: {pue: true}", "Give a plain number"),
        ("power: {pue: .nan}", "not a finite number"),
        ("power: {pue: {value: 1.2, source: x, currency: EUR}}", "mixed currencies"),
        ("? [a, b]\n: 1", "it is not YAML"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("#" + "x" * 1_000_000, "characters"),
    ],
)
def test_a_file_that_is_no_cost_file_is_refused(text: str, words: str) -> None:
    """Numbers that do not read as they look, bombs, loops, giants, objects: the message says what is wrong."""
    with pytest.raises(UsageError) as caught:
        parse_inputs(text, {})

    assert words in str(caught.value)


def test_plain_numbers_are_read_as_they_look() -> None:
    """Decimal digits, with underscores or an exponent, are numbers."""
    inputs = parse_inputs("hardware: {price_usd: 1_000, residual_usd: 0, life_years: 4.0}\npower: {active_w: 1e3}", {})

    assert [1000, 0, 4, 1000] == [given.value for given in inputs.given.values()]


@pytest.mark.parametrize("share", ["0.999", "1"])
def test_a_share_that_is_only_too_large_is_no_percentage(share: str) -> None:
    """Almost one is not one percent."""
    task = ["--calls", "1", "--growth-tokens", "0", "--cached-share", "0", "--success-share", "1"]

    assert "too large to be true" in refusal("cost", "task", CHAT, "--usd-per-h", "1", *task, "--retry-share", share)


def test_the_range_of_a_fleet_may_reach_too_far() -> None:
    """Where the slow end of the throughput would need more than a million machines, it is said and nothing breaks."""
    owned = ["--price-usd", "900", "--residual-usd", "0", "--life-years", "4", "--interest-rate", "0"]
    load = ["--peak-queries-per-s", "34000", "--slo-wait-s", "0", "--slo-late-share", "0.01", "--slo-spares", "0"]

    assert "More than a million machines" in refusal("cost", "fleet", CHAT, *owned, *load, "--utilisation", "0.5")


def test_a_name_of_a_hundred_thousand_letters_is_cut() -> None:
    """What is not listed is repeated in part."""
    done = CliRunner().invoke(bench, ["vendor", "match", "A" * 100_000])

    assert len(done.output) < 300
