"""`bench verify`: what results say computed again from their raw data, gates, signatures, tiers of trust."""

from pathlib import Path

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.trust_options import allowed_of, expectation_of, signer_options
from wattbench.harness.cli.verify_lines import inspection_lines
from wattbench.harness.trust.inspecting import Inspection, inspect_file
from wattbench.results.trust.signers import Expectation

__all__ = ["command", "exit_code"]


@click.command("verify")
@click.argument("results", metavar="RESULT...|ID...", nargs=-1, required=True)
@click.option("--store", metavar="STORE", help="The store that has the results; each RESULT is then an id.")
@signer_options
@click.option("--auditors", type=click.Path(path_type=Path), help="Whose audits count, instead of the store's list.")
@click.option("--brief", is_flag=True, help="Leave out the checks that hold.")
@click.option("--json", "as_json", is_flag=True, help="Every check, for machines.")
def command(
    results: tuple[str, ...],
    store: str | None,
    allowed_signers: Path | None,
    signer_keys: tuple[Path, ...],
    auditors: Path | None,
    brief: bool,
    as_json: bool,
) -> int:
    """Check what results say against their raw data, physics, the vendors' figures and signatures.

    Everything derived is computed again; a result that contradicts itself is told apart although its digest fits.

    Exit codes: 0 consistent and fit for ranking, 1 inconsistent, 2 usage, 3 not inconsistent, but unverifiable or not
    to be ranked (mock, imported, invalid, withdrawn, ...).
    """
    expected = expectation_of(allowed_signers, signer_keys)
    if store is None:
        found = [inspect_file(Path(name), expected) for name in results]
    else:
        found = _stored(store, results, expected, auditors)
    if as_json:
        print_json(tuple(found))
    else:
        for inspection in found:
            print_lines(inspection_lines(inspection, brief=brief))
    return max(map(exit_code, found), key=(0, 3, 1).index)


def exit_code(found: Inspection) -> int:
    """Return the exit code of one inspection."""
    if found.verification.standing == "inconsistent":
        return 1
    return 0 if found.verification.rankable else 3


def _stored(store: str, results: tuple[str, ...], expected: Expectation, auditors: Path | None) -> list[Inspection]:
    from wattbench.harness.trust.stored import inspect_stored
    from wattbench.results.store.find import find_id, id_digits
    from wattbench.results.store.open import open_store

    for name in results:
        id_digits(name)
    listed = None if auditors is None else allowed_of(auditors)
    opened = open_store(store)
    try:
        ids = [find_id(opened, name) for name in results]
        return [inspect_stored(opened, result_id, expected, auditors=listed) for result_id in ids]
    finally:
        opened.close()
