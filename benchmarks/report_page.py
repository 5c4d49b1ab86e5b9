"""Time how long report pages take to be written and to be opened in Chromium, and weigh them.

Run: python benchmarks/report_page.py [--rounds 9] [RESULT ...]
Goals: a page without traces has at most 300 kB and opens in less than 1 s. Needs the extras `report` and `dev`, and
Debian's chromium; a fresh browser context opens each page, and the first round does not count.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples" / "results").glob("*.json"))
PAINT = """() => new Promise((done) => {
  const found = () => performance.getEntriesByName('first-contentful-paint')[0];
  const ask = () => (found() ? done(found().startTime) : setTimeout(ask, 5));
  ask();
})"""


def written_s(result: Path, page: Path) -> float:
    """Return how long `bench report` takes as a whole process, in seconds."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "wattbench.harness.cli.main", "report", str(result), "-o", str(page)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def opened_s(browser: Any, page: Path) -> tuple[float, float]:  # any: playwright's Browser
    """Return the times from asking for the page to its first content on the screen and to its load event."""
    context = browser.new_context(offline=True)
    tab = context.new_page()
    start = time.perf_counter()
    tab.goto(page.as_uri(), wait_until="load")
    loaded = time.perf_counter() - start
    painted = tab.evaluate(PAINT) / 1000
    context.close()
    return painted, loaded


def main() -> None:
    """Measure and print one line a page."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, default=EXAMPLES)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for result in asked.results:
            page = Path(folder) / f"{result.stem}.html"
            wrote = written_s(result, page)
            times = [opened_s(browser, page) for _ in range(asked.rounds + 1)][1:]
            painted, loaded = (statistics.median(each) for each in zip(*times, strict=True))
            slowest = max(load for _, load in times)
            size = page.stat().st_size / 1000
            opens = f"first paint {1000 * painted:.0f} ms, loaded {1000 * loaded:.0f} ms (slowest {1000 * slowest:.0f})"
            print(f"{result.stem}: {size:.0f} kB, written in {wrote:.2f} s, {opens}, {asked.rounds} rounds")
        browser.close()


if __name__ == "__main__":
    main()
