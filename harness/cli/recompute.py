"""`bench recompute`: a result's figures from its raw polls and completions alone, and whether they are the same."""

from pathlib import Path

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.recompute import recomputation_lines, recompute
from wattbench.results.files import read_result
from wattbench.results.sidecar import read_polls

__all__ = ["command"]


@click.command("recompute")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="What was compared and every difference, for machines.")
def command(result: Path, as_json: bool) -> int:
    """Compute every figure of a result again from its raw polls and completions; exit 1 when one differs.

    The polls come from the file beside the result, or from an older result itself. Both digests are checked first.
    """
    document = read_result(result)
    found = recompute(document, read_polls(document, result))
    if as_json:
        print_json(found)
    else:
        print_lines(recomputation_lines(found))
    return 1 if found.differences else 0
