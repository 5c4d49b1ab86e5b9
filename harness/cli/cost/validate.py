"""`bench cost validate`: published figures, computed again from their own inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.published import (
    PublishedCase,
    UnreproducibleCase,
    published_cases,
    unreproducible_cases,
)

__all__ = ["case_lines", "command", "unreproducible_lines"]


@click.command("validate")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(as_json: bool) -> int:
    """Compute every published figure again from its source's inputs, and print both beside each other.

    Figures that do not follow from what their source prints are listed with the reason, and are not counted. Ends with
    1 when one differs by more than its published rounding.
    """
    cases, left = published_cases(), unreproducible_cases()
    if as_json:
        computed = [{**asdict(case), "agrees": case.agrees} for case in cases]
        print_json([*computed, *({**asdict(case), "own": None, "agrees": None} for case in left)])
    else:
        agreed = sum(case.agrees for case in cases)
        total = f"{agreed} of {len(cases)} agree within their published rounding"
        print_lines([*case_lines(cases), *unreproducible_lines(left), "", f"{total}; {len(left)} not reproducible"])
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
        digits = 16 if case.rounding < 1e-8 * abs(case.published) else 8
        figures = f"published {case.published:.16g} +/- {case.rounding:.3g}, ours {case.own:.{digits}g} {case.unit}"
        yield f"  {case.id:<30}{figures}: {verdict}"
        yield f"  {'':<30}from {', '.join(f'{name} {value:.10g}' for name, value in case.inputs.items())}"
        if case.note:
            yield f"  {'':<30}({case.note})"


def unreproducible_lines(cases: Sequence[UnreproducibleCase]) -> Iterator[str]:
    """Return the figures that do not follow from what their source prints, each with what is missing."""
    if not cases:
        return
    yield "\nnot reproducible from what is published, and not counted"
    for case in cases:
        yield f"  {case.id:<30}published {case.published:.10g} {case.unit}  [{case.source.title}]"
        yield f"  {'':<30}({case.reason})"
