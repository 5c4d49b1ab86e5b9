"""`bench import`: results that other tools measured, as documents of kind `imported`."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from wattbench.harness.cli.imported_figures import imported_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.exchange.mlperf_import import Stated, import_mlperf
from wattbench.harness.exchange.stated_import import Imported, Names, import_file
from wattbench.harness.knobs import check_text, user_path
from wattbench.harness.storage import import_path
from wattbench.results.errors import UsageError
from wattbench.results.files import write_result

__all__ = ["command"]

NAME_MAX = 100
"""How much of an imported file's name goes into the document's: file systems end at 255 bytes."""


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


def _tool_command(tool: str, text: str) -> click.Command:
    """Return the command that imports a file of one tool; all of them take the same options."""

    @click.command(tool, help=text)
    @click.argument("file", metavar="FILE")
    @click.option("--out", "-o", metavar="PATH", help="Result file (.json), or a folder.")
    @click.option("--entry", type=click.IntRange(1), metavar="N", help="Only the run number N of the file.")
    @click.option("--system", metavar="NAME", help="The machine's name, where the file does not state it.")
    @click.option("--accelerator", metavar="NAME", help="The accelerator's name, where the file does not state it.")
    @click.option("--devices", type=click.IntRange(0, 10**6), metavar="N", help="Accelerators of the whole system.")
    @click.option("--model", metavar="NAME", help="The model's name, where the file does not state it.")
    @click.option("--precision", metavar="NAME", help="The precision, where the file does not state it.")
    @click.option("--json", "as_json", is_flag=True, help="The result documents on standard output, for machines.")
    def run(
        file: str,
        out: str | None,
        entry: int | None,
        system: str | None,
        accelerator: str | None,
        devices: int | None,
        model: str | None,
        precision: str | None,
        as_json: bool,
    ) -> int:
        names = Names(system=system, accelerator=accelerator, devices=devices, model=model, precision=precision)
        for flag in ("system", "accelerator", "model", "precision"):
            check_text(f"--{flag}", getattr(names, flag))
        path = user_path("FILE", file)
        assert path is not None
        found = import_file(tool, path, names, entry)
        _write_all(found, user_path("--out", out), f"{tool}_{path.stem[:NAME_MAX]}", as_json)
        return 3 if any(each.result.verdict.standing == "invalid" for each in found) else 0

    return run


for _tool, _text in (
    ("aiperf", "Import the profile_export_aiperf.json of an AIPerf run."),
    ("guidellm", "Import the benchmarks of a GuideLLM report (JSON), one result each."),
    ("inferencex", "Import aggregate results of InferenceX (agg_*.json); its power only as schema version 2, valid."),
    ("llama-bench", "Import the tests of `llama-bench -o json` (or jsonl), one result each."),
    ("vllm", "Import a result of `vllm bench serve --save-result`."),
):
    command.add_command(_tool_command(_tool, _text))


def _write_all(found: Sequence[Imported], out: Path | None, name: str, as_json: bool) -> None:
    """Write every document and print what was imported. Raises UsageError for several runs and one file."""
    if len(found) > 1 and out is not None and out.suffix == ".json":
        why = f"the file states {len(found)} runs, and each is a result of its own"
        raise UsageError(f"{out} cannot hold them", why, "Name a folder, or choose one with --entry.")
    if as_json:
        print_json(found[0].result if len(found) == 1 else tuple(each.result for each in found))
    for each in found:
        target = import_path(out, f"{name}_{each.entry}" if each.entry else name)
        write_result(each.result, target)
        if not as_json:
            after = ["", f"result          {target}", f"look again      bench show {shlex.quote(str(target))}", ""]
            print_lines([*imported_lines(each.result), *(after if each is not found[-1] else after[:-1])])


def _name(path: Path) -> str:
    """Return a name for the file from the folder's own. Raises UsageError for a path that cannot be looked at."""
    try:
        return path.resolve().name or "root"
    except (OSError, RuntimeError) as exc:
        raise UsageError(f"Cannot import {path}", str(exc), "Give the path of a folder.") from exc
