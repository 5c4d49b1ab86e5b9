"""`bench report --store`: a store's leaderboards as a static site, in text, as files, and in Chromium."""

import csv
import errno
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import index_case
import pages
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from pages import HOSTILE, Look, violations, visited

from wattbench.harness.cli import indexing, siting
from wattbench.harness.cli.group import bench
from wattbench.harness.trust.indexing import verified_facts
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.row import IndexRow
from wattbench.results.report import site, site_data
from wattbench.results.report.html import site_html
from wattbench.results.report.site import WAYS, site_pages
from wattbench.results.report.site_data import SiteData, gather
from wattbench.results.report.site_files import site_files
from wattbench.results.report.site_names import PAGE_ROWS, split
from wattbench.results.store.contract import ObjectStore

pytest.importorskip("jinja2", reason="needs Jinja2: pip install 'wattbench[report]'")

BOARDS = ("NVIDIA H100 80GB HBM3", "NVIDIA L4", "NVIDIA A100-SXM4-80GB", "Some Board")
FORMULA = '=HYPERLINK("http://127.0.0.1/","click")'
PATH = "../../etc/passwd\x00/.."


def write(store: ObjectStore, out: Path, *words: str) -> dict[str, Any]:  # any: JSON
    """Write a site as `bench report` does; its errors rise. Return what it says."""
    call = ["report", "--store", store.uri, "-o", str(out), "--json", *words]
    ended = CliRunner().invoke(bench, call, standalone_mode=False, catch_exceptions=False)
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pytest.fixture(scope="module", autouse=True)
def _believe() -> Iterator[None]:
    """Believe the results, which are made up."""
    with index_case.believed():
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """Make a store with three dozen results on four boards, of which one is not known; one result is withdrawn."""
    results = [
        index_case.make_gpu_result(name, day=day, factor=1 + kind / 2 + day / 100)
        for kind, name in enumerate(BOARDS)
        for day in range(9)
    ]
    made = index_case.make_store(tmp_path_factory.mktemp("store") / "results", results)
    index_case.note(made, index_case.id_of(results[0]))
    return made


