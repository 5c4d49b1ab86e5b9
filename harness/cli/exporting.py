"""`bench export`: results in the formats of other tools."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click

from wattbench.harness.cli.manifests import without_manifests
from wattbench.harness.knobs import user_path
from wattbench.results.document import Result
from wattbench.results.errors import StorageError, TamperedError, UsageError, WattbenchError
from wattbench.results.exchange.ai_energy_score import ai_energy_score_bytes
from wattbench.results.exchange.exported import Exported, exported_of
from wattbench.results.exchange.figure_parquet import parquet_bytes
from wattbench.results.exchange.figure_table import COLUMNS, csv_bytes, rows_of
from wattbench.results.exchange.mlperf_summary import mlperf_summary_bytes
from wattbench.results.exchange.openmetrics import openmetrics_bytes
from wattbench.results.exchange.pytorch_benchmark import pytorch_benchmark_bytes
from wattbench.results.files import open_document, put_file
from wattbench.results.recheck import summary_differences

__all__ = ["FORMATS", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: how its bytes are made, whether they are text, whether one file holds several results."""

    write: Callable[[Sequence[Exported]], bytes]
    text: bool = True
    several: bool = True


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "ai-energy-score": Format(write=ai_energy_score_bytes),
        "csv": Format(write=lambda results: csv_bytes([column.name for column in COLUMNS], list(rows_of(results)))),
        "mlperf-summary": Format(write=lambda results: mlperf_summary_bytes(results[0]), several=False),
        "openmetrics": Format(write=openmetrics_bytes),
        "parquet": Format(write=parquet_bytes, text=False),
        "pytorch-benchmark-v3": Format(write=pytorch_benchmark_bytes),
    }
)


@click.command("export")
@click.argument("results", nargs=-1, required=True, metavar="RESULT...", callback=without_manifests)
@click.option("--to", "form", type=click.Choice(list(FORMATS)), required=True, help="The format.")
@click.option("--out", "-o", metavar="FILE", help="Write it to FILE, all or nothing; without it to standard output.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--allow-invalid", is_flag=True, help="Export what may not be quoted too; the file says so.")
def command(results: tuple[str, ...], form: str, out: str | None, force: bool, allow_invalid: bool) -> int:
    """Export results in the format of another tool; which field means what, and what is lost, docs/interchange.md says.

    An invalid, unfinished, mock, emulated or replayed result is refused.
    """
    chosen = FORMATS[form]
    paths = [path for text in results if (path := user_path("RESULT", text)) is not None]
    target = user_path("--out", out)
    if len(paths) > 1 and not chosen.several:
        raise UsageError(f"{form} holds one result", f"{len(paths)} were given", "Export them one by one.")
    if target is None and not chosen.text:
        raise UsageError(f"{form} is no text", "standard output is for text", "Name a file with --out.")
    if target is not None:
        _check_target(target, paths, force)
    found = [_opened(path, allow_invalid) for path in paths]
    data = _bytes_of(chosen, form, found)
    if target is None:
        click.echo(data.decode(), nl=False)
        return 0
    try:
        put_file(target, data)
    except StorageError as exc:
        raise StorageError(exc.what, exc.why, "Choose a place that you may write to with --out.") from exc
    figures = sum(figure.value is not None for each in found for figure in each.figures)
    click.echo(f"exported: {target} ({form}, {len(found)} results, {figures} figures)", err=True)
    return 0


def _check_target(target: Path, paths: Sequence[Path], force: bool) -> None:
    """Raise UsageError for a file that is there already (unless forced), is one of the results, or is no file."""
    try:
        there, folder = target.exists(), target.is_dir()
        same = there and any(path.exists() and target.samefile(path) for path in paths)
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise UsageError(f"Nothing can be written to {str(target)!r}", why, "Choose another --out.") from exc
    if folder:
        raise UsageError(f"{target} is a folder", "--out names the file", "Add the file's name to --out.")
    if same:
        raise UsageError(f"{target} is one of the results", "a result is never overwritten", "Choose another --out.")
    if there and not force:
        raise UsageError(f"{target} exists already", "it is not replaced unasked", "Choose another --out, or --force.")


def _opened(path: Path, allow_invalid: bool) -> Exported:
    """Return a result whose summary follows from its repeats. Raises TamperedError for any other."""
    opened = open_document(path)
    if isinstance(opened.document, Result) and (differences := summary_differences(opened.document)):
        raise TamperedError(f"{path}: the summary does not follow from the raw repeats", "; ".join(differences[:3]))
    return exported_of(opened.document, opened.identity, str(path), allow_invalid=allow_invalid)


def _bytes_of(chosen: Format, form: str, found: Sequence[Exported]) -> bytes:
    try:
        return chosen.write(found)
    except ImportError as exc:
        raise UsageError(f"{form} needs a package that is missing", str(exc), "pip install pyarrow") from exc
    except WattbenchError as exc:
        names = found[0].subject.result_id if len(found) == 1 else f"one of {len(found)} results"
        raise type(exc)(f"{exc.what} ({names})", exc.why, exc.remedy) from exc
