"""Plots: what is drawn are the document's figures, with units, source line and watermark, in the right kind of file."""

import importlib.util
import json
import os
import subprocess
import sys
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from cost_case import make_inputs, make_measured
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wattbench.harness.cli.checking import checked, claims_figure
from wattbench.harness.cli.group import bench
from wattbench.results.economics.bill import at_prices, bill_of
from wattbench.results.economics.breakeven import against_api, against_rent, hour_parts
from wattbench.results.economics.comparing import Candidate
from wattbench.results.economics.inputs import parse_prior
from wattbench.results.economics.ladder import ladder_of
from wattbench.results.economics.measured import LatencyQuantile, Measured, Quantity
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.sensitivity import sensitivity_of
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.files import write_result
from wattbench.results.plots.bill import plot_bill
from wattbench.results.plots.breakeven import plot_breakeven
from wattbench.results.plots.pareto import Offer, offers_of, pareto_front, plot_pareto
from wattbench.results.plots.sheet import WATERMARK, figure_bytes, origins
from wattbench.results.plots.tornado import plot_tornado
from wattbench.results.plots.waterfall import plot_waterfall

EXAMPLES = Path(__file__).parents[1] / "examples" / "results"
CHAT = str(EXAMPLES / "qwen3-0.6b-chat_cpu_bfloat16.json")
PRICED = ["--price-usd", "900", "--residual-usd", "0", "--life-years", "4", "--interest-rate", "0.05"]
WATTS = ["--usd-per-kwh", "0.15", "--pue", "1.2", "--active-w", "60", "--idle-w", "20", "--utilisation", "0.3"]
OWNED = [*PRICED, *WATTS]
LINES = {
    "bill": ["cost", "bill", CHAT, *OWNED, "--queries-per-day", "1000", "--at", "0.001"],
    "sensitivity": ["cost", "sensitivity", CHAT, *OWNED, "--prior", "use.utilisation=0.1,0.3,0.6", "--samples", "100"],
    "query": ["cost", "query", CHAT, *OWNED],
    "breakeven": ["cost", "breakeven", CHAT, *OWNED, "--api-usd-per-query", "0.001", "--usd-per-h", "0.25"],
    "compare": ["cost", "compare", CHAT, CHAT, *OWNED, "--by", "reservation"],
}
"""A command line of each command that draws, but for claims, which need a device that is listed."""

EVENING = "2026-11-22T18:00:00Z"


def axes_of(figure: Figure) -> Axes:
    """Return a figure's only axes."""
    (axes,) = figure.axes
    return axes


def bars_of(figure: Figure) -> list[Rectangle]:
    """Return the bars in the order of drawing."""
    groups = [group for group in axes_of(figure).containers if isinstance(group, BarContainer)]
    return [bar for group in groups for bar in group.patches]


def words_of(figure: Figure) -> str:
    """Return the text outside of the axes: notes, source line, watermark."""
    return "\n".join(text.get_text() for text in figure.texts)


def dated(**overrides: Any) -> Measured:  # any: values of any field
    """Return the plain case, measured one evening."""
    return make_measured(measured_at=EVENING, **overrides)


def made_bill(measured: Measured) -> Figure:
    """Return the plot of a bill of 10,000 queries a day, and at a tenth of a cent."""
    inputs = make_inputs(workload__queries_per_day=10_000)
    return plot_bill(bill_of(measured, inputs), at_prices(10_000, [0.001]), 10_000, origins([measured]))


def spans(figure: Figure) -> list[float]:
    """Return both ends of the horizontal error bars, flat."""
    groups = [group for group in axes_of(figure).containers if isinstance(group, ErrorbarContainer)]
    return [
        float(x) for group in groups for lines in group.lines[2] for part in lines.get_segments() for x in part[:, 0]
    ]


@pytest.mark.parametrize("name", LINES)
def test_every_command_draws_both_kinds_of_file(name: str, tmp_path: Path) -> None:
    """--plot, given twice, makes a PNG and an SVG beside the usual JSON, which stays clean."""
    png, svg = tmp_path / "new" / "a.PNG", tmp_path / "a.svg"
    done = CliRunner().invoke(bench, [*LINES[name], "--json", "--plot", str(png), "--plot", str(svg)])

    assert 0 == done.exit_code, done.exception
    assert json.loads(done.stdout)["kind"] == "derived"
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert xml.etree.ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert [f"plot written: {png}", f"plot written: {svg}"] == done.stderr.splitlines()


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_figures_give_the_same_bytes(form: str) -> None:
    """A plot drawn twice is one file: no date, no random names."""
    first, second = (figure_bytes(made_bill(dated()), form) for _ in range(2))

    assert first == second
    assert b"dc:date" not in first


