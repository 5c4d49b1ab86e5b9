"""`bench vendor show`: all that is stated of one accelerator, each figure with its source, grade and date."""

from collections.abc import Iterator
from dataclasses import asdict

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.results.utilisation import scaled
from wattbench.results.vendor.database import accelerator_of, conflicts_of, database
from wattbench.results.vendor.records import Accelerator, Claim, Conflict, Rent, Stated, StatedText

__all__ = ["command", "show_lines"]

WIDTH = 24
PRODUCTS = (
    ("dense", "dense_flops_per_s"),
    ("sparse", "sparse_flops_per_s"),
    ("dense or sparse?", "unstated_flops_per_s"),
    ("vector", "vector_flops_per_s"),
    ("measured", "measured_flops_per_s"),
)


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(name: str, as_json: bool) -> int:
    """Show all that is stated of the accelerator NAME (its key or whole name), and where sources differ."""
    accelerator = accelerator_of(name)
    conflicts = conflicts_of(accelerator.key)
    used = {leaf.source for leaf in _leaves(accelerator)} | {v.source for c in conflicts for v in c.values}
    if as_json:
        sources = {key: asdict(database().sources[key]) for key in sorted(used)}
        print_json(
            {"accelerator": asdict(accelerator), "conflicts": [asdict(c) for c in conflicts], "sources": sources}
        )
    else:
        print_lines([*show_lines(accelerator, conflicts), "", *_source_lines(sorted(used))])
    return 0


def show_lines(accelerator: Accelerator, conflicts: tuple[Conflict, ...]) -> Iterator[str]:
    """Return an accelerator as lines: figures, names, prices, claims, conflicts; sources stand by their keys."""
    yield f"{accelerator.full_name}  ({accelerator.key}; {accelerator.form})"
    for text in (accelerator.note, accelerator.not_compared, accelerator.missing and f"missing: {accelerator.missing}"):
        if text:
            yield f"  {text}"
    yield from _figure_lines(accelerator)
    yield from _product_lines(accelerator)
    names = asdict(accelerator.names)
    basis = names.pop("basis")
    for kind, values in names.items():
        if values:
            yield _line("" if kind == "basis" else f"known as ({kind})", f"{', '.join(values)}" + _in(basis))
    yield from (_line("price", f"{_usd(leaf)}{_from(leaf)}") for leaf in accelerator.price_usd)
    yield from (_line("rent", _rent(rent)) for rent in accelerator.rent)
    yield from (
        _line("cost of owning", f"{who.replace('_', ' ')}: {leaf.value:g} USD/h{_from(leaf)}")
        for who, leaf in accelerator.ownership_usd_per_h.items()
    )
    yield from (_line("claim", f"{claim_text(claim)}{_from(claim)}") for claim in accelerator.claims)
    for conflict in conflicts:
        values = ", ".join(f"{v.value:.10g} ({v.source}{'; ' + v.note if v.note else ''})" for v in conflict.values)
        yield _line("sources differ", f"{conflict.figure}: {values}")
        used = "none is used" if conflict.used is None else f"{conflict.used:.10g} is used"
        yield _line("", f"{used}: {conflict.why}")


def claim_text(claim: Claim) -> str:
    """Return a claim with its conditions in one line."""
    unit = {"latency_s": "s", "usd_per_million_tokens": "USD per million tokens"}.get(
        claim.metric, claim.metric.replace("_per_s", "/s").replace("_", " ")
    )
    lengths = f"{claim.input_tokens} in / {claim.output_tokens} out" if claim.input_tokens else ""
    parts = [
        claim.benchmark or "",
        claim.scenario or "",
        claim.precision or "",
        lengths,
        f"{claim.devices} devices" if (claim.devices or 1) > 1 else "",
        f"{claim.wall_power_w:g} W at the wall" if claim.wall_power_w else "",
        claim.by or "",
        claim.conditions,
    ]
    return f"{claim.model}: {claim.value:,.10g} {unit} ({'; '.join(part for part in parts if part)})"


def _figure_lines(accelerator: Accelerator) -> Iterator[str]:
    if accelerator.year:
        yield _line("year", f"{accelerator.year.value:.0f}{_from(accelerator.year)}")
    for label, word in (("process", accelerator.process), ("memory", accelerator.memory_type)):
        if word:
            yield _line(label, f"{word.value}{_from(word)}")
    for label, leaf, unit in (
        ("memory size", accelerator.memory_gb, "GB"),
        ("cores", accelerator.cores, ""),
        ("nameplate power", accelerator.tdp_w, "W, not measured"),
        ("provisioned power", accelerator.provisioned_w, "W, not measured"),
    ):
        if leaf:
            high = f"..{leaf.value_high:g}" if leaf.value_high else ""
            yield _line(label, f"{leaf.value:g}{high} {unit}".rstrip() + _from(leaf))
    for label, leaf in (
        ("memory bandwidth", accelerator.memory_bytes_per_s),
        ("link", accelerator.link_bytes_per_s),
    ):
        if leaf:
            yield _line(label, f"{scaled(leaf.value, 'B/s')}{_from(leaf)}")


def _product_lines(accelerator: Accelerator) -> Iterator[str]:
    for label, field in PRODUCTS:
        for precision, leaf in getattr(accelerator, field).items():
            unit = "OP/s" if precision.startswith("int") else "FLOP/s"
            yield _line(f"{label} {precision}", f"{scaled(leaf.value, unit)}{_from(leaf)}")
    for precision, leaf in accelerator.amx_operations_per_cycle_per_core.items():
        yield _line(f"AMX {precision}", f"{leaf.value:g} operations a cycle and core{_from(leaf)}")
    npu = accelerator.npu_operations_per_s
    if npu:
        yield _line("neural engine", f"{scaled(npu.value, 'OP/s')}{_from(npu)}")


def _leaves(accelerator: Accelerator) -> Iterator[Stated | StatedText | Rent | Claim]:
    for name in accelerator.__slots__:
        value = getattr(accelerator, name)
        values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        yield from (leaf for leaf in values if isinstance(leaf, Stated | StatedText | Rent | Claim))


def _source_lines(keys: list[str]) -> Iterator[str]:
    yield "sources"
    for key in keys:
        source = database().sources[key]
        yield f"  {key:<{WIDTH - 2}}{source.title} [{source.grade.replace('_', '-')}, {source.dated}]"
        yield f"  {'':<{WIDTH - 2}}{source.url}{_in(source.note)}"


def _usd(leaf: Stated) -> str:
    return f"{leaf.value:,.0f}" + (f"..{leaf.value_high:,.0f}" if leaf.value_high else "") + " USD"


def _rent(rent: Rent) -> str:
    kind = rent.kind.replace("_", " ")
    each = f"{rent.accelerator_usd_per_h:.4g} USD/h each, {rent.instance_usd_per_h:g} for {rent.accelerators}"
    return f"{rent.provider} {rent.instance}: {each} ({kind}){_from(rent)}"


def _from(leaf: Stated | StatedText | Rent | Claim) -> str:
    note = getattr(leaf, "note", "")
    return f"  [{leaf.source}, {leaf.grade.replace('_', '-')}, {leaf.date}{'; ' + note if note else ''}]"


def _in(text: str) -> str:
    return f"  ({text})" if text else ""


def _line(label: str, text: str) -> str:
    return f"{label:<{WIDTH - 1}} {text}"
