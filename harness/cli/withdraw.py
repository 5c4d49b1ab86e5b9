"""`bench withdraw`: a result that is not to be used any more; it stays, and everybody is told."""

import click

from wattbench.harness.cli.noting import add_note
from wattbench.harness.cli.output import print_json, print_lines

__all__ = ["command"]


@click.command("withdraw")
@click.argument("store_name", metavar="STORE")
@click.argument("result_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why it is not to be used.")
@click.option("--by", metavar="NAME", help="What to call you [default: nothing, or WATTBENCH_UPLOADER].")
@click.option("--json", "as_json", is_flag=True, help="The note as JSON, for machines.")
def command(store_name: str, result_id: str, reason: str, by: str | None, as_json: bool) -> int:
    """Withdraw a result: a note says so and why, and no ranking counts it. Nothing is deleted."""
    note = add_note(store_name, result_id, "withdrawn", reason, by=by)
    if as_json:
        print_json(note)
    else:
        print_lines(
            [
                f"Withdrawn: {note.about}",
                "Nothing was deleted: the document stays in the store and whoever has it keeps it;",
                "readers see that it was withdrawn, and why.",
            ]
        )
    return 0
