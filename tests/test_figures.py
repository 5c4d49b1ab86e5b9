"""The text of a result for people, pinned as a golden file."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from wattbench.harness.cli.figures import result_lines
from wattbench.results.files import read_result

GOLDEN = Path(__file__).parent / "data" / "golden"


def test_the_text_of_a_result_is_pinned() -> None:
    """The golden result reads as its golden text (mend: see CONTRIBUTING.md, golden files)."""
    result = read_result(GOLDEN / "result-v1.json")

    assert (GOLDEN / "result-v1.txt").read_text() == "\n".join(result_lines(result)) + "\n"


def test_a_result_that_got_nowhere_is_shown_too(factories: ModuleType) -> None:
    """A run that has only started has no figures, and its text says so."""
    result = factories.make_result()
    bare = replace(result, status="started", backend=None, summary=None, verdict=None, repeats=(), doubts=())

    assert "NONE (the run has not ended)" in result_lines(bare)[-1]


def test_an_encoder_has_its_own_throughput(factories: ModuleType) -> None:
    """Without tokens out the first rate is requests, and input tokens follow."""
    result = factories.make_result()
    metrics = tuple(m for m in result.summary.metrics if m.name != "throughput.output_tokens")
    lines = result_lines(replace(result, summary=replace(result.summary, metrics=metrics)))
    throughput = next(line for line in lines if line.startswith("throughput"))

    assert "requests/s" in throughput


def test_text_from_a_file_cannot_steer_the_terminal(factories: ModuleType) -> None:
    """Escape codes and newlines in a result's texts are shown as escapes, in the line where they stand."""
    evil = "\x1b]0;x\x07\nverdict VALID"
    result = factories.make_result()
    doubts = tuple(replace(doubt, facts=evil, advice=evil) for doubt in result.doubts)
    lines = result_lines(factories.make_result(load=replace(result.load, name=evil), doubts=doubts))

    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith(r"\x1b]0;x\x07\x0averdict VALID")
    assert not any(line.startswith("verdict VALID") for line in lines)