@pytest.fixture(scope="module")
def folder(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the site of the store."""
    out = tmp_path_factory.mktemp("site") / "out"
    write(store, out)
    return out


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexDatabase]:
    """Make an empty index."""
    made = IndexDatabase(tmp_path / "index.sqlite")
    yield made
    made.close()


def made_up(count: int, **overrides: Any) -> list[IndexRow]:  # any: values of any column
    """Return rows of so many groups, each of a class of its own."""
    row = index_case.make_row()
    return [
        replace(
            row,
            id=digest("id", n),
            comparability_key=digest("key", n),
            **{"hardware": f"a/b-{n} x1", **overrides},
        )
        for n in range(count)
    ]


def digest(kind: str, number: int) -> str:
    """Return a made-up digest."""
    return "sha256:" + f"{kind.encode().hex()}{number:08x}".rjust(64, "0")


def put(index: IndexDatabase, rows: list[IndexRow]) -> SiteData:
    """Write rows into an index; return what a site shows of it."""
    index.put([(f"log-{n}", [row]) for n, row in enumerate(rows)], 1, progress=None)
    return gather(index)


def written(index: IndexDatabase, data: SiteData, out: Path) -> Path:
    """Write the files of a site that was gathered."""
    out.mkdir()
    for name, text in site_html(site_pages(data, pages.VERSION), WAYS):
        (out / name).write_text(text, encoding="utf-8")
    for name, pieces in site_files(index, data):
        (out / name).write_bytes(b"".join(pieces))
    return out


def one(folder: Path, kind: str) -> Path:
    """Return the first page of a kind."""
    return min(folder.glob(f"{kind}*.html"))


def lines(folder: Path) -> list[dict[str, Any]]:  # any: JSON
    """Return the lines of all boards, from the file."""
    found: list[dict[str, Any]] = json.loads((folder / "lines.json").read_text())["lines"]
    return found


def test_the_boards_are_those_of_bench_query(store: ObjectStore, folder: Path) -> None:
    """The site's lines are the groups that the leaderboard of the command line has, in its order."""
    query = ["query", "--store", store.uri, "--json"]
    asked = json.loads(CliRunner().invoke(bench, query).stdout)["lines"]

    assert [each["id"] for each in asked] == [each["id"] for each in lines(folder)]
    assert [each["n"] for each in asked] == [each["n"] for each in lines(folder)]
    assert 3 == len(asked)


def test_a_line_shows_figure_interval_tier_and_verdict(folder: Path) -> None:
    """On its board a line has what stands behind its figure, and leads to a page with its digest and commands."""
    text = one(folder, "board-").read_text()
    first = lines(folder)[0]
    result = next(each for each in folder.glob("result-*.html") if first["id"] in each.read_text())

    assert first["hardware"] in text
    assert "self-reported" in text
    assert "valid" in text
    assert f'href="{result.name}"' in text
    assert f"bench verify {first['id']} --store STORE" in result.read_text()
    assert f"bench pull {first['id']} --from STORE" in result.read_text()


def test_an_unknown_board_is_listed_and_not_ranked(folder: Path) -> None:
    """The list of accelerators has what the vendor database does not know; no board has it, and the reason is told."""
    assert "unmapped:Some Board x1" in (folder / "accelerators.html").read_text()
    assert "Some Board" not in one(folder, "board-").read_text()
    assert "unmapped" in (folder / "about.html").read_text()


def test_what_verification_refuses_is_not_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up result that contradicts itself is on no board, and the page that explains counts it by its reason."""
    monkeypatch.setattr(indexing, "verified_facts", verified_facts)
    answer = write(index_case.make_store(tmp_path / "store", [index_case.make_gpu_result()]), tmp_path / "site")
    about = (tmp_path / "site" / "about.html").read_text()

    assert (0, 0, 1) == (answer["boards"], answer["ranked"], answer["results"])
    assert re.search(r'<th scope="row">inconsistent</th><td>[^<]*</td><td class="[^"]*" data-order="1">1</td>', about)


def test_every_link_leads_to_a_file_of_the_site(folder: Path) -> None:
    """Links are names of files beside the page, anchors of the page, or the empty icon; every file is linked."""
    found = set()
    for page in folder.glob("*.html"):
        for address in re.findall(r'href="([^"]*)"', page.read_text()):
            if not address.startswith(("#", "data:,")):
                found.add(address)

    assert found == {each.name for each in folder.iterdir()} - {"site.json"}
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", address) for address in found)


def test_the_same_store_gives_the_same_site(store: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """No page or file depends on when or where the site was written."""
    write(store, tmp_path / "again")

    for each in folder.iterdir():
        assert each.read_bytes() == (tmp_path / "again" / each.name).read_bytes()


def test_data_files_have_the_same_rows(folder: Path) -> None:
    """CSV, JSON and Parquet agree; the file of all results has those that are not ranked, with the reason."""
    rows = list(csv.DictReader(io.StringIO((folder / "lines.csv").read_text())))
    table = pyarrow.parquet.read_table(folder / "lines.parquet").to_pylist()
    results = list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))

    assert lines(folder) == table
    assert [each["id"] for each in table] == [each["id"] for each in rows]
    assert [each["tokens_per_j"] for each in table] == [float(each["tokens_per_j"]) for each in rows]
    assert len(results) == pyarrow.parquet.read_metadata(folder / "results.parquet").num_rows
    assert {"", "withdrawn", "unmapped"} == {each["reasons"] for each in results}


def test_a_later_site_takes_the_place_of_the_older(tmp_path: Path) -> None:
    """Pages that are no longer of the site are deleted; files that never were stay."""
    store = index_case.make_store(tmp_path / "store", [index_case.make_gpu_result()])
    out = tmp_path / "site"
    write(store, out)
    gone = one(out, "result-")
    (out / "robots.txt").write_text("mine")
    index_case.note(store, index_case.id_of(index_case.make_gpu_result()))
    answer = write(store, out)

    assert not gone.exists()
    assert "mine" == (out / "robots.txt").read_text()
    assert (0, 1) == (answer["boards"], answer["results"])
    assert "No result of this store can be on a board yet; About says why." in (out / "index.html").read_text()


def test_a_list_of_files_can_delete_nothing_else(tmp_path: Path, store: ObjectStore) -> None:
    """Names in site.json that are no files of a site are left alone, wherever they lead."""
    out = tmp_path / "site"
    out.mkdir()
    (tmp_path / "kept.html").write_text("kept")
    (out / ".hidden.html").write_text("kept")
    files = ["../kept.html", str(tmp_path / "kept.html"), ".hidden.html", "gone.html", 7]
    (out / "gone.html").write_text("old")
    (out / "site.json").write_text(json.dumps({"kind": "wattbench-site", "files": files}))
    write(store, out)

    assert (tmp_path / "kept.html").exists()
    assert (out / ".hidden.html").exists()
    assert not (out / "gone.html").exists()


def test_a_site_that_was_not_finished_is_written_anew(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle is named; what was written until then is known, and the next site replaces it."""

    def full(*_: object) -> Iterator[tuple[str, list[bytes]]]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    with monkeypatch.context() as broken:
        broken.setattr(siting, "site_files", full)
        with pytest.raises(StorageError, match="No space left"):
            write(store, tmp_path / "site")
    left = set(os.listdir(tmp_path / "site"))
    listed = json.loads((tmp_path / "site" / "site.json").read_text())["files"]
    write(store, tmp_path / "site")

    assert left - {"site.json"} <= set(listed)
    assert set(listed) | {"site.json"} == set(os.listdir(tmp_path / "site"))


@pytest.mark.parametrize("listed", ["", "[]", '{"kind": "else", "files": []}', '{"kind": "wattbench-site"}', "\xff"])
def test_a_foreign_list_is_refused(store: ObjectStore, tmp_path: Path, listed: str) -> None:
    """A folder whose site.json is something else is not written to."""
    (tmp_path / "site.json").write_bytes(listed.encode("latin-1"))

    with pytest.raises(UsageError, match="cannot be used"):
        write(store, tmp_path)

    assert ["site.json"] == os.listdir(tmp_path)


def test_a_folder_of_other_things_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    """Neither a file nor a folder with other files becomes a site."""
    (tmp_path / "letter.txt").write_text("mine")

    with pytest.raises(UsageError, match="holds other files"):
        write(store, tmp_path)
    with pytest.raises(UsageError, match="it is a file"):
        write(store, tmp_path / "letter.txt")


def test_a_place_that_cannot_be_written_is_named(store: ObjectStore, tmp_path: Path) -> None:
    """A folder below a file cannot be made, and the message says what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="Cannot write the site"):
        write(store, tmp_path / "file" / "site")


@pytest.mark.parametrize("words", [["run.json"], ["--cost", "cost.yaml"], ["--force"], ["--delta", "0.1"]])
def test_what_says_nothing_about_a_site_is_refused(store: ObjectStore, tmp_path: Path, words: list[str]) -> None:
    """Results and the options of pages do not go with --store."""
    with pytest.raises(UsageError, match="--store goes with"):
        write(store, tmp_path / "site", *words)


def test_neither_result_nor_store_is_refused(tmp_path: Path) -> None:
    """`bench report` without both says what is missing."""
    ended = CliRunner().invoke(bench, ["report", "-o", str(tmp_path / "page.html")], standalone_mode=False)

    assert isinstance(ended.exception, UsageError)


def test_long_tables_go_on_on_further_pages(index: IndexDatabase) -> None:
    """No page has more than so many lines, each line is on one of them, and all parts lead to all others."""
    data = put(index, made_up(PAGE_ROWS * 2 + 1))
    made = dict(site_html(site_pages(data, pages.VERSION), WAYS))
    parts = sorted(name for name in made if name.startswith("board-"))
    counts = sorted(made[name].count('<th scope="row"') for name in parts)

    assert [1, PAGE_ROWS, PAGE_ROWS] == counts
    assert all(f'href="{name}"' in made[other] for name in parts for other in parts)
    assert 'id="groups"' not in made["index.html"]


def test_an_empty_table_is_one_page() -> None:
    """There is a first part even of nothing."""
    assert ["index.html"] == [each.page for each in split("index", 0)]


def test_a_store_with_many_lines_has_no_page_a_result(index: IndexDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit lines name their ids and lead to no page, so that a site stays small."""
    data = put(index, made_up(3))
    monkeypatch.setattr(site, "RESULT_PAGES_MAX", 2)
    made = dict(site_html(site_pages(data, pages.VERSION), WAYS))

    assert not any(name.startswith("result-") for name in made)
    assert not any("result-" in text for text in made.values())


def test_lines_beyond_a_query_are_named_as_left_out(index: IndexDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that is longer than a query can say so says how many lines it does not have."""
    monkeypatch.setattr(site_data, "LIMIT_MAX", 2)
    data = put(index, made_up(3))
    text = next(text for name, text in site_html(site_pages(data, "1"), WAYS) if name.startswith("board-"))

    assert "The last 1 lines of this load and boundary are left out." in text


def test_what_differs_in_more_than_hardware_is_on_another_board(index: IndexDatabase) -> None:
    """Scenario, weights, versions and boundary make boards of their own; ranks do not, since they are hardware."""
    base = made_up(6)
    changes = ({}, {"parallelism": 8}, {"scenario": "x"}, {"weights": "real"}, {"scope": "wall"}, {"load_version": "9"})
    rows = [replace(row, **change) for row, change in zip(base, changes, strict=True)]
    data = put(index, rows)

    assert [1, 1, 1, 1, 2] == sorted(len(board.groups) for board in data.boards)


def test_results_without_energy_are_counted(index: IndexDatabase) -> None:
    """What could be ranked and has no tokens/J is on no board, and the page that explains says how many."""
    data = put(index, made_up(2, tokens_per_j=None))
    made = dict(site_html(site_pages(data, pages.VERSION), WAYS))

    assert 2 == data.unpowered
    assert "2 more may be ranked and have no tokens/J" in made["about.html"]


def hostile_rows() -> list[IndexRow]:
    """Return rows with hostile text in every field of text that a document can fill."""
    texts = ("load", "load_version", "model", "precision", "compute_precision", "weights", "scenario", "backend")
    more = ("engine", "tuning", "device", "class_id", "hardware", "boundary", "verdict", "doubts", "uploader")
    bad = [{name: text for name in (*texts, *more, "scope", "kind")} for text in (HOSTILE, FORMULA, PATH, "\u202eevil")]
    rows = [replace(row, **change) for row, change in zip(made_up(4), bad, strict=True)]
    left_out = made_up(5, rankable=False, reasons=HOSTILE, hardware=f"unmapped:{HOSTILE}")[4]
    return [*rows, left_out]


def test_hostile_names_stay_in_the_folder(index: IndexDatabase, tmp_path: Path) -> None:
    """Whatever a load or a board is called, its page's name is made of harmless letters and a digest."""
    out = written(index, put(index, hostile_rows()), tmp_path / "out")

    assert ["out"] == [each.name for each in tmp_path.iterdir() if each.is_dir()]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,119}", each.name) for each in out.iterdir())
    assert 4 == len(list(out.glob("board-*.html")))


def test_text_in_csv_is_no_formula(index: IndexDatabase, tmp_path: Path) -> None:
    """Text that a spreadsheet would compute has an apostrophe before it; negative numbers stay numbers."""
    rows = [replace(row, tokens_per_j_low=-1.5) for row in hostile_rows()]
    out = written(index, put(index, rows), tmp_path / "out")
    cells = [cell for name in ("lines.csv", "results.csv") for cell in _cells(out / name)]

    assert any(cell == f"'{FORMULA}" for cell in cells)
    assert {"-1.5"} == {cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))}
    assert not any("\x00" in cell for cell in cells)


