"""Time how long the leaderboard site of many made-up results takes to be written and to be opened, and weigh it.

Run: python benchmarks/site_scale.py [--results 10000] [--rounds 9] [--folder FOLDER]
Goal: the first page and the longest board of 10,000 results open in less than 1 s. Needs the extras `report` and `dev`,
and Debian's chromium; a fresh browser context opens each page, and the first round does not count. The rows are drawn,
not measured, and every name in them says so.
"""

import argparse
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from _synthetic_rows import synthetic_rows
from report_page import opened_s

from wattbench.results.index.database import IndexDatabase
from wattbench.results.report.html import site_html
from wattbench.results.report.site import WAYS, site_pages
from wattbench.results.report.site_data import gather
from wattbench.results.report.site_files import site_files

SEED = 20260101


def fill(index: IndexDatabase, results: int) -> None:
    """Put made-up rows into an index."""
    start = 0
    for chunk in synthetic_rows(results, SEED):
        index.put([(f"synthetic-{start + n:09d}", [row]) for n, row in enumerate(chunk)], 1, progress=None)
        start += len(chunk)


def write(index: IndexDatabase, folder: Path) -> None:
    """Write the site as `bench report --store` does, and print how long each step took."""
    start = time.perf_counter()
    data = gather(index)
    gathered = time.perf_counter()
    for name, text in site_html(site_pages(data, "synthetic"), WAYS):
        (folder / name).write_text(text, encoding="utf-8")
    made = time.perf_counter()
    for name, pieces in site_files(index, data):
        with (folder / name).open("wb") as sink:
            for piece in pieces:
                sink.write(piece)
    done = time.perf_counter()
    steps = f"index read {gathered - start:.2f} s, pages {made - gathered:.2f} s, data files {done - made:.2f} s"
    print(f"{data.results} results, {len(data.groups)} lines on {len(data.boards)} boards")
    print(f"written in {done - start:.2f} s: {steps}")


def weigh(folder: Path) -> list[Path]:
    """Print what the site weighs; return its first page and the heaviest of each kind."""
    pages = sorted(folder.glob("*.html"))
    sizes = {page: page.stat().st_size for page in pages}
    data = ", ".join(f"{f.name} {f.stat().st_size / 1000:.0f} kB" for f in sorted(folder.iterdir()) if f not in sizes)
    total, heaviest = sum(sizes.values()) / 1e6, max(sizes.values()) / 1000
    print(f"{len(pages)} pages, {total:.1f} MB, heaviest {heaviest:.0f} kB; {data}")
    kinds = ("board-", "class-", "accelerators", "about")
    largest = [max((p for p in pages if p.name.startswith(kind)), key=sizes.__getitem__) for kind in kinds]
    return [folder / "index.html", *largest]


def main() -> None:
    """Build, write, weigh, open, and print one line a page."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="keep the site in this new folder")
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as play:
        folder = asked.folder or Path(temporary) / "site"
        folder.mkdir()
        index = IndexDatabase(Path(temporary) / "index.sqlite")
        fill(index, asked.results)
        write(index, folder)
        index.close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(f"peak memory {peak:.0f} MB, with the making of the rows")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for page in weigh(folder):
            times = [opened_s(browser, page) for _ in range(asked.rounds + 1)][1:]
            painted, loaded = (statistics.median(each) for each in zip(*times, strict=True))
            slowest = max(load for _, load in times)
            opens = f"first paint {1000 * painted:.0f} ms, loaded {1000 * loaded:.0f} ms (slowest {1000 * slowest:.0f})"
            print(f"{page.name}: {page.stat().st_size / 1000:.0f} kB, {opens}, {asked.rounds} rounds")
        browser.close()


if __name__ == "__main__":
    main()