def test_a_users_own_style_changes_nothing(tmp_path: Path) -> None:
    """A matplotlibrc of the user's, and a back end that needs a display, leave the bytes as they are."""
    own = tmp_path / "matplotlibrc"
    own.write_text("font.size: 20\nsvg.hashsalt: mine\nbackend: TkAgg\n")
    for name, where in (("plain", {}), ("own", {"MATPLOTLIBRC": str(own), "MPLBACKEND": "TkAgg"})):
        line = [*LINES["query"], "--plot", str(tmp_path / f"{name}.svg")]
        code = f"import sys; from wattbench.harness.cli.main import main; sys.argv[1:] = {line!r}; main()"
        quiet = {word: value for word, value in os.environ.items() if word not in ("MPLBACKEND", "DISPLAY")}
        subprocess.run([sys.executable, "-P", "-c", code], env={**quiet, **where}, capture_output=True, check=True)

    assert (tmp_path / "plain.svg").read_bytes() == (tmp_path / "own.svg").read_bytes()


def test_a_bill_is_drawn_as_computed() -> None:
    """Bars are the bill's amounts, error bars their expanded uncertainty, the axis is in USD a year."""
    bill, figure = bill_of(dated(), make_inputs(workload__queries_per_day=10_000)), made_bill(dated())
    assert bill.reservation is not None
    assert bill.whole is not None
    own = [bill.usage, bill.reservation, bill.whole]
    ends = [end for m in own for end in (m.usd * (1 - 2 * (m.u_rel or 0)), m.usd * (1 + 2 * (m.u_rel or 0)))]

    assert [*(money.usd for money in own), 3650.0] == pytest.approx([bar.get_width() for bar in bars_of(figure)])
    assert ends == pytest.approx(spans(figure))
    assert "USD a year" == axes_of(figure).get_xlabel()
    assert bars_of(figure)[-1].get_hatch(), "stated prices differ without colour"


def test_a_bill_without_a_result_names_no_measurement() -> None:
    """Stated prices alone have no digest, and the source line says so."""
    figure = plot_bill(None, at_prices(1e6, [0.01, 0.001]), 1e6, ())

    assert [3.65e6, 0.365e6] == pytest.approx([bar.get_width() for bar in bars_of(figure)])
    assert "no measurement: stated prices alone" in words_of(figure)


def test_a_tornado_is_drawn_as_computed() -> None:
    """Each bar goes from the most likely figure to its end, widest on top; low and high differ without colour."""
    priors = [
        parse_prior(p, v, "--prior") for p, v in (("power.pue", (1.1, 1.2, 2.0)), ("use.utilisation", (0.1, 0.5, 0.9)))
    ]
    inputs = replace(make_inputs(), priors={prior.path: prior for prior in priors})
    known = sensitivity_of(dated(), inputs, samples=200, seed=1)
    figure = plot_tornado(known, origins([dated()]))
    central = next(spread.central for spread in known.spreads if spread.name == known.figure)
    bars = bars_of(figure)

    assert [end for bar in known.bars for end in (bar.at_low, bar.at_high)] == pytest.approx(
        [central + bar.get_width() for bar in bars]
    )
    assert {central} == {round(bar.get_x(), 15) if bar.get_x() != central else central for bar in bars}
    assert [bar.name for bar in known.bars] == [label.get_text() for label in axes_of(figure).get_yticklabels()]
    assert bars[0].get_hatch() != bars[1].get_hatch()
    assert axes_of(figure).get_xlabel().endswith(", USD")


def test_a_waterfall_is_drawn_as_computed() -> None:
    """Steps are the ladder's differences, their tops its energies, each with how it is known; absent ones are named."""
    measured, inputs = dated(), make_inputs()
    ladder = ladder_of(measured, inputs)
    figure = plot_waterfall(ladder, measured, origins([measured]))
    known = [row.energy_j for row in ladder.energies if row.energy_j is not None]
    bars = bars_of(figure)

    assert known == pytest.approx([bar.get_y() + bar.get_height() for bar in bars])
    assert [0.0, *known[:-1]] == pytest.approx([bar.get_y() for bar in bars])
    assert "device: absent" in words_of(figure)
    assert "embodied: absent" in words_of(figure)
    assert "machine\nmeasured" in [label.get_text() for label in axes_of(figure).get_xticklabels()]
    assert axes_of(figure).get_ylabel().endswith(", J")


def test_a_ladder_without_rungs_is_refused() -> None:
    """Where no watt is known there is no waterfall, and the advice names the flag."""
    measured = dated(powers=(), no_power_reason="no sensor")
    with pytest.raises(UsageError, match="--active-w"):
        plot_waterfall(ladder_of(measured, make_inputs()), measured, origins([measured]))


