"""`bench vendor claims`: what models were claimed to reach on which accelerator, with the conditions."""

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.vendor.show import claim_text
from wattbench.results.compare_models import same_model
from wattbench.results.errors import UsageError
from wattbench.results.vendor.database import accelerator_of, database

__all__ = ["command"]


@click.command("claims")
@click.argument("name", required=False)
@click.option("--model", metavar="NAME", help="Claims of one model only.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(name: str | None, model: str | None, as_json: bool) -> int:
    """List the claims of the accelerator NAME, or of all: a figure with its conditions, source, grade and date."""
    rows = (accelerator_of(name),) if name is not None else tuple(database().accelerators.values())
    found = [(row, claim) for row in rows for claim in row.claims if model is None or same_model(claim.model, model)]
    if not found:
        models = sorted({claim.model for row in rows for claim in row.claims})
        why = f"the models are {', '.join(models)}" if models else "none is listed for it"
        raise UsageError("There is no such claim", why, "`bench vendor claims` lists them all.")
    if as_json:
        print_json([{"accelerator": row.key, "claim": claim} for row, claim in found])
    else:
        print_lines(
            f"{row.key:<20}{claim_text(claim)}  [{claim.source}, {claim.grade.replace('_', '-')}, {claim.date}]"
            for row, claim in found
        )
    return 0
