"""`bench store init`: a folder or bucket becomes a store of results."""

from pathlib import Path

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.errors import UsageError
from wattbench.results.store.open import init_store
from wattbench.results.trust.signers import parse_allowed

__all__ = ["command"]


@click.command("init")
@click.argument("store")
@click.option(
    "--auditors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Keys whose notes count as audits, in lines as ssh-keygen's allowed signers; they cannot be changed later.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(store: str, auditors: Path | None, as_json: bool) -> int:
    """Make STORE, a folder or a bucket's s3://, gs:// or az:// address, a store; one that is there stays as it is."""
    opened, new = init_store(store, b"" if auditors is None else _keys(auditors))
    opened.close()
    if as_json:
        print_json({"store": opened.uri, "new": new})
    else:
        print_lines([f"{opened.uri} is a store of results now." if new else f"{opened.uri} is a store already."])
    return 0


def _keys(path: Path) -> bytes:
    """Return the bytes of a file of allowed signers. Raises UsageError for another one."""
    try:
        data = path.read_bytes()
        parse_allowed(data.decode(), str(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"Cannot read {path}", str(exc), "Give a file of allowed signers (man ssh-keygen).") from exc
    return data