def _cells(path: Path) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(path.read_text())) for cell in row]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Run one Chromium for all tests of this file."""
    with pages.chromium() as running:
        yield running


KINDS = ("index", "accelerators", "about", "board-", "class-", "result-")


@pages.needs_browser
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_nothing_breaks_nothing_and_fits(browser: Any, folder: Path, kind: str) -> None:
    """No request, no error, and no sideways scrolling of the page, in light and dark and on a phone."""
    for look in (Look(), Look(scheme="dark"), Look(width=360)):
        with visited(browser, one(folder, kind), look) as visit:
            wide = visit.page.evaluate("document.documentElement.scrollWidth > innerWidth")

        assert [] == visit.requests
        assert [] == visit.errors
        assert not wide


@pages.needs_browser
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", [Look(), Look(scheme="dark"), Look(width=360)], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_wrong(browser: Any, folder: Path, kind: str, look: Look) -> None:
    """No rule of axe is broken on any kind of page, in any colours, on a phone."""
    with visited(browser, one(folder, kind), look) as visit:
        found = violations(visit.page)

    assert [] == found


@pages.needs_browser
def test_lines_are_found_by_text_and_by_choice(browser: Any, folder: Path) -> None:
    """Text and a chosen hardware leave the lines that have them, and the number of lines is told."""
    with visited(browser, folder / "index.html") as visit:
        page = visit.page
        box = page.get_by_role("group", name="Filter: The lines of all boards")
        rows = page.locator("#groups tbody tr:visible")
        seen = [rows.count()]
        box.get_by_label("Text").fill("H100")
        seen.append(rows.count())
        said = box.get_by_role("status").inner_text()
        box.get_by_label("Text").fill("")
        box.get_by_label("hardware").select_option(label="nvidia/l4 x1")
        seen.append(rows.count())
        left = rows.first.inner_text()

    assert [3, 1, 1] == seen
    assert "1 of 3 lines" == said
    assert "nvidia/l4 x1" in left


@pages.needs_browser
def test_lines_are_sorted_by_a_column(browser: Any, folder: Path) -> None:
    """A click on tokens/J turns the board round, by numbers."""
    with visited(browser, one(folder, "board-")) as visit:
        page = visit.page
        page.get_by_role("button", name="tokens/J").click()
        found = [float(each.get_attribute("data-order")) for each in page.query_selector_all("tbody td:nth-child(2)")]

    assert sorted(found) == found
    assert 3 == len(set(found))


@pages.needs_browser
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_without_scripts(browser: Any, folder: Path, kind: str) -> None:
    """Every line and link is there and seen where JavaScript is off; the controls that need it are not."""
    seen = []
    for look in (Look(), Look(scripts=False)):
        with visited(browser, one(folder, kind), look) as visit:
            rows = visit.page.locator("main tbody tr:visible")
            seen.append((rows.count(), visit.page.locator("a:visible").count()))
            controls = visit.page.locator("main :is(button, input, select)").count()

    assert seen[0] == seen[1]
    assert 0 == controls


@pages.needs_browser
def test_nothing_that_a_store_says_is_executed(browser: Any, index: IndexDatabase, tmp_path: Path) -> None:
    """On every page hostile text stands as text, filters included."""
    out = written(index, put(index, hostile_rows()), tmp_path / "out")
    for path in sorted(out.glob("*.html")):
        with visited(browser, path) as visit:
            page = visit.page
            text = page.inner_text("body")
            foreign = page.evaluate("document.querySelectorAll('img, iframe, object, embed, form, svg').length")
            scripts = page.evaluate("document.scripts.length")
            links = page.evaluate("[...document.links].map((each) => each.getAttribute('href'))")
            broken = page.evaluate("window.broken")

        assert broken is None
        assert "1337" not in text
        assert "\u202e" not in text
        assert (0, 2) == (foreign, scripts)
        assert all(re.fullmatch(r"#?[a-z0-9][a-z0-9.-]*", each) for each in links)
        assert [] == visit.requests
        assert [] == visit.errors
