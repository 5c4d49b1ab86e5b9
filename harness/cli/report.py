"""`bench report`: results as one self-contained page to read, print and pass on."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import click

from wattbench.harness.cli.attached_lines import attached_lines
from wattbench.harness.cli.cost.options import inputs_of
from wattbench.harness.cli.device_lines import device_lines
from wattbench.harness.cli.manifests import without_manifests
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.peer_lines import peer_lines
from wattbench.harness.cli.siting import write_site
from wattbench.harness.knobs import user_path
from wattbench.results.compare import DELTA, ComparisonOptions
from wattbench.results.document import Result
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.energy import Polls
from wattbench.results.errors import DocumentError, StorageError, TamperedError, UsageError
from wattbench.results.files import open_document, put_file
from wattbench.results.recheck import summary_differences
from wattbench.results.report.html import page_html
from wattbench.results.report.several import several_page
from wattbench.results.report.single import single_page
from wattbench.results.report.subject import Subject
from wattbench.results.sidecar import read_polls

__all__ = ["command"]


@click.command("report")
@click.argument("results", nargs=-1, type=Path, metavar="[RESULT]...", callback=without_manifests)
@click.option("--store", metavar="STORE", help="Write a site with a store's leaderboards into a folder instead.")
@click.option("--out", "-o", required=True, metavar="FILE", help="The page to write (.html); the folder of a site.")
@click.option("--cost", type=Path, metavar="FILE", help="Add what a query costs by the inputs in FILE (cost.yaml).")
@click.option("--delta", type=float, default=DELTA, show_default=True, help="Ratios this near to 1 count as equal.")
@click.option("--same-board", is_flag=True, help="All were measured on one board with one sensor: its gain cancels.")
@click.option("--force", is_flag=True, help="Compare results of unlike things too; the page says so.")
@click.option("--allow-invalid", is_flag=True, help="Compare invalid or unfinished results; the page says so.")
@click.option("--json", "as_json", is_flag=True, help="What was written, as JSON, for machines.")
def command(
    results: tuple[Path, ...],
    store: str | None,
    out: str,
    cost: Path | None,
    delta: float,
    same_board: bool,
    force: bool,
    allow_invalid: bool,
    as_json: bool,
) -> int:
    """Write one page of RESULT, or one that holds each RESULT against the first.

    The page is one file that loads nothing and is complete without JavaScript: verdict and doubts first, then figures
    with their uncertainties, power, latencies, roofline, energy, claims, cost, environment, and the raw data. With
    --store write a static site: leaderboards, accelerators, the results on boards, and the rows as data files.
    """
    if store is not None:
        _check_alone(results, cost is not None or same_board or force or allow_invalid or delta != DELTA)
        return write_site(store, out, as_json=as_json)
    if not results:
        raise UsageError("bench report: of what?", "no RESULT and no --store was given", "bench report --help")
    target = _target(out)
    inputs = None if cost is None else inputs_of({"cost_file": cost, "schedule": None})
    options = _options(delta, same_board, force)
    subjects = [_subject(path, name, inputs) for path, name in zip(results, _names(results), strict=True)]
    if len(subjects) == 1:
        page = single_page(subjects[0], version("wattbench"))
    else:
        page = several_page(subjects, options, version("wattbench"), allow_invalid=allow_invalid)
    data = page_html(page).encode()
    try:
        put_file(target, data)
    except StorageError as exc:
        raise StorageError(exc.what, exc.why, "Choose a place that you may write to with --out.") from exc
    if as_json:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        ids = [subject.result_id for subject in subjects]
        print_json({"kind": "derived", "page": str(target), "size_bytes": len(data), "digest": digest, "of": ids})
    else:
        print_lines([f"page            {target} ({len(data) / 1000:.0f} kB)"])
    return 0


def _check_alone(results: tuple[Path, ...], other_options: bool) -> None:
    """Raise UsageError for what says nothing about a site."""
    if results or other_options:
        why = "RESULT, --cost, --delta, --same-board, --force and --allow-invalid are of pages, not of a store's site"
        raise UsageError("bench report: --store goes with --out and --json alone", why, "Leave them out.")


def _target(out: str) -> Path:
    path = user_path("--out", out)
    assert path is not None, "the option is required"
    if path.suffix.lower() not in (".html", ".htm"):
        why = f"the suffix {path.suffix!r} is not that of a page" if path.suffix else "it has no suffix"
        raise UsageError(f"--out {out} cannot be written", why, "Name a file that ends in .html.")
    return path


def _options(delta: float, same_board: bool, force: bool) -> ComparisonOptions:
    try:
        return ComparisonOptions(delta=delta, same_board=same_board, force=force)
    except ValueError as exc:
        raise UsageError(f"--delta {delta:g} cannot be used", str(exc), "Give a share, such as 0.02 for 2 %.") from exc


def _subject(path: Path, name: str, cost: CostInputs | None) -> Subject:
    """Return a result file as the subject of a page, checked as `bench show` checks it."""
    found = open_document(path)
    document = found.document
    if not isinstance(document, Result):
        return Subject(
            name=name,
            result_id=found.identity,
            document=document,
            data=found.data,
            polls=document.power.polls,
            polls_reason=document.power.unavailable_reason or "",
            cost=cost,
        )
    if differences := summary_differences(document):
        raise TamperedError(f"{path}: the summary does not follow from the raw repeats", "; ".join(differences[:3]))
    polls: tuple[Polls, ...] = ()
    reason = document.power.unavailable_reason or ""
    try:
        polls = read_polls(document, path)
    except DocumentError as exc:
        named = document.power.polls_file
        reason = f"{exc.what.removeprefix(f'{path.parent / named.name}: ') if named else exc.what} ({exc.why})"
    return Subject(
        name=name,
        result_id=found.identity,
        document=document,
        data=found.data,
        polls=polls,
        polls_reason=reason,
        notes=_notes(document),
        cost=cost,
        requests_file=found.requests_file,
    )


def _notes(result: Result) -> dict[str, tuple[str, ...]]:
    return {
        "per device": tuple(device_lines(result)),
        "meter": tuple(attached_lines(result)),
        "cross-check": tuple(peer_lines(result)),
    }


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Return short names, the whole path where two files have the same."""
    stems = [path.stem for path in paths]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in paths]
