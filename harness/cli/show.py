"""`bench show`: a result file as text for people."""

from pathlib import Path

import click

from wattbench.harness.cli.figures import result_lines
from wattbench.harness.cli.imported_figures import imported_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.roofline import roofline_lines
from wattbench.harness.cli.trust_lines import trust_lines
from wattbench.results.errors import TamperedError
from wattbench.results.files import read_document
from wattbench.results.imported import ImportedResult
from wattbench.results.recheck import summary_differences

__all__ = ["command"]


@click.command("show")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The checked document on standard output, for machines.")
@click.option("--roofline/--no-roofline", default=True, help="Draw how near the run came to the device's limits.")
def command(result: Path, as_json: bool, roofline: bool) -> int:
    """Show a result file: what ran, the figures, the verdict and its reasons, and the roofline.

    The file's digest is checked first, and its summary is computed again from the raw repeats: a truncated, newer or
    altered file is refused by name. An imported result is shown with its tool's figures and ours. Where a signature
    lies beside it, its tier of trust is shown; `bench verify` checks more.
    """
    document = read_document(result)
    if isinstance(document, ImportedResult):
        if as_json:
            print_json(document)
        else:
            print_lines([*imported_lines(document), *trust_lines(result)])
        return 0
    if differences := summary_differences(document):
        raise TamperedError(f"{result}: the summary does not follow from the raw repeats", "; ".join(differences[:3]))
    if as_json:
        print_json(document)
    else:
        print_lines(
            [*result_lines(document), *trust_lines(result), *(["", *roofline_lines(document)] if roofline else [])]
        )
    return 0
