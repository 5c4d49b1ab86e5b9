"""`bench cost prices`: what providers ask for tokens of a model, from the lists that come with the package."""

from collections.abc import Iterator, Sequence

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.tables import Table, table_lines
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.vendor.api_prices import ApiPrice, api_prices, of_model

__all__ = ["command", "price_list_lines"]

COLUMNS = ("model", "provider", "input", "cached", "output")


@click.command("prices")
@click.option("--model", metavar="NAME", help="Prices of one model only.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(model: str | None, as_json: bool) -> int:
    """List what providers ask for a model's tokens, in USD per million, with source and date.

    None of them is used unless it is named: bench cost breakeven RESULT --api PROVIDER:MODEL.
    """
    rows = api_prices() if model is None else of_model(model)
    if model is not None and not rows:
        models = sorted({price.model for price in api_prices()})
        raise UsageError(f"No price list is stored for the model {model!r:.80}", *nearest_lines(model, models))
    if as_json:
        print_json(rows)
    else:
        print_lines(price_list_lines(rows))
    return 0


def price_list_lines(rows: Sequence[ApiPrice]) -> Iterator[str]:
    """Return prices as a table, with where they are from."""
    cells = tuple(
        (
            row.model,
            row.provider,
            f"{row.input_usd_per_million:g}",
            "-" if row.cached_usd_per_million is None else f"{row.cached_usd_per_million:g}",
            f"{row.output_usd_per_million:g}",
        )
        for row in rows
    )
    yield from table_lines(Table(columns=COLUMNS, rows=cells, right=COLUMNS[2:]), "table")
    yield ""
    yield "USD per million tokens; precision, speed and promises differ between providers"
    for words in dict.fromkeys(f"{row.source} [{row.grade.replace('_', '-')}, {row.date}]" for row in rows):
        yield f"source: {words}"
