"""Results against claims on the command line, shared by `bench vendor check` and `bench compare --claims`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.tables import Table, table_lines
from wattbench.results.compare_claims import ClaimRow, check_claims, device_match
from wattbench.results.compare_sides import warnings_of
from wattbench.results.errors import DocumentError
from wattbench.results.files import open_document
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.readable import number
from wattbench.results.utilisation import scaled
from wattbench.results.vendor.database import accelerator_of, database
from wattbench.results.vendor.match import Identity, Match
from wattbench.results.vendor.records import Accelerator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Checked", "Opened", "checked", "claims_figure", "opened", "print_claims", "share_text", "watermark_lines"]

COLUMNS = ("result", "claim of", "measured", "claimed", "share", "95 %", "source", "remark")
RATE_UNITS = {"FLOP/s", "B/s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A document with its name, its id, and why its figures are not to be quoted."""

    name: str
    result_id: str
    document: Document
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A document against the claims of its device, or of the one that the user named; no rows where it is not known.

    `own` is what the document's device is by its own name.
    """

    opened: Opened
    own: Match
    match: Match
    rows: tuple[ClaimRow, ...]


def opened(paths: Iterable[Path], *, allow_invalid: bool) -> list[Opened]:
    """Return the documents of some files. Raises DocumentError for one that may not be quoted, unless allowed."""
    found = []
    for path in paths:
        found_in = open_document(path)
        warnings = warnings_of(found_in.document)
        if warnings and not allow_invalid:
            remedy = "Measure again, or use --allow-invalid: every output then says so."
            raise DocumentError(f"{path} is not to be quoted", "; ".join(warnings), remedy)
        found.append(Opened(name=path.stem, result_id=found_in.identity, document=found_in.document, warnings=warnings))
    return found


def checked(paths: Sequence[Path], accelerator: str | None, *, allow_invalid: bool) -> list[Checked]:
    """Return results against the claims of their devices, or of the accelerator that the user names."""
    stated = accelerator_of(accelerator) if accelerator is not None else None
    found = []
    for each in opened(paths, allow_invalid=allow_invalid):
        own = device_match(each.document, database().accelerators.values())
        match = own if stated is None else _named(stated, own)
        rows = () if match.accelerator is None else check_claims(each.document, match.accelerator)
        found.append(Checked(opened=each, own=own, match=match, rows=rows))
    return found


def _named(stated: Accelerator, own: Match) -> Match:
    """Return the user's accelerator as a match that says what the result's own device is."""
    device = f"the result's device is {own.identity.value!r}"
    if own.accelerator is None:
        device = "the result names no device" if not own.identity.value else f"{device}, which is not listed"
    elif own.accelerator.key == stated.key:
        device = f"{device}, which is the same"
    else:
        device = f"{device}, which is {own.accelerator.key}: no share below says anything of it"
    identity = Identity(kind="text", value=stated.full_name, origin="the command line")
    return Match(identity=identity, accelerator=stated, reason=device)


def print_claims(found: Sequence[Checked], form: str) -> None:
    """Print results against claims in one of the forms of a table."""
    if form == "json":
        print_json([_plain(each) for each in found])
        return
    marks = watermark_lines([each.opened for each in found], form)
    table = Table(columns=COLUMNS, rows=tuple(_rows(found)), right=("measured", "claimed", "share"))
    if form == "csv":
        print_lines(table_lines(table, form))
    elif form == "markdown":
        print_lines([*marks, *table_lines(table, form), "", *(f"- {line}" for line in _device_lines(found))])
    else:
        print_lines([*marks, *_device_lines(found), "", *_claim_lines(found)])


def claims_figure(found: Sequence[Checked]) -> "Figure":
    """Return the bars of results against claims; loads matplotlib. Raises UsageError where nothing was compared."""
    from wattbench.results.plots.claims import ClaimsOf, plot_claims
    from wattbench.results.plots.sheet import Origin

    rows = [
        ClaimsOf(
            name=each.opened.name,
            accelerator=None if each.match.accelerator is None else each.match.accelerator.full_name,
            rows=each.rows,
        )
        for each in found
    ]
    made_of = [
        Origin(
            result_id=each.opened.result_id,
            measured_at=_measured_at(each.opened.document),
            warnings=each.opened.warnings,
        )
        for each in found
    ]
    return plot_claims(rows, made_of)


def watermark_lines(found: Iterable[Opened], form: str) -> list[str]:
    """Return a line for each reason why nothing of the output is to be quoted; Markdown has them in bold."""
    lines = [f"NOT TO BE QUOTED: {each.name}: {text}" for each in found for text in each.warnings]
    return [*(f"**{line}**" if form == "markdown" else line for line in lines), *([""] if lines else [])]


def share_text(value: float | None) -> str:
    """Return a share in percent, "-" for none."""
    return "-" if value is None else f"{100 * value:.3g} %"


def _claim_lines(found: Sequence[Checked]) -> Iterator[str]:
    """Yield what was compared as a table, then one line for each claim that was not."""
    columns = ("claim of", "measured", "claimed", "share", "95 %", "source")
    for each in found:
        known = [row for row in each.rows if row.share is not None]
        yield f"{each.opened.name}: {len(known)} of {len(each.rows)} claims compared"
        if known:
            rows = tuple(_cells(row)[:-1] for row in known)
            yield from table_lines(Table(columns=columns, rows=rows, right=columns[1:4]), "table")
        yield from (f"  note: {row.what}: {row.reason}" for row in known if row.reason)
        for row in each.rows:
            if row.share is None:
                claim = "" if row.claim is None else f" (claimed {_amount(row.claim, row.unit)})"
                yield f"  not compared: {row.what}{claim}: {row.reason}"


def _device_lines(found: Sequence[Checked]) -> Iterator[str]:
    for each in found:
        match = each.match
        if match.accelerator is None:
            yield f"{each.opened.name}: the device is unknown: {match.reason}"
        elif match is not each.own:
            what = f"{match.accelerator.full_name} ({match.accelerator.key}), which you named"
            yield f"{each.opened.name}: held against {what}; {match.reason}"
        else:
            what = f"{match.identity.value!r} is {match.accelerator.full_name} ({match.accelerator.key})"
            yield f"{each.opened.name}: {what}, by {match.reason}"


def _rows(found: Sequence[Checked]) -> Iterator[tuple[str, ...]]:
    for each in found:
        mark = "NOT TO BE QUOTED: " if each.opened.warnings else ""
        name = mark + each.opened.name
        if each.match.accelerator is None:
            yield (name, "", "", "", "", "", "", f"the device is unknown: {each.match.reason}")
        yield from ((name, *_cells(row)) for row in each.rows)


def _cells(row: ClaimRow) -> tuple[str, ...]:
    amounts = ["-" if value is None else _amount(value, row.unit) for value in (row.measured, row.claim)]
    spread = "-" if row.low is None else f"{share_text(row.low)} .. {share_text(row.high)}"
    return (row.what, *amounts, share_text(row.share), spread, row.source, row.reason)


def _amount(value: float, unit: str) -> str:
    if unit in RATE_UNITS:
        return scaled(value, unit)
    return f"{number(value)} {unit.replace('_per_s', '/s').replace('_', ' ')}"


def _plain(each: Checked) -> dict[str, object]:
    return {
        "kind": "derived",
        "of": each.opened.result_id,
        "result": each.opened.name,
        "warnings": list(each.opened.warnings),
        "accelerator": each.match.accelerator.key if each.match.accelerator else None,
        "match": each.match.reason,
        "claims": [asdict(row) for row in each.rows],
    }


def _measured_at(document: Document) -> str | None:
    if isinstance(document, ImportedResult):
        return document.measured_at
    return document.run.started_at