def test_a_break_even_is_drawn_as_computed() -> None:
    """The curve meets each rival at its break-even; both ends of the error bar are the expanded uncertainty."""
    measured, inputs = dated(), make_inputs(api__usd_per_query=0.001, cloud__usd_per_h=30.0)
    api, rent = against_api(measured, inputs), against_rent(measured, inputs)
    assert api is not None
    assert api.utilisation is not None
    assert api.u_rel is not None
    assert rent is not None
    assert rent.utilisation is not None
    figure = plot_breakeven(hour_parts(measured, inputs), measured, api, rent, origins([measured]))
    curve = axes_of(figure).lines[0]
    share, own = (list(map(float, data)) for data in curve.get_data())
    marks = {
        float(line.get_xdata()[0]): float(line.get_ydata()[0])
        for line in axes_of(figure).lines
        if len(line.get_xdata()) == 1
    }  # type: ignore[arg-type,index] # arrays

    assert query_cost(measured, make_inputs(use__utilisation=1.0)).usage.usd == pytest.approx(own[-1])
    assert 100 == pytest.approx(share[-1])
    assert 0.001 == marks[100 * api.utilisation]
    assert 30 / 36_000 == pytest.approx(marks[100 * rent.utilisation])
    assert 100 * api.utilisation * (1 + 2 * api.u_rel) == pytest.approx(spans(figure)[1])


def test_a_list_that_is_never_met_is_said_so() -> None:
    """Where the machine is dearer even at full work no point is drawn, and the note says it."""
    measured, inputs = dated(queries_per_s=Quantity(value=10.0, u_rel=None)), make_inputs(api__usd_per_query=1e-6)
    api = against_api(measured, inputs)
    figure = plot_breakeven(hour_parts(measured, inputs), measured, api, None, origins([measured]))

    assert [] == spans(figure)
    assert 2 == len(axes_of(figure).lines)
    assert "price list: never" in words_of(figure)
    assert "The result states no uncertainty" in words_of(figure)


def test_a_replacement_alone_has_no_curve() -> None:
    """Without a price of a query there is nothing to meet."""
    with pytest.raises(UsageError, match="leave --plot out"):
        plot_breakeven(hour_parts(dated(), make_inputs()), dated(), None, None, ())


def test_claims_are_drawn_as_computed(factories: ModuleType, tmp_path: Path) -> None:
    """One bar for each claim that was compared, its share in percent, its interval as error bar."""
    backend = replace(
        factories.make_backend(),
        mock=False,
        device="cuda:0",
        device_name="NVIDIA L4",
        precision_effective="bfloat16",
    )
    path = tmp_path / "l4.json"
    write_result(factories.make_result(backend=backend, doubts=()), path)
    found = checked([path], None, allow_invalid=False)
    known = [row for row in found[0].rows if row.share is not None]
    figure = claims_figure(found)

    assert len(known) > 1
    assert [100 * (row.share or 0) for row in known] == pytest.approx([bar.get_width() for bar in bars_of(figure)])
    assert [100 * end for row in known for end in (row.low, row.high) if end is not None] == pytest.approx(
        spans(figure)
    )
    assert "%" in axes_of(figure).get_xlabel()
    assert "claimed by" in words_of(figure)


def test_claims_that_none_could_meet_are_refused() -> None:
    """An unknown device has no bars; the error says that it is unknown."""
    done = CliRunner().invoke(bench, ["vendor", "check", CHAT, "--plot", "unmade.png"])

    assert isinstance(done.exception, UsageError)
    assert "unknown device" in str(done.exception)
    assert not Path("unmade.png").exists()


def test_offers_are_drawn_as_computed() -> None:
    """A point is 1 / median TPOT and the price of a million output tokens, idle hours paid where asked."""
    tpot = LatencyQuantile(name="latency.tpot", q=0.5, value_s=0.02)
    candidates = [
        Candidate(measured=dated(latencies=(tpot,)), inputs=make_inputs()),
        Candidate(measured=dated(), inputs=make_inputs()),
    ]
    cost = query_cost(candidates[0].measured, make_inputs())
    assert cost.reservation is not None
    assert cost.usd_per_million_output is not None
    idle = cost.reservation.usd / cost.usage.usd
    figure = plot_pareto(offers_of(candidates, ["a", "b"], ["", ""], "reservation"), "reservation", origins([dated()]))
    (point,) = [
        line for line in axes_of(figure).lines if line.get_label() != "Pareto front" and line.get_marker() == "o"
    ]

    assert [[50.0], [pytest.approx(cost.usd_per_million_output * idle)]] == [list(data) for data in point.get_data()]
    assert "not drawn: b: no time per output token" in words_of(figure)
    assert axes_of(figure).get_ylabel().startswith("USD per million output tokens")


