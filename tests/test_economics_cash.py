"""Payback over a machine's life: what is summed up, what it is worth today, and what the command says of it."""

import json
import math
import xml.etree.ElementTree
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.cli.group import bench
from wattbench.results.economics.breakeven import against_api, against_rent
from wattbench.results.economics.cash import cash_curve, payback_months
from wattbench.results.economics.replacing import replacement_of
from wattbench.results.errors import UsageError

CHAT = str(Path(__file__).parents[1] / "examples" / "results" / "qwen3-0.6b-chat_cpu_bfloat16.json")
OWNED = ["--price-usd", "900", "--residual-usd", "90", "--life-years", "4", "--interest-rate", "0.08"]
WATTS = ["--usd-per-kwh", "0.15", "--pue", "1.2", "--active-w", "60", "--idle-w", "20", "--utilisation", "0.3"]
OLD = ["--old-opex-usd-per-year", "5", "--queries-per-day", "500"]
LINE = ["cost", "breakeven", CHAT, *OWNED, *WATTS]


def test_three_years_by_hand() -> None:
    """1,200 USD that save 100 a month for 3 years and leave 60: the sum, and its worth at 1 % a month."""
    rate = math.pow(1.01, 12) - 1
    points = cash_curve(capital_usd=1200.0, saved_usd_per_month=100.0, rate=rate, life_years=3.0, residual_usd=60.0)
    worth = sum(100 / 1.01**month for month in range(1, 37)) + 60 / 1.01**36 - 1200

    assert [*range(37)] == [point.month for point in points]
    assert (-1200, -1200) == (points[0].summed_usd, points[0].npv_usd)
    assert 0 == points[12].summed_usd
    assert 36 * 100 + 60 - 1200 == pytest.approx(points[-1].summed_usd)
    assert worth == pytest.approx(points[-1].npv_usd)


@given(
    capital=st.floats(min_value=1, max_value=1e7),
    saved=st.floats(min_value=1, max_value=1e6),
    rate=st.floats(min_value=0.0, max_value=0.5),
)
def test_the_curve_crosses_zero_when_the_purchase_is_paid(capital: float, saved: float, rate: float) -> None:
    """Before the discounted payback the net present value is below zero, after it above; interest makes it less."""
    found = payback_months(machines=1, capital_usd=capital, saved_usd_per_month=saved, rate=rate)
    points = cash_curve(capital_usd=capital, saved_usd_per_month=saved, rate=rate, life_years=20, residual_usd=0)
    paid, scale = found.months_discounted, capital + 240 * saved

    assert all(point.npv_usd <= point.summed_usd + 1e-9 * scale for point in points)
    for point in points:
        if paid is None or point.month < paid - 1e-6:
            assert point.npv_usd < 1e-6 * scale
        elif point.month > paid + 1e-6:
            assert point.npv_usd > -1e-6 * scale


def test_no_life_is_refused() -> None:
    """A machine that lives for no time has no curve."""
    with pytest.raises(ValueError, match="lives for some time"):
        cash_curve(capital_usd=1, saved_usd_per_month=1, rate=0, life_years=0, residual_usd=0)


def test_each_comparison_has_its_curve(cost_case: ModuleType) -> None:
    """A stream against a list, a rent at a utilisation and an old machine: each is followed over four years."""
    measured = cost_case.make_measured()
    inputs = cost_case.make_inputs(
        api__usd_per_query=0.01,
        cloud__usd_per_h=30.0,
        workload__queries_per_day=432_000.0,
        old__resale_usd=0.0,
        old__opex_usd_per_year=0.0,
    )
    api, rent, new = (
        against_api(measured, inputs),
        against_rent(measured, inputs),
        replacement_of(measured, measured, inputs),
    )
    assert api is not None
    assert rent is not None
    paybacks = [api.payback, rent.payback, new.payback]

    assert [48] * 3 == [payback.curve[-1].month for payback in paybacks if payback is not None]


def test_the_rents_payback_is_its_hours_at_that_share(cost_case: ModuleType) -> None:
    """The months to pay are the working hours to pay, spread over the calendar at the given share."""
    rent = against_rent(cost_case.make_measured(), cost_case.make_inputs(cloud__usd_per_h=30.0))
    blind = against_rent(cost_case.make_measured(), cost_case.make_inputs(cloud__usd_per_h=30.0, use__utilisation=None))
    assert rent is not None
    assert rent.payback is not None
    assert rent.hours is not None
    assert blind is not None

    assert rent.hours / 0.5 / 730 == pytest.approx(rent.payback.months)
    assert blind.payback is None


def test_the_table_has_a_row_a_year() -> None:
    """The text shows the end of each year, plain and as net present value, and JSON has every month."""
    line = [*LINE, "--usd-per-h", "0.25"]
    text = CliRunner().invoke(bench, line, catch_exceptions=False).stdout
    found = json.loads(CliRunner().invoke(bench, [*line, "--json"], catch_exceptions=False).stdout)
    curve = found["rent"]["payback"]["curve"]

    assert 49 == len(curve)
    rows = text[text.index("net present value USD") :].splitlines()[1:5]
    assert ["1 year", "2 years", "3 years", "4 years"] == [" ".join(row.split()[:2]) for row in rows]
    assert float(rows[-1].split()[-1].replace(",", "")) == pytest.approx(curve[-1]["npv_usd"], rel=1e-3)


@pytest.mark.parametrize(
    ("more", "title"),
    [
        (["--usd-per-h", "0.25", "--curve", "payback"], "Payback"),
        (["--usd-per-h", "0.25"], "Break-even"),
        (
            ["--replace", CHAT, "--old-active-w", "90", "--old-idle-w", "40", "--old-resale-usd", "10", *OLD],
            "Payback",
        ),
    ],
)
def test_the_plot_is_the_one_asked_for(tmp_path: Path, more: list[str], title: str) -> None:
    """--curve says which; without it a price or a rent has the break-even curve, a replacement alone its payback."""
    place = tmp_path / "new" / "curve.svg"
    done = CliRunner().invoke(bench, [*LINE, *more, "--plot", str(place)], catch_exceptions=False)
    other = tmp_path / "other.svg"
    again = CliRunner().invoke(bench, [*LINE, *more, "--curve", title.lower().replace("-", ""), "--plot", str(other)])

    assert 0 == done.exit_code, done.output
    assert xml.etree.ElementTree.parse(place).getroot().tag.endswith("svg")
    assert 0 == again.exit_code
    assert place.read_bytes() == other.read_bytes()


def test_a_payback_that_is_not_known_is_not_plotted(tmp_path: Path) -> None:
    """Without a stream of queries there is no payback against a list, and the error says what to give."""
    line = [*LINE, "--api-usd-per-query", "0.01", "--curve", "payback", "--plot", str(tmp_path / "x.png")]
    done = CliRunner().invoke(bench, line)

    assert isinstance(done.exception, UsageError)
    assert "--queries-per-day" in str(done.exception)
