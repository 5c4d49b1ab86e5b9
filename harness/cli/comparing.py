"""`bench compare`: results against each other, against the claims for their devices, or against published results."""

from pathlib import Path

import click

from wattbench.harness.cli.checking import checked, claims_figure, opened, print_claims
from wattbench.harness.cli.compare_tables import print_comparison, print_published
from wattbench.harness.cli.manifests import without_manifests
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.harness.cli.tables import FORMATS
from wattbench.results.compare import DELTA, METRICS, ComparisonOptions, compare
from wattbench.results.compare_mlperf import compare_mlperf
from wattbench.results.compare_sides import side_of
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.vendor.mlperf import published_results

__all__ = ["command"]


@click.command("compare")
@click.argument("results", nargs=-1, required=True, type=Path, metavar="RESULT...", callback=without_manifests)
@click.option("--claims", is_flag=True, help="Against what is claimed of the devices (as `bench vendor check`).")
@click.option("--mlperf", is_flag=True, help="Against published MLPerf results of the same model and scenario.")
@click.option("--delta", type=float, default=DELTA, show_default=True, help="Ratios this near to 1 count as equal.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Show only this figure; may be repeated.")
@click.option("--same-board", is_flag=True, help="All were measured on one board with one sensor: its gain cancels.")
@click.option("--force", is_flag=True, help="Compare results of unlike things too; every output says so.")
@click.option("--allow-invalid", is_flag=True, help="Compare invalid or unfinished results; every output says so.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="The output.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@plot_option
def command(
    results: tuple[Path, ...],
    claims: bool,
    mlperf: bool,
    delta: float,
    metrics: tuple[str, ...],
    same_board: bool,
    force: bool,
    allow_invalid: bool,
    form: str,
    as_json: bool,
    plots: tuple[Path, ...],
) -> int:
    """Compare each RESULT with the first: the ratio of every figure with its interval, and better, worse, equal
    or inconclusive. Only like is compared with like: load, version, precision, scenario, weights and scope of power.
    """
    form = "json" if as_json else form
    if claims and mlperf:
        what = "--claims and --mlperf are not given together"
        why = "MLPerf's throughput is never paired with a vendor's nameplate, not even side by side"
        raise UsageError(what, why, "Run the command twice.")
    if plots and not claims:
        raise UsageError("There is nothing to plot", "only --claims has a plot here", "Add --claims, or drop --plot.")
    if claims:
        rows = checked(results, None, allow_invalid=allow_invalid)
        write_plots(plots, lambda: claims_figure(rows))
        print_claims(rows, form)
    elif mlperf:
        found = opened(results, allow_invalid=allow_invalid)
        print_published([(each, compare_mlperf(each.document, published_results())) for each in found], form)
    else:
        options = _options(delta, metrics, same_board, force)
        found = opened(results, allow_invalid=allow_invalid)
        names = _names(results)
        sides = [
            side_of(each.document, each.result_id, name, allow_invalid=allow_invalid)
            for each, name in zip(found, names, strict=True)
        ]
        print_comparison(compare(sides, options), form)
    return 0


def _options(delta: float, metrics: tuple[str, ...], same_board: bool, force: bool) -> ComparisonOptions:
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"Unknown figure {name!r}", *nearest_lines(name, METRICS))
    try:
        return ComparisonOptions(delta=delta, metrics=metrics or tuple(METRICS), same_board=same_board, force=force)
    except ValueError as exc:
        raise UsageError(f"--delta {delta:g} cannot be used", str(exc), "Give a share, such as 0.02 for 2 %.") from exc


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Return short names, the whole path where two files have the same."""
    stems = [path.stem for path in paths]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in paths]
