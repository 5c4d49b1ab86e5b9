"""`bench vendor list`: the accelerators of the database, one a line."""

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.tables import Table, table_lines
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.vendor.database import database
from wattbench.results.vendor.records import Accelerator, Stated

__all__ = ["command", "list_table"]

COLUMNS = ("key", "vendor", "name", "form", "memory GB", "GB/s", "dense bf16 T", "dense fp8 T", "dense int8 T", "TDP W")


@click.command("list")
@click.option("--vendor", metavar="NAME", help="Those of one maker only.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(vendor: str | None, as_json: bool) -> int:
    """List every accelerator with its main figures; "-" is not known. Products are dense, in tera a second."""
    rows = tuple(database().accelerators.values())
    if vendor is not None:
        vendors = {row.vendor.casefold(): row.vendor for row in rows}
        if vendor.casefold() not in vendors:
            raise UsageError(f"Unknown vendor {vendor!r}", *nearest_lines(vendor, vendors.values()))
        rows = tuple(row for row in rows if row.vendor == vendors[vendor.casefold()])
    if as_json:
        print_json(rows)
    else:
        print_lines(table_lines(list_table(rows), "table"))
    return 0


def list_table(rows: tuple[Accelerator, ...]) -> Table:
    """Return the accelerators as a table; a figure marked ~ is not its maker's own word."""
    return Table(columns=COLUMNS, rows=tuple(_row(row) for row in rows), right=COLUMNS[4:])


def _row(row: Accelerator) -> tuple[str, ...]:
    products = [_text(row.dense_flops_per_s.get(precision), 1e12) for precision in ("bfloat16", "float8", "int8")]
    memory = _text(row.memory_gb, 1), _text(row.memory_bytes_per_s, 1e9)
    return (row.key, row.vendor, row.name, row.form, *memory, *products, _text(row.tdp_w, 1))


def _text(stated: Stated | None, unit: float) -> str:
    if stated is None:
        return "-"
    ends = [f"{value / unit:,.10g}" for value in (stated.value, stated.value_high) if value is not None]
    return ("" if stated.grade == "vendor" else "~") + "..".join(ends)
