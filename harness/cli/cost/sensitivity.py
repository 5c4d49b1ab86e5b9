"""`bench cost sensitivity`: how sure a cost is, and what it depends on most."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, note_lines, row
from wattbench.harness.cli.cost.options import Asked, asked, derived, input_options
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.results.economics.inputs import Prior, parse_prior
from wattbench.results.economics.ladder import ladder_of
from wattbench.results.economics.sensitivity import Bar, Sensitivity, sensitivity_of
from wattbench.results.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["command", "sensitivity_lines"]

WORKLOAD = ("users", "queries_per_user_day", "queries_per_day", "peak_share", "peak_queries_per_s")
SLO = ("slo.latency_s", "slo.wait_s", "slo.late_share", "slo.spares")
BAR = 30


@click.command("sensitivity")
@click.argument("result", type=Path)
@click.option("--prior", "priors", multiple=True, metavar="FIELD=LOW,MODE,HIGH", help="What is believed of an input.")
@click.option("--samples", type=int, default=10_000, show_default=True, metavar="N", help="Draws.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed, the same figures.")
@input_options(*(f"workload.{name}" for name in WORKLOAD), *SLO)
@plot_option
def command(
    result: Path,
    priors: tuple[str, ...],
    samples: int,
    seed: int,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> int:  # any: what click gives
    """Say how sure the cost on RESULT's machine is (p5, p50, p95), and which input moves it most."""
    if seed < 0:
        raise UsageError(f"--seed cannot be {seed}", "it is negative", "Give 0 or more.")
    found = asked(result, options)
    given = {prior.path: prior for prior in map(_prior, priors)}
    inputs = replace(found.inputs, priors={**found.inputs.priors, **given})
    known = sensitivity_of(found.measured, inputs, samples=samples, seed=seed)
    write_plots(plots, lambda: _figure(found, known))
    if as_json:
        beliefs = [asdict(prior) for prior in inputs.priors.values()]
        figures = {"sensitivity": asdict(known), "priors": beliefs}
        print_json(derived("sensitivity", [found.measured], inputs, figures))
    else:
        print_lines(sensitivity_lines(Asked(measured=found.measured, inputs=inputs), known))
    return 0


def sensitivity_lines(found: Asked, known: Sensitivity) -> Iterator[str]:
    """Return the spreads and the tornado as lines."""
    yield from head_lines(found.measured)
    yield row(f"{known.samples:,} draws", f"{'most likely':>14}{'p5':>14}{'p50':>14}{'p95':>14}   (seed {known.seed})")
    for spread in known.spreads:
        label = spread.name if spread.name == "machines" else f"{spread.name.removeprefix('usd_per_')}, USD"
        cells = "".join(f"{amount(x):>14}" for x in (spread.central, spread.p5, spread.p50, spread.p95))
        yield row(label, cells)
    yield ""
    yield f"tornado: {known.figure.removeprefix('usd_per_')} in USD with one input at its lowest and at its highest"
    ends = [end for bar in known.bars for end in (bar.at_low, bar.at_high)]
    for bar in known.bars:
        inputs = f"{amount(bar.low_input)} .. {amount(bar.high_input)}"
        yield f"  {bar.name:<30}{amount(bar.at_low):>12}{amount(bar.at_high):>12}  {_drawn(bar, ends)}  ({inputs})"
    yield ""
    yield from ladder_lines(ladder_of(found.measured, found.inputs))
    yield ""
    yield from input_lines(found.inputs)
    for prior in found.inputs.priors.values():
        yield f"  {prior.path:<30}{prior.low:g} .. {prior.mode:g} .. {prior.high:g}  (prior, {prior.place})"
    yield from note_lines(known.notes)


def _drawn(bar: Bar, ends: list[float]) -> str:
    """Return a bar as text, on the scale of all."""
    low, span = min(ends), max(ends) - min(ends)
    if span <= 0:
        return " " * BAR
    left, right = sorted(round((end - low) / span * (BAR - 1)) for end in (bar.at_low, bar.at_high))
    return " " * left + "#" * (right - left + 1) + " " * (BAR - 1 - right)


def _prior(text: str) -> Prior:
    path, _, values = text.partition("=")
    try:
        numbers = [float(word) for word in values.split(",")]
    except ValueError as exc:
        raise UsageError(
            f"--prior {text!r:.60} cannot be read", "it is no list of numbers", "FIELD=LOW,MODE,HIGH"
        ) from exc
    return parse_prior(path.strip(), numbers, "--prior")


def _figure(found: Asked, known: Sensitivity) -> "Figure":
    from wattbench.results.plots.sheet import origins
    from wattbench.results.plots.tornado import plot_tornado

    return plot_tornado(known, origins([found.measured]))
