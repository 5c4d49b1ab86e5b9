"""`bench vendor check`: results held against what is claimed of their devices."""

from pathlib import Path

import click

from wattbench.harness.cli.checking import checked, claims_figure, print_claims
from wattbench.harness.cli.manifests import without_manifests
from wattbench.harness.cli.plotting import plot_option, write_plots
from wattbench.harness.cli.tables import FORMATS

__all__ = ["command"]


@click.command("check")
@click.argument("results", nargs=-1, required=True, type=Path, metavar="RESULT...", callback=without_manifests)
@click.option("--accelerator", metavar="NAME", help="Hold them against this accelerator, whatever they ran on.")
@click.option("--allow-invalid", is_flag=True, help="Check invalid or unfinished results too; every output says so.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="Form of the output.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@plot_option
def command(
    results: tuple[Path, ...],
    accelerator: str | None,
    allow_invalid: bool,
    form: str,
    as_json: bool,
    plots: tuple[Path, ...],
) -> int:
    """Hold each RESULT against the claims for its device.

    Products against the dense peak, memory against the bandwidth, power against the nameplate, and throughput against
    the vendor's own figures; what cannot be compared is listed with the reason.
    """
    found = checked(results, accelerator, allow_invalid=allow_invalid)
    write_plots(plots, lambda: claims_figure(found))
    print_claims(found, "json" if as_json else form)
    return 0
