"""`bench report` and the pages it writes, as text: what stands in them, what is refused, and how."""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import index_case
import pages
import pytest
from click.testing import CliRunner, Result
from pages import subject, whole

from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.document import ErrorRecord
from wattbench.results.energy import Polls
from wattbench.results.errors import DocumentError, TamperedError, UsageError
from wattbench.results.files import stored_id, write_result
from wattbench.results.metrics import Interval, QuantileMetric
from wattbench.results.report.blocks import Cards, Download, Page, Table
from wattbench.results.report.headline import figures_section
from wattbench.results.report.html import page_html
from wattbench.results.report.origins import PLAIN_MAX_BYTES
from wattbench.results.report.single import single_page
from wattbench.results.report.subject import Trust
from wattbench.results.report.vega import svg_of
from wattbench.results.report.words import spread
from wattbench.results.sidecar import write_with_polls

pytest.importorskip("vl_convert", reason="needs vl-convert: pip install 'wattbench[report]'")

SIZE_MAX_BYTES = 300_000
"""The goal for a page without traces."""

COST = "cloud:\n  usd_per_h: {value: 2.5, source: a price list}\n"


def call(*arguments: str | Path) -> Result:
    """Run `bench report` in this process; its errors rise."""
    words = ["report", *map(str, arguments)]
    return CliRunner().invoke(bench, words, standalone_mode=False, catch_exceptions=False)


def page_of(text: Callable[[Path], object], tmp_path: Path) -> str:
    """Return the page of a file that `text` writes to a path."""
    path, page = tmp_path / "run.json", tmp_path / "page.html"
    text(path)
    call(path, "-o", page)
    return page.read_text()


def test_columns_that_would_be_empty_are_left_out(factories: ModuleType) -> None:
    """Without a figure of energy the table of all figures has no columns of scopes and uncertainties."""
    result = factories.make_result()
    metrics = tuple(metric for metric in result.summary.metrics if metric.scope is None)
    bare = replace(result, summary=replace(result.summary, metrics=metrics))
    heads = []
    for document in (result, bare):
        table = figures_section(document).blocks[0]
        assert isinstance(table, Table)
        heads.append([column.name.partition(" ")[0].rstrip(",") for column in table.columns])

    assert ["figure", "scope", "value", "unit", "interval", "absolute", "comparing", "method"] == heads[0]
    assert ["figure", "value", "unit", "interval", "method"] == heads[1]
    assert {5} == {len(row) for row in table.rows}


