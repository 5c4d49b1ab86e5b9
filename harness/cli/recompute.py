"""`bench recompute`: a result's figures from its raw polls and completions alone, and whether they are the same."""

from pathlib import Path

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.recompute import recomputation_lines, recompute
from wattbench.harness.recompute_imported import recompute_imported
from wattbench.results.files import read_document
from wattbench.results.imported import ImportedResult
from wattbench.results.sidecar import read_polls

__all__ = ["command"]


@click.command("recompute")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="What was compared and every difference, for machines.")
def command(result: Path, as_json: bool) -> int:
    """Compute every figure of a result again from its raw polls and completions; exit 1 when one differs.

    Polls, and the requests of a run of traffic, come from the files beside the result, or from an older result itself.
    All digests are checked first.
    Of an imported result, our energy and what follows from it are computed again from the samples that it keeps.
    """
    document = read_document(result)
    if isinstance(document, ImportedResult):
        found = recompute_imported(document)
    else:
        found = recompute(document, read_polls(document, result))
    if as_json:
        print_json(found)
    else:
        print_lines(recomputation_lines(found))
    return 1 if found.differences else 0
