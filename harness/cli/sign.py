"""`bench sign`: a signature of a result, as a file beside it or as a record in a store."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click

from wattbench.harness.cli.output import print_lines
from wattbench.harness.trust.inspecting import signature_path
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.files import document_bytes
from wattbench.results.trust.keys import fingerprint
from wattbench.results.trust.signing import Method, sign

__all__ = ["command"]


@click.command("sign")
@click.argument("result", metavar="RESULT|ID")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The private key: OpenSSH's, or PEM.")
@click.option("--method", type=click.Choice(["ssh", "dsse"]), help="Default: dsse for a PEM key, else ssh.")
@click.option("--store", metavar="STORE", help="Sign a result in a store, by its id.")
@click.option("--as", "signer", metavar="NAME", help="Who signs, in a store; default: the result's uploader.")
@click.option("--audit", metavar="TEXT", help="Sign the statement that you audited the result, in a store.")
def command(
    result: str, key: Path, method: str | None, store: str | None, signer: str | None, audit: str | None
) -> int:
    """Sign a result: beside a file as FILE.sig, or in a store.

    What is signed are the result's canonical bytes, by ssh-keygen (namespace wattbench-result) or as a DSSE envelope
    with an in-toto statement. In a store the first key of an uploader is pinned: other keys do not count for him.
    """
    how = cast(Method | None, method)
    if store is not None:
        print_lines(_sign_stored(store, result, key, how, signer, audit))
        return 0
    if signer is not None or audit is not None:
        raise UsageError("--as and --audit need --store", "a file's signature has no room for them", "")
    path = Path(result)
    if not path.is_file():
        raise UsageError(f"There is no result {path}", "no such file", "Give a result file, or an id with --store.")
    target = signature_path(path)
    made = sign(document_bytes(path), key, how)
    try:
        with target.open("x", encoding="ascii") as file:
            file.write(made.text)
    except FileExistsError as exc:
        raise UsageError(f"{target} exists already", "a signature is never overwritten", "Move it away first.") from exc
    except OSError as exc:
        raise StorageError(f"Cannot write {target}", exc.strerror or str(exc), "Check who may write there.") from exc
    print_lines([f"{target}: signed by {fingerprint(made.public_key)}"])
    return 0


def _sign_stored(
    store: str, result: str, key: Path, method: Method | None, signer: str | None, audit: str | None
) -> list[str]:
    from wattbench.harness.trust.sign_stored import audit_stored, sign_stored
    from wattbench.results.store.find import find_id, id_digits
    from wattbench.results.store.open import open_store

    id_digits(result)
    opened = open_store(store)
    now = datetime.now(tz=UTC)
    try:
        result_id = find_id(opened, result)
        if audit is not None:
            return audit_stored(opened, result_id, key, method, text=audit, signer=signer, now=now)
        return sign_stored(opened, result_id, key, method, signer=signer, now=now)
    finally:
        opened.close()
