"""Report pages in Chromium: nothing loaded, nothing broken, readable by everybody, and deaf to what documents say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pages
import pytest
from pages import HOSTILE, Look, subject, violations, visited, whole

from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.compare import ComparisonOptions
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.files import read_result
from wattbench.results.report.html import page_html
from wattbench.results.report.several import several_page
from wattbench.results.report.single import single_page

pytestmark = pages.needs_browser
pytest.importorskip("vl_convert", reason="needs vl-convert: pip install 'wattbench[report]'")

LIGHT, DARK, PHONE = Look(), Look(scheme="dark"), Look(width=360)
KINDS = ("whole", "long", "imported", "several", "example", "started", "hostile", "hostile-import", "hostile-several")
ALL: tuple[str, ...] = ()
COLOURS, SIZES = (
    ("color-contrast", "link-in-text-block"),
    ("target-size", "scrollable-region-focusable", "meta-viewport"),
)
COST = "cloud:\n  usd_per_h: {value: 2.5, source: for illustration}\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Run one Chromium for all tests of this file."""
    with pages.chromium() as running:
        yield running


@pytest.fixture(scope="module")
def files(factories: ModuleType, mlperf_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write one page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    full, imported = whole(factories), import_mlperf(mlperf_run.unpack(folder))
    bad = pages.hostile(full)
    options = ComparisonOptions(force=True)
    started = replace(full, status="started", verdict=None, summary=None, repeats=(), backend=None, ceilings=None)
    batches = replace(full, plan=replace(full.plan, batch=4))
    made = {
        "whole": single_page(subject(full, cost=parse_inputs(COST, {})), pages.VERSION),
        "long": single_page(subject(whole(factories, polls_hz=40.0)), pages.VERSION),
        "imported": single_page(subject(imported), pages.VERSION),
        "several": several_page([subject(full, "one"), subject(batches, "two")], options, pages.VERSION),
        "example": single_page(
            subject(read_result(pages.EXAMPLES[0]), data=pages.EXAMPLES[0].read_bytes()), pages.VERSION
        ),
        "started": single_page(subject(started), pages.VERSION),
        "hostile": single_page(subject(bad, HOSTILE, polls_reason=HOSTILE, notes={HOSTILE: (HOSTILE,)}), HOSTILE),
        "hostile-import": single_page(subject(pages.hostile(imported), HOSTILE), HOSTILE),
        "hostile-several": several_page([subject(full, HOSTILE), subject(bad, "b")], options, HOSTILE),
    }
    found = {name: folder / f"{name}.html" for name in made}
    for name, page in made.items():
        found[name].write_text(page_html(page), encoding="utf-8")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_nothing_breaks_nothing_and_fits(browser: Any, files: dict[str, Path], kind: str) -> None:
    """No request, no error, and no sideways scrolling of the page, in light and dark and on a phone."""
    for look in (LIGHT, DARK, PHONE):
        with visited(browser, files[kind], look) as visit:
            wide = visit.page.evaluate("document.documentElement.scrollWidth > innerWidth")

        assert [] == visit.requests
        assert [] == visit.errors
        assert not wide


@pytest.mark.parametrize(
    ("kind", "look", "rules"),
    [
        ("whole", LIGHT, ALL),
        ("whole", DARK, COLOURS),
        ("whole", PHONE, SIZES),
        ("imported", PHONE, ALL),
        ("several", LIGHT, ALL),
        ("several", DARK, COLOURS),
        ("several", PHONE, SIZES),
        ("long", DARK, ALL),
        ("started", LIGHT, ALL),
    ],
)
def test_axe_finds_nothing_wrong(
    browser: Any, files: dict[str, Path], kind: str, look: Look, rules: tuple[str, ...]
) -> None:
    """No rule of axe is broken; in other colours and widths those are asked that could come out otherwise."""
    with visited(browser, files[kind], look) as visit:
        found = violations(visit.page, rules)

    assert [] == found


@pytest.mark.parametrize("kind", ["hostile", "hostile-import", "hostile-several"])
def test_nothing_that_a_document_says_is_executed(browser: Any, files: dict[str, Path], kind: str) -> None:
    """Elements, scripts, attributes and template code in every text field stand there as text."""
    with visited(browser, files[kind]) as visit:
        page = visit.page
        text = page.inner_text("body")
        kinds = page.evaluate("[...document.scripts].map((each) => each.type)")
        foreign = page.evaluate("document.querySelectorAll('img, iframe, object, embed, form, main style').length")
        addresses = page.evaluate("[...document.links].map((each) => each.getAttribute('href').split(/[#,]/)[0])")
        handlers = page.evaluate(
            "[...document.querySelectorAll('*')].filter((each) => [...each.attributes].some((mine) =>"
            " mine.name.startsWith('on') || mine.name === 'style' && !each.closest('.plot, .tip'))).length"
        )
        broken = page.evaluate("window.broken")

    assert broken is None
    assert "{{ 7*191 }}" in text
    assert "1337" not in text
    assert "\u202e" not in text
    assert {"", "application/json"} == set(kinds)
    assert 1 == kinds.count("")
    assert 0 == foreign
    assert 0 == handlers
    assert set(addresses) <= {"", "data:application/json;base64", "data:application/gzip;base64"}


@pytest.mark.parametrize("kind", ["whole", "long", "several"])
def test_a_page_is_whole_without_scripts(browser: Any, files: dict[str, Path], kind: str) -> None:
    """Every section, chart and table is there and seen where JavaScript is off."""
    seen = []
    for look in (LIGHT, Look(scripts=False)):
        with visited(browser, files[kind], look) as visit:
            page = visit.page
            heads = [each.inner_text() for each in page.query_selector_all("h2")]
            tables = len(page.query_selector_all("table:not(.plot table)"))
            drawings = page.query_selector_all(".drawing svg")
            visible = [each.is_visible() for each in drawings]
            seen.append((heads, tables, len(drawings)))
            if not look.scripts:
                assert all(visible)

    assert seen[0] == seen[1]


def test_a_long_trace_can_be_zoomed_and_is_described(browser: Any, files: dict[str, Path]) -> None:
    """With JavaScript a long trace is a canvas with a name, in the place of its drawing."""
    with visited(browser, files["long"]) as visit:
        page = visit.page
        boxes = page.query_selector_all("#power-chart canvas")
        name = page.get_attribute("#power-chart .plot", "aria-label")
        hidden = not page.is_visible("#power-chart .drawing svg")
        painted = page.evaluate(
            "(() => { const all = document.querySelector('#power-chart canvas'); const box = all.getContext('2d')"
            ".getImageData(0, 0, all.width, all.height).data; return box.some((value) => value > 0); })()"
        )

    assert 1 == len(boxes)
    assert "Power over the run" == name
    assert hidden
    assert painted


def test_short_traces_bring_no_library(files: dict[str, Path]) -> None:
    """The library uPlot is in a page for long traces alone."""
    assert "uPlot" in files["long"].read_text()
    assert "uPlot" not in files["whole"].read_text()


def test_the_document_is_saved_byte_for_byte(browser: Any, files: dict[str, Path], tmp_path: Path) -> None:
    """The link to the raw data saves the result's file as it is."""
    with visited(browser, files["example"]) as visit:
        with visit.page.expect_download() as waiting:
            visit.page.click("a[download]")
        waiting.value.save_as(tmp_path / "saved.json")

    assert pages.EXAMPLES[0].read_bytes() == (tmp_path / "saved.json").read_bytes()


def test_a_table_is_sorted_by_its_numbers(browser: Any, files: dict[str, Path]) -> None:
    """A click on a column's head sorts by value, the next one the other way, and the head says which."""
    with visited(browser, files["whole"]) as visit:
        page = visit.page
        table = page.query_selector("#all-figures table.sortable")
        button = table.query_selector("thead th:nth-child(3) button")
        orders = []
        for _ in range(2):
            button.click()
            rows = table.query_selector_all("tbody tr td:nth-child(3)")
            found = [each.get_attribute("data-order") for each in rows]
            orders.append([float(each) for each in found if each is not None])
        direction = table.query_selector("thead th:nth-child(3)").get_attribute("aria-sort")

    assert sorted(orders[0]) == orders[0]
    assert sorted(orders[1], reverse=True) == orders[1]
    assert len(orders[0]) > 5
    assert "descending" == direction


def test_marks_of_charts_tell_their_figures(browser: Any, files: dict[str, Path]) -> None:
    """Pointing at a mark shows its label, one figure a line."""
    with visited(browser, files["whole"]) as visit:
        page = visit.page
        page.hover("#throughput-chart svg path[aria-roledescription='point']")
        text = page.inner_text(".tip")

    assert "repeat: " in text
    assert "\n" in text
