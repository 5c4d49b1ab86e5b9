"""`bench energy-split`: joules per token in and per token out by regression over results of different mixes."""

from pathlib import Path

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.mixes import split_lines, split_report

__all__ = ["command"]


@click.command("energy-split")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Every split with its mixes and residuals, for machines.")
def command(paths: tuple[Path, ...], as_json: bool) -> int:
    """Split energy into joules per token in and out, by regression over at least 6 mixes of them.

    PATHS are folders (of a sweep, or any with results) or result files; results of one model, device, precision and
    batch make one split. Measure the mixes with, for example, `bench sweep --load MODEL/prefill,MODEL/chat
    --input-tokens 64,256,1024`. Exit 1 when no split was possible.
    """
    report = split_report(paths)
    if as_json:
        print_json(report)
    else:
        print_lines(split_lines(report))
    return 0 if any(group.split.reason is None for group in report.groups) else 1
