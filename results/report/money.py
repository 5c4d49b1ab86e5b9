"""The section on cost: what a query costs by the inputs that were given. Derived: nothing of it is in the document."""

from collections.abc import Iterator, Mapping

from wattbench.results.document import Result
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import measured_of
from wattbench.results.economics.query import Money, QueryCost, query_cost
from wattbench.results.imported import Document
from wattbench.results.readable import number
from wattbench.results.report.blocks import (
    Badge,
    Block,
    Cell,
    Column,
    Entries,
    Entry,
    Fact,
    Facts,
    Fold,
    Section,
    Table,
)
from wattbench.results.report.subject import Subject
from wattbench.results.sessions import calls_per_session

__all__ = ["cost_section"]


def cost_section(subject: Subject) -> Section | None:
    """Return what a query of a result costs, None where no inputs were given.

    Raises UsageError for inputs that are missing, and DocumentError for a result without throughput.
    """
    inputs = subject.cost
    if inputs is None:
        return None
    measured = measured_of(subject.document, subject.result_id, allow_invalid=True)
    cost = query_cost(measured, inputs)
    marked = Entry(
        badge=Badge(text="DERIVED", tone="info"),
        text="computed from this result and the inputs below, which somebody stated; no part of what was measured",
    )
    blocks: list[Block] = [
        Entries(entries=(marked,)),
        Facts(facts=(*_amounts(cost), *_of_sessions(cost, subject.document))),
        _rungs(cost),
        Fold(summary="Inputs, each with where it comes from", blocks=(_inputs(inputs),)),
    ]
    if cost.notes:
        blocks.append(Entries(entries=tuple(Entry(text=note) for note in dict.fromkeys(cost.notes))))
    return Section(key="cost", title="Cost (derived)", blocks=tuple(blocks))


def _amounts(cost: QueryCost) -> Iterator[Fact]:
    hourly = cost.hourly
    capital = "capital" if hourly.kind == "owned" else "rent"
    parts = [f"{capital} {_usd(hourly.capital_usd)}"]
    if hourly.energy_busy_usd is not None:
        parts.append(f"energy {_usd(hourly.energy_busy_usd)}")
    yield Fact(label="hour at work", text=f"{_usd(hourly.busy_usd)} ({hourly.kind}: {', '.join(parts)})")
    yield Fact(label="query, usage", text=f"{_money(cost.usage)}: only the busy time is paid")
    if cost.reservation is None:
        yield Fact(label="query, reserved", text=f"not known: {cost.reservation_reason}")
    else:
        yield Fact(label="query, reserved", text=f"{_money(cost.reservation)}: idle hours are paid too")
    prices: Mapping[str, float | None] = {"input": cost.usd_per_million_input, "output": cost.usd_per_million_output}
    for name, price in prices.items():
        if price is not None:
            yield Fact(label=f"million {name} tokens", text=f"{_usd(price)} (usage)")


def _of_sessions(cost: QueryCost, document: Document) -> Iterator[Fact]:
    """Yield what a session costs: its calls, at the cost of a query."""
    mean = calls_per_session(document.repeats if isinstance(document, Result) else ())
    if mean is None:
        return
    for name, money in (("usage", cost.usage), ("reserved", cost.reservation)):
        if money is not None:
            text = f"{_money(money.times(mean))}: {number(mean)} calls at the cost of a query"
            yield Fact(label=f"session, {name}", text=text)


def _rungs(cost: QueryCost) -> Table:
    columns = (
        Column(name="boundary"),
        Column(name="J/query", right=True),
        Column(name="queries/kWh", right=True),
        Column(name="how it is known", wide=True),
    )
    rows = tuple(
        (
            Cell(text=row.rung.name),
            Cell(text="absent" if row.energy_j is None else number(row.energy_j), order=row.energy_j),
            Cell(text="-" if row.queries_per_kwh is None else number(row.queries_per_kwh), order=row.queries_per_kwh),
            Cell(text=f"{row.rung.provenance}: {row.rung.words}"),
        )
        for row in cost.energies
    )
    made = cost.embodied
    grams = "absent" if made.embodied_g is None else f"{number(made.embodied_g)} g CO2e"
    last = (Cell(text="making"), Cell(text=grams), Cell(text="-"), Cell(text=f"{made.provenance}: {made.words}"))
    return Table(caption="Energy of a query by boundary", columns=columns, rows=(*rows, last), sortable=False)


def _inputs(inputs: CostInputs) -> Table:
    columns = (Column(name="input"), Column(name="value", right=True), Column(name="from"))
    rows = tuple(
        (
            Cell(text=given.path),
            Cell(text=f"{given.value:g}", order=given.value),
            Cell(text=", ".join(word for word in (given.place, given.source, given.date) if word)),
        )
        for given in inputs.given.values()
    )
    return Table(caption="Stated inputs", columns=columns, rows=rows)


def _usd(value: float) -> str:
    return f"{value:,.2f} USD" if value >= 1000 else f"{value:.4g} USD"


def _money(money: Money) -> str:
    spread = "uncertainty not stated" if money.u_rel is None else f"± {200 * money.u_rel:.2g} %, k=2"
    return f"{_usd(money.usd)} ({spread})"
