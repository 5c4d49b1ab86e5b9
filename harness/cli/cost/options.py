"""What the sub-commands of `bench cost` share: the options that give inputs, and reading result and cost file."""

import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from wattbench.results.economics.fields import FIELDS, HOURS, CostField
from wattbench.results.economics.inputs import FILE, SIZE_MAX, CostInputs, parse_inputs
from wattbench.results.economics.measured import Measured, measured_of
from wattbench.results.errors import UsageError
from wattbench.results.files import open_document

__all__ = ["Asked", "asked", "derived", "input_options", "inputs_of", "measured_file", "plain_inputs"]

MACHINE = ("hardware", "cloud", "power", "use", "opex", "carbon.machine_kg")
"""What every command takes: sections, or single fields of one."""

SCHEMA = "wattbench.cost/1"
"""The version of the derived documents; a field that changes its meaning raises it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a sub-command works on: the measured figures and the inputs."""

    measured: Measured
    inputs: CostInputs


def input_options(*more: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --cost-file, --allow-invalid, --json and a flag for each of the machine's inputs and of `more` to a command.

    `more` names sections or single paths. All but `as_json` are the `options` of `asked`.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        return _with_options(function, (*MACHINE, *more))

    return add


def asked(result: Path, options: Mapping[str, Any]) -> Asked:  # any: what click gives
    """Return the figures of a result file and the inputs of file and flags. Raises DocumentError and UsageError."""
    inputs = inputs_of(options)
    return Asked(measured=measured_file(result, options), inputs=inputs)


def measured_file(result: Path, options: Mapping[str, Any]) -> Measured:  # any: what click gives
    """Return the figures of a result file, measured here or imported. Raises DocumentError."""
    opened = open_document(result)
    return measured_of(opened.document, opened.identity, allow_invalid=bool(options["allow_invalid"]))


def inputs_of(options: Mapping[str, Any], cost_file: Path | None = None) -> CostInputs:  # any: what click gives
    """Return the inputs of flags and of the options' cost file, or of another one. Raises UsageError."""
    path = cost_file or options["cost_file"]
    given = {field.path: value for field in FIELDS.values() if (value := options.get(_name(field))) is not None}
    return parse_inputs(_text(path), given, str(path or FILE), _hours(options["schedule"]))


def derived(
    command: str, found: list[Measured], inputs: CostInputs, figures: Mapping[str, Any]
) -> dict[str, Any]:  # any: records as plain values
    """Return the derived document of a command: it names the measured ones by their digests, and what was given."""
    warnings = [f"{one.load}: {warning}" for one in found for warning in one.warnings]
    return {
        "schema": SCHEMA,
        "kind": "derived",
        "command": command,
        "of": found[0].result_id if len(found) == 1 else [one.result_id for one in found],
        "quotable": not warnings,
        "warnings": warnings,
        "measured": asdict(found[0]) if len(found) == 1 else [asdict(one) for one in found],
        "inputs": plain_inputs(inputs),
        **figures,
    }


def plain_inputs(inputs: CostInputs) -> list[dict[str, Any]]:  # any: records as plain values
    """Return every input as plain values, with whether a figure needed it."""
    return [{**asdict(given), "used": given.path in inputs.used} for given in inputs.given.values()]


def _with_options(function: Callable[..., Any], wanted: tuple[str, ...]) -> Callable[..., Any]:
    fields = [field for field in FIELDS.values() if field.section in wanted or field.path in wanted]
    for field in reversed(fields):
        text = f"{field.text[0].upper()}{field.text[1:]}."
        function = click.option(field.flag, _name(field), type=float, metavar=field.unit, help=text)(function)
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines."),
        click.option("--allow-invalid", is_flag=True, help="Use an invalid or unfinished result too, and say so."),
        click.option("--schedule", metavar="S,S,...", help=f"Share of work in each of {HOURS} hours, by commas."),
        click.option(
            "--cost-file", "-s", type=Path, metavar="FILE", help=f"Inputs ({FILE}; `bench cost init` writes one)."
        ),
    ):
        function = option(function)
    return function


def _name(field: CostField) -> str:
    return field.path.replace(".", "_")


def _hours(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as exc:
        why = f"{text!r:.60} is no list of numbers"
        raise UsageError("--schedule cannot be used", why, f"Give {HOURS} shares: 0.1,0.1,0.2,...") from exc


def _text(cost_file: Path | None) -> str | None:
    if cost_file is None:
        return None
    try:
        status = cost_file.stat()
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            raise UsageError(f"{cost_file} cannot be used", "it is no regular file", "Give a cost file.")
        if status.st_size > SIZE_MAX:
            raise UsageError(f"{cost_file} cannot be used", f"it has more than {SIZE_MAX} bytes", "Give a cost file.")
        return cost_file.read_text(encoding="utf-8")
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise UsageError(f"{cost_file} cannot be read", why, "`bench cost init` writes one.") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"{cost_file} cannot be read", "it is not UTF-8 text", "`bench cost init` writes one."
        ) from exc
