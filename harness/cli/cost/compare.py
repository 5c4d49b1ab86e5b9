"""`bench cost compare`: what a query costs on several machines, at one service level."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from wattbench.harness.cli.cost.lines import amount, head_lines, input_lines, ladder_lines, note_lines, row, spread
from wattbench.harness.cli.cost.options import derived, input_options, inputs_of, measured_file, plain_inputs
from wattbench.harness.cli.manifests import without_manifests
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.results.economics.comparing import BY, UNITS, By, Candidate, Compared, compare, differences
from wattbench.results.economics.ladder import ladder_of
from wattbench.results.economics.service import Promise
from wattbench.results.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["command", "compare_lines"]

SLO = ("slo.latency_s", "slo.ttft_s", "slo.tpot_s", "slo.late_share")


@click.command("compare")
@click.argument("results", type=Path, nargs=-1, required=True, callback=without_manifests)
@click.option("--by", type=click.Choice(BY), required=True, help="What to compare by.")
@click.option(
    "--inputs-of", "files", type=Path, multiple=True, metavar="FILE", help="One cost file a result, in order."
)
@click.option("--force", is_flag=True, help="Compare different loads or precisions too; the differences are shown.")
@input_options(*SLO, "carbon")
@plot_option
def command(
    results: tuple[Path, ...],
    by: str,
    files: tuple[Path, ...],
    force: bool,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> int:  # any: what click gives
    """Compare RESULTS at one service level: cost by usage or reservation, energy or carbon of a query.

    One -s FILE prices all machines alike; --inputs-of, once for each result, prices each by itself.
    """
    if files and len(files) != len(results):
        why = f"{len(files)} files for {len(results)} results"
        raise UsageError("--inputs-of prices each result by its own file", why, "Give one a result, in their order.")
    if files and options["cost_file"] is not None:
        raise UsageError("-s and --inputs-of were both given", "each prices the machines", "Keep one of them.")
    own: Sequence[Path | None] = files or [None] * len(results)
    candidates = [
        Candidate(measured=measured_file(result, options), inputs=inputs_of(options, file))
        for result, file in zip(results, own, strict=True)
    ]
    if not as_json:
        candidates = told_apart(candidates, results)
    rows = compare(candidates, cast("By", by), force=force)
    write_plots(plots, lambda: _figure(candidates, rows, [result.stem for result in results], by))
    if as_json:
        figures = {
            "by": by,
            "rows": [asdict(one) for one in rows],
            "candidates": [plain_inputs(c.inputs) for c in candidates],
        }
        print_json(derived("compare", [c.measured for c in candidates], candidates[0].inputs, figures))
    else:
        print_lines(compare_lines(candidates, rows, cast("By", by)))
    return 0


def told_apart(candidates: Sequence[Candidate], results: Sequence[Path]) -> list[Candidate]:
    """Return the candidates for a text: where two ran on one kind of device, each has its file's name too."""
    devices = [candidate.measured.device for candidate in candidates]
    if len(set(devices)) == len(devices):
        return list(candidates)
    stems = [result.stem for result in results]
    names = stems if len(set(stems)) == len(stems) else [f"{n}: {stem}" for n, stem in enumerate(stems, start=1)]
    return [
        replace(one, measured=replace(one.measured, device=f"{one.measured.device} ({name})"))
        for one, name in zip(candidates, names, strict=True)
    ]


def compare_lines(candidates: Sequence[Candidate], rows: Sequence[Compared], by: By) -> Iterator[str]:
    """Return the comparison as lines: the table, why it is like with like or not, then each machine's ladder."""
    warned = [c.measured for c in candidates if c.measured.warnings]
    for measured in warned:
        yield from (
            f"  x {measured.device}: {warning}: no figure below is to be quoted" for warning in measured.warnings
        )
    for difference in differences([candidate.measured for candidate in candidates]):
        yield f"  ! {difference}"
    yield row("by", f"{by} of a query, in {UNITS[by]}")
    width = max(44, *(len(one.measured.device) + 2 for one in rows))
    for one in rows:
        figure = "-" if one.figure is None else f"{amount(one.figure.value)}{spread(one.figure.u_rel)}"
        ratio = "" if one.ratio is None else f", {one.ratio:.3f} x the best{spread(one.ratio_u_rel or None)}"
        yield f"  {one.measured.device:<{width}}{figure}{ratio}: {one.verdict}"
        for promise in one.promises:
            yield f"    {_promise(promise)}"
    for candidate in candidates:
        yield ""
        yield from head_lines(candidate.measured)
        yield from ladder_lines(ladder_of(candidate.measured, candidate.inputs))
        yield from input_lines(candidate.inputs)
        yield from note_lines(candidate.measured.notes)


def _promise(promise: Promise) -> str:
    limit = f"{promise.path} {promise.limit_s:g} s for all but {promise.late_share:g}"
    if promise.measured is None:
        return f"{limit}: no quantile that strict was measured"
    verdict = "kept" if promise.kept else "broken"
    return f"{limit}: {verdict}, measured p{100 * promise.measured.q:g} {promise.measured.value_s:.4g} s"


def _figure(candidates: Sequence[Candidate], rows: Sequence[Compared], names: Sequence[str], by: str) -> "Figure":
    from wattbench.results.plots.pareto import offers_of, plot_pareto
    from wattbench.results.plots.sheet import origins

    unranked = {id(one.measured): one.verdict for one in rows if one.figure is not None and one.ratio is None}
    broken = [unranked.get(id(candidate.measured), "") for candidate in candidates]
    offers = offers_of(candidates, names, broken, by) if by in ("usage", "reservation") else ()
    measured = [candidate.measured for candidate in candidates]
    return plot_pareto(offers, by, origins(measured), differences(measured))
