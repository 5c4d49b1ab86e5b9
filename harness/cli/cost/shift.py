"""`bench cost shift`: a fleet's way from training to inference, and which hardware meets a required cost."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from wattbench.harness.cli.cost.lines import amount, input_lines, row
from wattbench.harness.cli.cost.options import derived, input_options, inputs_of
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.economics.inputs import FILE, CostInputs
from wattbench.results.economics.offers import StatedMachines
from wattbench.results.economics.shift import ShiftYear, Suitability, fleet_shift, suitable
from wattbench.results.economics.vendor_offers import VendorMachines
from wattbench.results.errors import UsageError

__all__ = ["command", "suitability_lines", "year_lines"]


@click.command("shift")
@click.option("--vendor", metavar="PRECISION", help="Add the vendor database's machines, at their dense peaks in it.")
@input_options("shift")
def command(vendor: str | None, as_json: bool, **options: Any) -> int:  # any: what click gives
    """Model a fleet's shift from training to inference by year, and which machines meet a required cost of a query.

    Machines are the `machines:` of the cost file and, with --vendor, those of the vendor database that have a price or
    a rent; prices are of the dates that stand with them, the model's assumptions are printed.
    """
    inputs = inputs_of(options)
    spent = any(inputs.optional(f"shift.{name}") is not None for name in ("years", "training_usd_per_year"))
    goal = inputs.optional("shift.usd_per_query") is not None
    if not spent and not goal:
        raise UsageError(
            "There is nothing to model",
            "neither a fleet's spend (shift.years, ...) nor a required cost (shift.usd_per_query) was given",
            "Use --shift-years with today's figures and growth, or --shift-usd-per-query with machines: in -s FILE.",
        )
    if goal and not inputs.machines and vendor is None:
        raise UsageError(
            "No machine is known to hold against the required cost",
            f"the section machines: of {FILE} is empty or not given",
            "Write one entry a machine (docs/cost.md#the-shift), or take the vendor database's: --vendor bfloat16.",
        )
    years = fleet_shift(inputs) if spent else ()
    stated = StatedMachines(entries=inputs.machines, name=str(options["cost_file"] or FILE))
    known = None if vendor is None else _vendor_machines(vendor, inputs)
    rows = suitable([*stated.offers(), *(known.offers() if known else ())], inputs) if goal else ()
    if as_json:
        figures = {
            "years": [asdict(year) for year in years],
            "machines": [asdict(one) for one in rows],
            "vendor_precision": vendor,
        }
        print_json(derived("shift", [], inputs, figures))
    else:
        print_lines(_lines(inputs, years, rows, known))
    return 0


def _vendor_machines(precision: str, inputs: CostInputs) -> VendorMachines:
    return VendorMachines(precision=precision, memory_bytes=inputs.number("shift.memory_bytes", "--vendor"))


def year_lines(years: Sequence[ShiftYear]) -> Iterator[str]:
    """Return a fleet's years as lines."""
    heads = ("training USD", "inference USD", "of money", "training kWh", "inference kWh", "of energy")
    yield row("year", "".join(f"{head:>17}" for head in heads))
    for year in years:
        cells = (
            _amount(year.training_usd),
            _amount(year.inference_usd),
            _share(year.inference_share_usd),
            _amount(year.training_kwh),
            _amount(year.inference_kwh),
            _share(year.inference_share_kwh),
        )
        yield row(str(year.year), "".join(f"{cell:>17}" for cell in cells))


def suitability_lines(rows: Sequence[Suitability], goal: float) -> Iterator[str]:
    """Return which machines meet the required cost as lines, the least busy one first, then by class."""
    notes = list(dict.fromkeys(note for one in rows for note in one.notes))
    yield f"a query for {goal:g} USD"
    for one in rows:
        need = (
            f"from {one.utilisation:.1%} of the hours at work" if one.utilisation is not None else f"no: {one.reason}"
        )
        marks = "".join(f" [{notes.index(note) + 1}]" for note in one.notes)
        yield f"  {one.offer.name:<32} {need}"
        if one.queries_per_s is not None and one.usd_per_query_full is not None:
            never = f"{amount(one.usd_per_query_full)} USD when never idle"
            yield f"    {amount(one.queries_per_s)} queries/s ({one.rate_basis}), {never} ({one.offer.source}){marks}"
    yield from (f"  [{number}] {note}" for number, note in enumerate(notes, start=1))
    yield ""
    yield "classes"
    for kind in sorted({one.offer.kind for one in rows}):
        met = [one.utilisation for one in rows if one.offer.kind == kind and one.utilisation is not None]
        count = sum(one.offer.kind == kind for one in rows)
        best = f"{len(met)} of {count}, from {min(met):.1%} of the hours at work" if met else f"none of {count}"
        yield f"  {kind:<28}{best}"


def _lines(
    inputs: CostInputs, years: Sequence[ShiftYear], rows: Sequence[Suitability], known: VendorMachines | None
) -> Iterator[str]:
    if years:
        yield from (*year_lines(years), "")
    if rows:
        yield from (*suitability_lines(rows, inputs.number("shift.usd_per_query", "The required cost")), "")
    yield "assumptions"
    if years:
        yield "  - work grows, and its unit cost and energy fall, by the same share every year"
    if rows:
        yield "  - capital is of the whole price of the entry; hardware.* and power.* are the same for every machine"
        if any(one.rate_basis == "from peaks" for one in rows):
            yield "  - rates from peaks: arithmetic and memory one after the other, attained shares alike everywhere"
        if known is not None:
            left_out, count = known.left_out(), len(known.accelerators)
            yield f"  - of the vendor database {left_out} of {count} accelerators are left out:"
            yield f"    no price, no rent, no dense peak in {known.precision}, no memory or bandwidth is known of them"
            yield "  - what is bought is the accelerator alone unless its source says more; a rent includes the host"
            yield "  - a machine is as many accelerators as hold the model and its caches, and as fast as their sum"
    yield ""
    yield from input_lines(inputs)


def _amount(value: float | None) -> str:
    return "-" if value is None else amount(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
