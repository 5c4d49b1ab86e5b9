"""What the sub-commands of `bench cost` share: the options that give inputs, and reading result and cost file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from wattbench.results.economics.fields import FIELDS
from wattbench.results.economics.inputs import FILE, SIZE_MAX, CostInputs, parse_inputs
from wattbench.results.economics.measured import Measured, measured_of
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result, stored_id

__all__ = ["Asked", "asked", "input_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a sub-command works on: the measured figures and the inputs."""

    measured: Measured
    inputs: CostInputs


def input_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --cost-file, --allow-invalid, --json and a flag for every input of the model to a command."""
    for field in reversed(tuple(FIELDS.values())):
        function = click.option(
            field.flag, _name(field.path), type=float, metavar=field.unit, help=f"{field.text.capitalize()}."
        )(function)
    function = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")(function)
    function = click.option(
        "--allow-invalid", is_flag=True, help="Compute from an invalid or unfinished result too; every output says so."
    )(function)
    return click.option("--cost-file", "-s", type=Path, metavar="FILE", help=f"Inputs ({FILE}; `bench cost init`).")(
        function
    )


def asked(result: Path, cost_file: Path | None, allow_invalid: bool, flags: dict[str, float | None]) -> Asked:
    """Return the figures of a result file and the inputs of file and flags.

    `flags` are the values of `input_options` by their parameter names. Raises DocumentError and UsageError.
    """
    given = {path: value for path in FIELDS if (value := flags.get(_name(path))) is not None}
    inputs = parse_inputs(_text(cost_file), given, str(cost_file or FILE))
    document = read_result(result)
    return Asked(measured=measured_of(document, stored_id(result), allow_invalid=allow_invalid), inputs=inputs)


def _name(path: str) -> str:
    return path.replace(".", "_")


def _text(cost_file: Path | None) -> str | None:
    if cost_file is None:
        return None
    try:
        if cost_file.stat().st_size > SIZE_MAX:
            raise UsageError(f"{cost_file} cannot be used", f"it has more than {SIZE_MAX} bytes", "Give a cost file.")
        return cost_file.read_text(encoding="utf-8")
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise UsageError(f"{cost_file} cannot be read", why, "`bench cost init` writes one.") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"{cost_file} cannot be read", "it is not UTF-8 text", "`bench cost init` writes one."
        ) from exc
