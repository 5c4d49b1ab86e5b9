"""`bench import`: results that other tools measured, as documents of kind `imported`."""

import shlex
from pathlib import Path

import click

from wattbench.harness.cli.imported_figures import imported_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.exchange.mlperf_import import Stated, import_mlperf
from wattbench.harness.knobs import check_text, user_path
from wattbench.harness.storage import import_path
from wattbench.results.errors import UsageError
from wattbench.results.files import write_result

__all__ = ["command"]


@click.group("import")
def command() -> None:
    """Import results that other tools measured: their official figures, and ours from the same logs."""


@command.command("mlperf")
@click.argument("folder", metavar="DIR")
@click.option("--out", "-o", metavar="PATH", help="Result file (.json) or folder.")
@click.option("--system", metavar="NAME", help="The machine's name, where the folder does not state it.")
@click.option("--model", metavar="NAME", help="The model's name, where the folder does not state it.")
@click.option("--precision", metavar="NAME", help="The precision, where the folder does not state it.")
@click.option("--devices", type=click.IntRange(0, 10**6), metavar="N", help="Accelerators of the whole system.")
@click.option("--scenario", metavar="NAME", help="The scenario that it was published under.")
@click.option("--json", "as_json", is_flag=True, help="The result document on standard output, for machines.")
def mlperf(
    folder: str,
    out: str | None,
    system: str | None,
    model: str | None,
    precision: str | None,
    devices: int | None,
    scenario: str | None,
    as_json: bool,
) -> int:
    """Import one MLPerf Inference run with its power logs: DIR has run_1 (and ranging, power), or is run_1 itself."""
    for flag, value in (("--system", system), ("--model", model), ("--precision", precision), ("--scenario", scenario)):
        check_text(flag, value)
    path = user_path("DIR", folder)
    assert path is not None
    stated = Stated(system=system, model=model, precision=precision, devices=devices, scenario=scenario)
    result = import_mlperf(path, stated)
    target = import_path(user_path("--out", out), f"mlperf_{_name(path)}")
    write_result(result, target)
    if as_json:
        print_json(result)
    else:
        after = ["", f"result          {target}", f"look again      bench show {shlex.quote(str(target))}"]
        print_lines([*imported_lines(result), *after])
    return 3 if result.verdict.standing == "invalid" else 0


def _name(path: Path) -> str:
    """Return a name for the file from the folder's own. Raises UsageError for a path that cannot be looked at."""
    try:
        return path.resolve().name or "root"
    except (OSError, RuntimeError) as exc:
        raise UsageError(f"Cannot import {path}", str(exc), "Give the path of a folder.") from exc