@pytest.mark.parametrize("path", pages.EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_a_small_page(path: Path, tmp_path: Path) -> None:
    """The examples' pages keep to 300 kB, say their verdict before any figure, and name their digest."""
    call(path, "-o", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert len(text.encode()) <= SIZE_MAX_BYTES
    assert text.index('id="verdict"') < text.index('id="figures"') < text.index('id="raw"')
    assert stored_id(path) in text
    assert "not verified" in text


def test_the_same_result_has_the_same_page(factories: ModuleType) -> None:
    """A page is made of its document alone."""
    one, two = (page_html(single_page(subject(whole(factories)), pages.VERSION)) for _ in range(2))

    assert one == two


def test_the_policy_allows_what_is_in_the_page_by_its_digest(factories: ModuleType) -> None:
    """Nothing is loaded, and each script and style that runs has its digest in the policy."""
    text = page_html(single_page(subject(whole(factories, polls_hz=40.0)), pages.VERSION))
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0].replace("&#39;", "'")
    running = [
        *re.findall(r"<script>(.*?)</script>", text, re.DOTALL),
        *re.findall(r"<style>(.*?)</style>", text, re.DOTALL),
    ]
    digests = {base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in running}

    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert digests == set(re.findall(r"'sha256-([^']+)'", policy))
    assert 4 == len(running)


def test_every_chart_brings_its_spec(factories: ModuleType) -> None:
    """The JSON beside a chart is the spec that it was drawn from."""
    page = single_page(subject(whole(factories)), pages.VERSION)
    specs = re.findall(r'<script type="application/json" class="spec">(.*?)</script>', page_html(page), re.DOTALL)

    assert [chart.spec for chart in page.charts()] == [json.loads(each) for each in specs]
    assert {"power-chart", "throughput-chart", "roofline-chart", "ladder-chart", "phases-chart"} <= {
        chart.key for chart in page.charts()
    }


def test_figures_stand_with_both_uncertainties(factories: ModuleType, tmp_path: Path) -> None:
    """The headline has intervals and k=2 uncertainties, the ladder has each scope with its boundary."""
    text = page_of(lambda path: write_result(whole(factories), path), tmp_path)

    assert "uncertainty (k=2): ± 5.8 % absolute, ± " in text
    assert "whole machine at the wall socket" in text
    assert "the accelerator&#39;s board, without the host" in text


def test_an_interval_is_said_in_the_unit_of_its_figure(factories: ModuleType) -> None:
    """Shares stand in per cent with their intervals, bytes with a prefix; every other interval in the figure's unit."""
    text = page_html(single_page(subject(whole(factories)), "1"))

    assert ">0.08 % to 0.08 % (93.75 %)<" in text
    assert "150.5 (93.75 %)" in text
    assert "1 kB to 2 MB (95 %)" == spread(Interval(low=1000.0, high=2e6, level=0.95, method="made up"), "By")


def test_every_tick_of_ratios_has_its_number(tmp_path: Path) -> None:
    """The axis of ratios is labelled on both sides of 1, though it is logarithmic."""
    for name, factor in (("a", 1.0), ("b", 1.2)):
        write_result(index_case.make_gpu_result(factor=factor), tmp_path / f"{name}.json")
    call(tmp_path / "a.json", tmp_path / "b.json", "-o", tmp_path / "page.html", "--force")
    drawing = re.search(r"<svg.*?ratio to the first.*?</svg>", (tmp_path / "page.html").read_text(), re.DOTALL)

    assert drawing is not None
    assert {">0.85<", ">0.9<", ">1<", ">1.1<"} <= set(re.findall(r">[0-9.]+<", drawing[0]))


@pytest.mark.parametrize(
    ("factor", "labels"), [(12.0, ["0.1", "0.2", "0.5", "1", "2", "5", "10"]), (80.0, ["0.1", "1", "10"])]
)
def test_a_long_axis_of_ratios_has_few_ticks(tmp_path: Path, factor: float, labels: list[str]) -> None:
    """Far ratios have ticks whose numbers do not stand upon each other."""
    for name, each in (("a", 1.0), ("b", factor)):
        write_result(index_case.make_gpu_result(factor=each), tmp_path / f"{name}.json")
    call(tmp_path / "a.json", tmp_path / "b.json", "-o", tmp_path / "page.html", "--force")
    drawing = re.search(r"<svg.*?ratio to the first.*?</svg>", (tmp_path / "page.html").read_text(), re.DOTALL)

    assert drawing is not None
    assert labels == re.findall(r">([0-9.]+)<", drawing[0])


def test_what_is_not_known_says_why(tmp_path: Path) -> None:
    """An example without a sensor has no watts, and each place where they would stand gives the reason."""
    call(pages.EXAMPLES[0], "-o", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert "No trace: " in text
    assert "No energy is known: " in text
    assert '<dd class="missing">not known: ' in text


def test_an_invalid_result_is_marked_on_its_page(factories: ModuleType, tmp_path: Path) -> None:
    """A mock's page is written, under the mark that forbids quoting it."""
    text = page_of(lambda path: write_result(factories.make_result(), path), tmp_path)

    assert text.index("NOT TO BE QUOTED") < text.index('id="verdict"')
    assert ">MOCK<" in text
    assert "mock: the backend is a mock" in text


def test_a_run_that_ended_early_says_where(factories: ModuleType, tmp_path: Path) -> None:
    """A run without a summary has a page with its error first."""
    error = ErrorRecord(
        kind="DeviceError",
        what="The device fell off",
        why="it is gone",
        remedy="Look.",
        phase="prepare",
        worker_log_tail=None,
    )
    made = factories.make_result(status="error", error=error, summary=None, repeats=(), doubts=(), backend=None)
    text = page_of(lambda path: write_result(made, path), tmp_path)

    assert "in phase prepare: The device fell off: it is gone" in text
    assert "Nothing was measured, so there is no figure." in text


def test_an_imported_result_has_a_page(mlperf_run: ModuleType, tmp_path: Path) -> None:
    """The tool's own figures stand beside ours, and what it does not state is called so."""
    made = import_mlperf(mlperf_run.unpack(tmp_path))
    text = page_of(lambda path: write_result(made, path), tmp_path)

    assert ">IMPORTED<" in text
    assert "The tool&#39;s own figures" in text
    assert "not stated" in text
    assert 'id="power-chart"' in text
    assert "of a version not stated" not in text or made.source.version is None


def test_a_latency_without_quantiles_gets_no_median(mlperf_run: ModuleType, tmp_path: Path) -> None:
    """A latency of which a tool states the mean alone stands in table and card as such; no median is made up."""
    made = import_mlperf(mlperf_run.unpack(tmp_path))
    stated = QuantileMetric(name="latency.request", unit="s", method="stated", count=7, mean=0.25, quantiles=())
    page = single_page(subject(replace(made, latencies=(stated,))), "1")
    cards = [
        card.label
        for section in page.sections
        for block in section.blocks
        if isinstance(block, Cards)
        for card in block.cards
    ]

    assert ["Latency of a request, mean"] == [label for label in cards if "Latency" in label]
    assert "250.0 ms" in page_html(page)


def test_a_figure_that_no_axis_holds_is_named(factories: ModuleType) -> None:
    """A document may state 1e308: its page is refused with the chart's name and no traceback."""
    with pytest.raises(DocumentError, match="cannot be drawn: a figure is too large"):
        svg_of({"data": {"values": [{"x": 1e308 * 10}]}, "mark": "point"}, "latency-chart")


def test_the_trace_needs_its_own_file_of_polls(factories: ModuleType, tmp_path: Path) -> None:
    """Without the file of polls, or with another one, the page says so and draws no trace."""
    path, page = tmp_path / "run.json", tmp_path / "page.html"
    written = write_with_polls(whole(factories), path)
    assert written.power.polls_file is not None
    file = tmp_path / written.power.polls_file.name
    data = file.read_bytes()
    call(path, "-o", page)
    drawn = page.read_text()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    call(path, "-o", page)
    tampered = page.read_text()
    file.unlink()
    call(path, "-o", page)
    missing = page.read_text()

    assert 'id="power-chart"' in drawn
    assert file.name in drawn
    assert "No trace: The raw polls are not those of this result" in tampered
    assert "No trace: The raw polls are missing" in missing
    assert 'id="power-chart"' not in tampered + missing


def test_a_cost_is_derived_and_says_so(factories: ModuleType, tmp_path: Path) -> None:
    """With a cost file the page says what a query costs, by which inputs, and that none of it was measured."""
    write_result(whole(factories), tmp_path / "run.json")
    (tmp_path / "cost.yaml").write_text(COST)
    call(tmp_path / "run.json", "-o", tmp_path / "page.html", "--cost", tmp_path / "cost.yaml")
    text = (tmp_path / "page.html").read_text()

    assert "Cost (derived)" in text
    assert "2.5 USD (rented: rent 2.5 USD)" in text
    assert "a price list" in text


def test_a_cost_without_its_inputs_is_refused(factories: ModuleType, tmp_path: Path) -> None:
    """A missing price is asked for; no page is written."""
    write_result(whole(factories), tmp_path / "run.json")
    (tmp_path / "cost.yaml").write_text("")
    with pytest.raises(UsageError, match=r"cloud\.usd_per_h"):
        call(tmp_path / "run.json", "-o", tmp_path / "page.html", "--cost", tmp_path / "cost.yaml")

    assert not (tmp_path / "page.html").exists()


def test_several_results_are_held_against_the_first(factories: ModuleType, tmp_path: Path) -> None:
    """Their page has ratios with intervals, what differs, and both documents to save."""
    full = whole(factories)
    write_result(full, tmp_path / "one.json")
    write_result(replace(full, plan=replace(full.plan, batch=4)), tmp_path / "two.json")
    call(tmp_path / "one.json", tmp_path / "two.json", "-o", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert "2 results of llama-3.1-8b/chat" in text
    assert 'id="ratios-2"' in text
    assert "1.000" in text
    assert "batch" in text
    assert 2 == text.count('download="')


def test_ratios_are_drawn_where_they_are(tmp_path: Path) -> None:
    """A mark's figures are those of the table, however far from 1; nothing is moved to the edge."""
    smol, qwen = (next(p for p in pages.EXAMPLES if p.stem.startswith(name)) for name in ("smollm2", "qwen3"))
    call(qwen, smol, "-o", tmp_path / "page.html", "--force")
    text = (tmp_path / "page.html").read_text()
    spec = json.loads(re.findall(r'class="spec">(.*?)</script>', text, re.DOTALL)[0])
    rows = {row["figure"]: row for row in spec["data"]["values"]}

    assert rows["Requests"]["ratio"] > 4
    assert f">{rows['Requests']['ratio']:.3f}<" in text
    assert f"{rows['Requests']['low']:.3f} to {rows['Requests']['high']:.3f}" in text


def test_unlike_and_invalid_results_are_not_compared(factories: ModuleType, tmp_path: Path) -> None:
    """The rules are those of `bench compare`: refused, or marked where it was asked for."""
    full, page = whole(factories), tmp_path / "page.html"
    write_result(full, tmp_path / "one.json")
    write_result(replace(full, load=replace(full.load, name="other/chat")), tmp_path / "two.json")
    write_result(factories.make_result(), tmp_path / "mock.json")
    with pytest.raises(UsageError, match="not of the same thing"):
        call(tmp_path / "one.json", tmp_path / "two.json", "-o", page)
    with pytest.raises(DocumentError, match="mock is not compared"):
        call(tmp_path / "one.json", tmp_path / "mock.json", "-o", page)
    call(tmp_path / "one.json", tmp_path / "mock.json", "-o", page, "--force", "--allow-invalid")
    text = page.read_text()

    assert "NOT TO BE QUOTED" in text
    assert "not of the same thing: load" in text
    assert "mock: mock: the backend is a mock" in text


def test_an_altered_summary_has_no_page(factories: ModuleType, tmp_path: Path) -> None:
    """A figure that does not follow from the raw repeats is refused, its digest being right or not."""
    full = whole(factories)
    assert full.summary is not None
    first = full.summary.metrics[0]
    altered = replace(full.summary, metrics=(replace(first, value=99.0), *full.summary.metrics[1:]))
    write_result(replace(full, summary=altered), tmp_path / "run.json")
    with pytest.raises(TamperedError, match="does not follow"):
        call(tmp_path / "run.json", "-o", tmp_path / "page.html")


@pytest.mark.parametrize("name", ["page.json", "page"])
def test_a_page_is_called_html(name: str, tmp_path: Path) -> None:
    """Another suffix is refused before anything is read, so that no result is overwritten."""
    with pytest.raises(UsageError, match=r"ends in \.html"):
        call(tmp_path / "none.json", "-o", tmp_path / name)


@pytest.mark.parametrize(("module", "what"), [("jinja2", "Jinja2"), ("vl_convert", "vl-convert")])
def test_a_missing_extra_is_one_sentence(
    module: str, what: str, factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the answer names what is missing and the command that installs it."""
    write_result(whole(factories), tmp_path / "run.json")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"{what} is not installed\nInstall it: pip install 'wattbench\[report\]'"):
        call(tmp_path / "run.json", "-o", tmp_path / "page.html")


def test_machines_are_told_what_was_written(tmp_path: Path) -> None:
    """--json gives path, size, digest and the results' ids."""
    told = json.loads(call(pages.EXAMPLES[0], "-o", tmp_path / "page.html", "--json").output)
    data = (tmp_path / "page.html").read_bytes()

    assert "sha256:" + hashlib.sha256(data).hexdigest() == told["digest"]
    assert len(data) == told["size_bytes"]
    assert [stored_id(pages.EXAMPLES[0])] == told["of"]


def test_the_tier_of_trust_stands_at_the_head(factories: ModuleType) -> None:
    """Whoever makes a page says how far the result was checked."""
    trust = Trust(tier="signed", basis="by a key that is listed", tone="good")
    text = page_html(single_page(subject(whole(factories), trust=trust), pages.VERSION))

    assert '<span class="badge good" title="by a key that is listed">signed</span>' in text
    assert "not verified" not in text


def test_a_large_document_is_packed(factories: ModuleType) -> None:
    """Beyond its limit the document in the page is gzip, and says so in its name."""
    big = subject(whole(factories), data=b"[" + b"1," * PLAIN_MAX_BYTES + b"1]")
    found = [
        block for section in single_page(big, "1").sections for block in section.blocks if isinstance(block, Download)
    ]

    assert "made-up.json.gz" == found[0].name
    assert found[0].data is not None
    assert found[0].data[:2] == b"\x1f\x8b"


def test_a_drawing_that_holds_more_than_shapes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back from the drawing library is looked at before it goes into a page."""
    import vl_convert

    for inside in ("<script>1</script>", '<path onclick="1"/>', '<path style="x"/>', '<g href="x"/>'):
        drawn = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
        monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda *_a, drawn=drawn, **_k: drawn)
        with pytest.raises(ValueError, match="a chart may not"):
            svg_of({}, "key")


def test_no_chart_may_load_data() -> None:
    """A spec that names an address draws nothing and asks nobody."""
    spec = {"data": {"url": "https://example.org/a.json"}, "mark": "point", "encoding": {"x": {"field": "a"}}}
    with pytest.raises(ValueError, match=r"example\.org"):
        svg_of(spec, "key")


def test_a_page_without_sections_is_one() -> None:
    """The smallest page has its title and its policy."""
    text = page_html(Page(title="Nothing", subtitle="", badges=(), warnings=(), sections=(), foot=()))

    assert "<h1>Nothing</h1>" in text


def test_polls_in_the_document_are_named(factories: ModuleType, tmp_path: Path) -> None:
    """A document that keeps its polls says that they are in it."""
    made = whole(factories)
    assert isinstance(made.power.polls[0], Polls)

    assert "Its raw polls are in the document." in page_of(lambda path: write_result(made, path), tmp_path)
