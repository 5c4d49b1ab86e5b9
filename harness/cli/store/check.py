"""`bench store check`: a whole store is read, and what is lost, altered or unfinished is named."""

import sys
from collections.abc import Iterator

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.version import harness_record
from wattbench.results.codec import to_builtins
from wattbench.results.store.check import check_store
from wattbench.results.store.findings import FINDINGS, CheckReport
from wattbench.results.store.open import open_store

__all__ = ["check_lines", "command"]

TOLD_EVERY = 100


@click.command("check")
@click.argument("store")
@click.option("--repair", is_flag=True, help="Bring documents whose push died into the log; nothing is ever deleted.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(store: str, repair: bool, as_json: bool) -> int:
    """Read everything in STORE, and say whether each logged result is there as it was, with its files, and once.

    Exit code 1 when something that was acknowledged is missing or altered; notices alone leave it 0.
    """
    opened = open_store(store)
    try:
        report = check_store(opened, wattbench=harness_record().version, repair=repair, told=_Counter().told)
    finally:
        opened.close()
    if as_json:
        print_json(to_builtins(report) | {"sound": report.sound})
    else:
        print_lines(check_lines(report))
    return 0 if report.sound else 1


def check_lines(report: CheckReport) -> Iterator[str]:
    """Return a report as lines: what there is, the findings by kind, the verdict."""
    yield f"{report.store}: {_count(report.documents, 'document')}, {_count(report.entries, 'log entry')}"
    beside = (_count(report.blobs, "file"), _count(report.signatures, "signature"), _count(report.notes, "note"))
    yield f"beside them: {', '.join(beside)}"
    for code, kind in FINDINGS.items():
        if code in report.counts:
            kept = [each for each in report.findings if each.code == code]
            yield f"{kind.weight}  {code}: {kind.meaning} ({report.counts[code]})"
            yield from (f"        {each.key}: {each.why}" for each in kept)
            if len(kept) < report.counts[code]:
                yield f"        and {report.counts[code] - len(kept)} more"
    if report.repaired:
        yield f"Completed: {_count(report.repaired, 'document')} whose push had died, now in the log."
    elif "push_unfinished" in report.counts:
        yield "What is unfinished is completed by the next push of the same result, or by --repair."
    yield _verdict(report)


def _verdict(report: CheckReport) -> str:
    if report.sound:
        return "Sound: every logged result is there, and its digest is right."
    return "Not sound: take what is damaged from another store (bench sync), and ask who may write to this one."


def _count(number: int, word: str) -> str:
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number} {word if number == 1 else plural}"


class _Counter:
    """Counts on a terminal's standard error while a large store is read."""

    def __init__(self) -> None:
        self._count = 0

    def told(self, key: str) -> None:
        """Count one document."""
        self._count += 1
        if self._count % TOLD_EVERY == 0 and sys.stderr.isatty():
            click.echo(f"\r{self._count} log entries looked at", err=True, nl=False)
