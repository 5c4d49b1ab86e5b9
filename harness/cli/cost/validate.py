"""`bench cost validate`: published figures, computed again from their own inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.published import PublishedCase, published_cases

__all__ = ["case_lines", "command"]


@click.command("validate")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(as_json: bool) -> int:
    """Compute every published figure again from its source's inputs, and print both beside each other.

    Ends with 1 when one differs by more than its published rounding.
    """
    cases = published_cases()
    if as_json:
        print_json([{**asdict(case), "agrees": case.agrees} for case in cases])
    else:
        print_lines(case_lines(cases))
    return 0 if all(case.agrees for case in cases) else 1


def case_lines(cases: Sequence[PublishedCase]) -> Iterator[str]:
    """Return every case by its source: inputs, published figure with its rounding, ours, and the verdict."""
    source = None
    for case in cases:
        if case.source != source:
            source = case.source
            yield f"\n{source.title}  [{source.grade}]"
            yield f"  {source.url}"
        verdict = "agrees" if case.agrees else "DIFFERS"
        figures = f"published {case.published:.10g} +/- {case.rounding:.3g}, ours {case.own:.8g} {case.unit}"
        yield f"  {case.id:<30}{figures}: {verdict}"
        yield f"  {'':<30}from {', '.join(f'{name} {value:.10g}' for name, value in case.inputs.items())}"
        if case.note:
            yield f"  {'':<30}({case.note})"
    yield f"\n{sum(case.agrees for case in cases)} of {len(cases)} agree within their published rounding"
