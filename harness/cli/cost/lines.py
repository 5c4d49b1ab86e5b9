"""What the texts of `bench cost` share: head with watermark, ladder, inputs used, notes. Nothing here prints."""

from collections.abc import Iterable, Iterator

from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import Ladder
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.query import Money
from wattbench.results.readable import number

__all__ = ["amount", "head_lines", "input_lines", "ladder_lines", "money", "note_lines", "row", "spread"]

WIDTH = 20


def row(label: str, text: str) -> str:
    """Return one line: a label in its column, and what it says."""
    return f"{label:<{WIDTH}}{text}"


def amount(value: float) -> str:
    """Return a number with four digits, thousands apart where it has many."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def spread(u_rel: float | None) -> str:
    """Return an uncertainty in words (k=2), nothing where none is stated."""
    return "" if u_rel is None else f" +/- {200 * u_rel:.2g} % (k=2)"


def money(amount_of: Money | None, reason: str = "") -> str:
    """Return an amount with its uncertainty, or the reason why there is none."""
    if amount_of is None:
        return f"- ({reason})"
    return f"{amount(amount_of.usd)} USD{spread(amount_of.u_rel) or ' (uncertainty not stated)'}"


def head_lines(measured: Measured) -> Iterator[str]:
    """Return what was measured, and for a result that is invalid why nothing below may be quoted."""
    yield f"{measured.load}, {measured.precision}, {measured.device}"
    lengths = (
        "" if measured.input_tokens is None else f"{measured.input_tokens:g} tokens in",
        "" if measured.output_tokens is None else f"{measured.output_tokens:g} out",
    )
    yield ", ".join(text for text in (f"{number(measured.queries_per_s.value)} queries/s", *lengths) if text)
    for warning in measured.warnings:
        yield f"  x {warning}: no figure below is to be quoted"
    yield ""


def ladder_lines(ladder: Ladder, factor: float = 1.0, what: str = "a query") -> Iterator[str]:
    """Return the boundary ladder of a query, or of `what` takes `factor` times as much: every rung, known or absent."""
    yield f"ladder: energy of {what}, up to"
    for rung in ladder.energies:
        known = f"{rung.rung.provenance}: {rung.rung.words}"
        if rung.energy_j is None:
            yield f"  {rung.rung.name:<{WIDTH - 2}}absent: {rung.rung.words}"
            continue
        per_kwh = "" if rung.queries_per_kwh is None else f", {amount(rung.queries_per_kwh / factor)} per kWh"
        yield f"  {rung.rung.name:<{WIDTH - 2}}{amount(rung.energy_j * factor)} J{per_kwh} ({known})"
    embodied, label = ladder.embodied, f"  {'embodied':<{WIDTH - 2}}"
    if embodied.embodied_g is None:
        yield f"{label}absent: {embodied.words}"
    else:
        yield f"{label}{amount(embodied.embodied_g * factor)} g CO2e ({embodied.provenance}: {embodied.words})"


def input_lines(inputs: CostInputs) -> Iterator[str]:
    """Return every input with the place, source and date that it came from, and whether no figure above needed it."""
    yield "inputs"
    for given in inputs.given.values():
        unused = "" if given.path in inputs.used else "not used here"
        origin = ", ".join(word for word in (unused, given.place, given.source, given.date) if word)
        yield f"  {given.path:<{WIDTH + 10}}{given.value:g}  ({origin})"


def note_lines(notes: Iterable[str]) -> Iterator[str]:
    """Return the notes, each once."""
    for note in dict.fromkeys(notes):
        yield f"  - {note}"
