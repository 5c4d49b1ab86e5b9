"""`bench vendor match`: which accelerator of the database the devices at hand are, or a name is."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.identities import identities
from wattbench.results.vendor.database import database
from wattbench.results.vendor.match import Identity, Match, match_accelerator

__all__ = ["command", "match_lines"]


@click.command("match")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(text: str | None, as_json: bool) -> int:
    """Recognise the devices of this machine, or the name or PCI id TEXT (10de:2330).

    An unknown name stays unknown: near ones are named and never taken. Ends with 0 when TEXT, or any device of this
    machine, is recognised, else with 1.
    """
    asked = (Identity(kind="text", value=text, origin="the command line"),) if text is not None else identities()
    rows = tuple(database().accelerators.values())
    found = [match_accelerator(identity, rows) for identity in asked]
    if as_json:
        print_json([_plain(match) for match in found])
    else:
        print_lines(match_lines(found))
    return int(all(match.accelerator is None for match in found))


def match_lines(found: Sequence[Match]) -> Iterator[str]:
    """Return each identity with what it leads to."""
    for match in found:
        kind = "" if match.identity.kind == "text" else f"  ({match.identity.kind}: {match.identity.origin})"
        yield f"{match.identity.value:.80}{kind}"
        if match.accelerator is None:
            yield f"  unknown: {match.reason}"
        else:
            yield f"  {match.accelerator.key}: {match.accelerator.full_name}, by {match.reason}"


def _plain(match: Match) -> dict[str, object]:
    return {
        "identity": asdict(match.identity),
        "key": match.accelerator.key if match.accelerator else None,
        "reason": match.reason,
        "suggestions": list(match.suggestions),
    }