def test_an_offer_that_breaks_a_promise_is_not_drawn(tmp_path: Path) -> None:
    """Offers stand at one service level; where none keeps it the refusal says why."""
    line = [*LINES["compare"], "--slo-latency-s", "0.001", "--slo-late-share", "0.1"]
    done = CliRunner().invoke(bench, [*line, "--plot", str(tmp_path / "a.png")])

    assert isinstance(done.exception, UsageError), done.exception
    assert "promise" in str(done.exception)


def test_the_front_holds_what_nothing_beats() -> None:
    """Of four offers the one that is dearer and slower is off the front, and so is a tie that is dearer."""
    offers = [
        Offer(label=label, tokens_per_s=rate, usd_per_million=usd, u_rel=None, reason="")
        for label, rate, usd in (("slow", 10.0, 1.0), ("beaten", 15.0, 3.0), ("fast", 20.0, 2.0), ("tie", 20.0, 2.5))
    ]

    figure = plot_pareto(offers, "usage", ())
    front = next(line for line in axes_of(figure).lines if line.get_label() == "Pareto front")

    assert ["slow", "fast"] == [offer.label for offer in pareto_front(offers)]
    assert [[10.0, 20.0], [1.0, 2.0]] == [list(data) for data in front.get_data()]


def test_energy_has_no_price_to_plot() -> None:
    """A comparison by energy is no plot of money, and says what is."""
    with pytest.raises(UsageError, match="--by usage"):
        plot_pareto((), "energy", ())


def test_the_source_line_has_digest_and_day() -> None:
    """Twelve digits of the result's digest and the day of the measurement stand under the plot."""
    assert "sha256:000000000000 (2026-11-22)" in words_of(made_bill(dated()))


@pytest.mark.parametrize(("warnings", "marked"), [((), False), (("mock: the device is a mock",), True)])
def test_what_is_not_to_be_quoted_is_marked(warnings: tuple[str, ...], marked: bool) -> None:
    """An invalid result's plot has the watermark and the reason; a valid one's has neither."""
    words = words_of(made_bill(dated(warnings=warnings)))

    assert marked == (WATERMARK in words.split("\n"))
    assert marked == ("NOT TO BE QUOTED: mock: the device is a mock" in words)


def test_foreign_text_is_drawn_as_it_is(tmp_path: Path) -> None:
    """Dollar signs are no formula, and control characters and other scripts break no file."""
    measured = dated(device="a $x^$ \x00\x1b board 加速器", queries_per_s=Quantity(value=10.0, u_rel=None))
    svg = figure_bytes(plot_waterfall(ladder_of(measured, make_inputs()), measured, origins([measured])), "svg")

    assert xml.etree.ElementTree.fromstring(svg).tag.endswith("svg")


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.png.txt"])
def test_other_suffixes_are_refused_before_anything_is_read(name: str) -> None:
    """What is not drawn is refused with the two that are."""
    done = CliRunner().invoke(bench, ["cost", "query", "/nowhere.json", "--plot", name])

    assert isinstance(done.exception, UsageError)
    assert f"--plot {name} cannot be drawn" in str(done.exception)
    assert ".png or .svg" in str(done.exception)


def test_a_place_that_takes_no_file_is_explained(tmp_path: Path) -> None:
    """A folder that is a file: what, why, what to do; nothing is printed that was not plotted."""
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(bench, [*LINES["query"], "--plot", str(tmp_path / "file" / "a.png")])

    assert isinstance(done.exception, StorageError)
    assert "Cannot write" in str(done.exception)
    assert "--plot" in str(done.exception)
    assert "" == done.stdout


def test_a_comparison_of_results_has_no_plot() -> None:
    """Only --claims draws; --plot without it is refused."""
    done = CliRunner().invoke(bench, ["compare", CHAT, CHAT, "--plot", "unmade.png"])

    assert isinstance(done.exception, UsageError)
    assert "--claims" in str(done.exception)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib one sentence has the pip command."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = CliRunner().invoke(bench, [*LINES["query"], "--plot", "unmade.png"])

    assert isinstance(done.exception, UsageError)
    assert "pip install 'wattbench[plots]'" in str(done.exception)


def test_no_plot_no_library() -> None:
    """A command without --plot loads no matplotlib."""
    code = (
        "import sys; from click.testing import CliRunner; from wattbench.harness.cli.group import bench; "
        f"done = CliRunner().invoke(bench, {LINES['query']!r}); print(done.exit_code, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert importlib.util.find_spec("matplotlib") is not None
    assert "0 False" == done.stdout.strip()
