"""Inputs that no figure needed are told, in text and in JSON: nobody shall think that they counted."""

import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.cost.lines import input_lines
from wattbench.harness.cli.group import bench
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.replacing import replacement_of
from wattbench.results.errors import UsageError

CHAT = str(Path(__file__).parents[1] / "examples" / "results" / "qwen3-0.6b-chat_cpu_bfloat16.json")
OWNED = ["--price-usd", "900", "--residual-usd", "0", "--life-years", "4", "--interest-rate", "0.05"]
WATTS = ["--usd-per-kwh", "0.15", "--pue", "1.2", "--idle-w", "20", "--utilisation", "0.3"]


def test_a_host_beside_no_measured_device_is_told() -> None:
    """--host-w completes a measured device; this result has none, so that nothing of it counts, and it is said."""
    line = ["cost", "query", CHAT, *OWNED, *WATTS, "--active-w", "60", "--host-w", "100"]
    text = CliRunner().invoke(bench, line, catch_exceptions=False).stdout
    plain = json.loads(CliRunner().invoke(bench, [*line, "--json"], catch_exceptions=False).stdout)["inputs"]

    assert "power.host_w                  100  (not used here, --host-w)" in text
    assert ["power.host_w"] == [row["path"] for row in plain if not row["used"]]


def test_declared_watts_beside_measured_ones_are_told(cost_case: ModuleType) -> None:
    """What a meter saw at the plug wins, at work and at rest, and the declared watts are not used."""
    inputs = cost_case.make_inputs(power__active_w=100.0, power__idle_w=50.0, power__host_w=10.0)
    query_cost(cost_case.make_measured(), inputs)
    unused = [line.split()[0] for line in input_lines(inputs) if "not used here" in line]

    assert ["power.active_w", "power.idle_w", "power.host_w"] == sorted(unused, key=unused.index)


def test_energy_prices_without_energy_are_told(cost_case: ModuleType) -> None:
    """Without any power there is no energy to price, so neither its price nor the overhead counts."""
    inputs = cost_case.make_inputs()
    query_cost(cost_case.make_measured(powers=(), no_power_reason="no sensor"), inputs)

    assert {"power.usd_per_kwh", "power.pue"} == set(inputs.given) - inputs.used


def test_both_machines_watts_count_in_a_replacement(cost_case: ModuleType) -> None:
    """The old machine's own watts are used under their own names, the new one's under theirs."""
    blind = cost_case.make_measured(powers=(), no_power_reason="x")
    inputs = cost_case.make_inputs(
        workload__queries_per_day=432_000.0,
        power__active_w=1000.0,
        power__idle_w=100.0,
        old__active_w=3000.0,
        old__idle_w=500.0,
        old__resale_usd=0.0,
        old__opex_usd_per_year=0.0,
    )
    replacement_of(blind, blind, inputs)

    assert set() == set(inputs.given) - inputs.used


def test_compare_tells_it_for_each_machine() -> None:
    """Each candidate's inputs carry the mark."""
    line = [
        "cost",
        "compare",
        CHAT,
        CHAT,
        "--by",
        "usage",
        *OWNED,
        *WATTS,
        "--active-w",
        "60",
        "--host-w",
        "9",
        "--json",
    ]
    found = json.loads(CliRunner().invoke(bench, line, catch_exceptions=False).stdout)["candidates"]

    assert [["power.host_w"]] * 2 == [[row["path"] for row in one if not row["used"]] for one in found]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("use:\n  utilisation: 40", "a percentage was given where a share is meant: 40 % is 0.4"),
        ("hardware:\n  interest_rate: 5", "5 % is 0.05"),
        ("power:\n  pue: 120", "a percentage was given where a ratio is meant: 120 % is 1.2"),
        ("use:\n  utilisation: 4000", r"a share is meant\n"),
        ("power:\n  usd_per_kwh: {value: 0.1, date: yesterday}", "the date of power.usd_per_kwh is 'yesterday'"),
        ("power:\n  usd_per_kwh: {value: 0.1, date: '2026-13-01'}", "which is no day"),
        ("power:\n  usd_per_kwh: {value: 0.1, date: 2026}", "Write it as YYYY-MM-DD"),
    ],
)
def test_a_slip_is_named_by_the_users_own_figure(field: str, words: str) -> None:
    """The suspicion speaks of the number that was given, and a date has to be a day."""
    with pytest.raises(UsageError, match=words):
        parse_inputs(field, {})


@pytest.mark.parametrize("date", ["2026-10-01", "'2026-10-01'", "2026-10-01T12:00:00Z"])
def test_a_day_is_kept_as_given(date: str) -> None:
    """A date in ISO form stands beside its value."""
    inputs = parse_inputs(f"power:\n  usd_per_kwh: {{value: 0.1, date: {date}}}", {})

    assert "2026-10-01" == str(inputs.given["power.usd_per_kwh"].date)[:10]
