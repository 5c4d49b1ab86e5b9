"""Agentic sessions of 200 calls on a real server, by the command line: energy, time and dollars of one on its page."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import SOON, run_with_joules
from inference_servers import llama_server
from tiny_gguf import write_tiny_gguf

from wattbench.results.censoring import kaplan_meier
from wattbench.results.document import Result
from wattbench.results.files import read_result
from wattbench.results.measurement import Repeat
from wattbench.results.stats import median

pytest.importorskip("vl_convert", reason="needs vl-convert: pip install 'wattbench[report]'")

CALLS, WATTS, USD_PER_KWH = 200, 300.0, 0.187
COST = Path(__file__).parents[1] / "examples" / "cost" / "laptop.yaml"
SHORT = ("--window", "8", "--repeats", "2", "--warm-up-min", "0.2", "--warm-up-max", "0.5", "--idle", "0", *SOON, "-q")


def bench(*words: str | Path) -> int:
    """Run a command as a process of its own and return its exit code."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run sessions of 200 calls under a power that is known, and write their page; give the folder of both."""
    folder = tmp_path_factory.mktemp("session")
    model, power = folder / "tiny.gguf", folder / "power.csv"
    write_tiny_gguf(model)
    power.write_text(f"time_s,power_w,scope\n0,{WATTS},node\n")
    session = f"1,calls={CALLS},first=16,new=4,answer=2"
    with llama_server(model, parallel=1) as server:
        agentic = ("run", "--endpoint", server.url, "--scenario", "agentic", "--sessions", session)
        words = (*agentic, "--power", f"replay:{power}", "--out", folder / "r.json", *SHORT)
        invalid = run_with_joules(lambda: bench(*words), folder / "r.json")
    assert invalid == 3, "replayed watts are not this machine's"
    assert 0 == bench("report", folder / "r.json", "--cost", COST, "--out", folder / "page.html")
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    """Return what was measured."""
    return read_result(folder / "r.json")


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """Return the facts of the page by their labels."""
    text = (folder / "page.html").read_text()
    pairs = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", text, re.DOTALL)
    return {html.unescape(label).strip(): html.unescape(fact).strip() for label, fact in pairs}


def calls_of(repeat: Repeat) -> dict[int, list[int]]:
    """Return the rows of each session."""
    assert repeat.traffic is not None
    sessions = repeat.traffic.calls.session
    return {s: [i for i, each in enumerate(sessions) if each == s] for s in sessions if s is not None}


def number(pattern: str, text: str) -> float:
    """Return the number that a pattern's group finds in a text."""
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1])


def test_sessions_were_served_whole(result: Result) -> None:
    """Every call succeeded, each went on with what came before, and at least one session of 200 calls ended."""
    whole = [rows for repeat in result.repeats for rows in calls_of(repeat).values() if len(rows) == CALLS]

    assert "complete" == result.status
    assert {None} == {error for repeat in result.repeats for error in repeat.completions.error}
    assert whole
    for repeat in result.repeats:
        for rows in calls_of(repeat).values():
            tokens = [repeat.completions.input_tokens[row] for row in rows]

            assert all(later > earlier for earlier, later in zip(tokens, tokens[20:], strict=False))


def test_its_energy_is_that_of_its_calls(result: Result, said: dict[str, str]) -> None:
    """J/session on the page: the constant power, over the window's time, shared by its calls, 200 of them."""
    each = [WATTS * repeat.window.duration_s * CALLS / len(repeat.completions) for repeat in result.repeats]
    shown = number(r"200 calls, ([\d.e+]+) J each", said["session"])

    assert median(each) == pytest.approx(shown, rel=0.01)


def test_its_time_is_from_its_first_call_to_its_last(result: Result, said: dict[str, str]) -> None:
    """The median on the page: of the sessions whose 200 calls ended, and of the others what was seen of them."""
    whole, cut = [], []
    for repeat in result.repeats:
        done = repeat.completions
        for rows in calls_of(repeat).values():
            end_ns = max(done.end_ns[row] for row in rows)
            (whole if len(rows) == CALLS else cut).append((end_ns - done.planned_start_ns[rows[0]]) / 1e9)
    expected = kaplan_meier(whole, cut).quantile(0.5)
    assert expected is not None

    assert expected == pytest.approx(number(r"p50 ([\d.]+) s", said["session"]), rel=0.01)
    assert f"{len(whole)} were whole" in said["session"]
    assert not cut or f"{len(cut)} were cut by a window's end" in said["session"]


def test_its_dollars_are_those_of_its_calls(result: Result, said: dict[str, str]) -> None:
    """200 calls at the hour's capital and energy over the rate of the calls."""
    hour = number(r"([\d.e-]+) USD \(owned", said["hour at work"])
    capital, energy = (number(rf"{what} ([\d.e-]+) USD", said["hour at work"]) for what in ("capital", "energy"))
    rate = median([len(repeat.completions) / repeat.window.duration_s for repeat in result.repeats])

    assert WATTS / 1000 * USD_PER_KWH == pytest.approx(energy, rel=0.02)
    assert capital + energy == pytest.approx(hour, rel=1e-3)
    assert CALLS * hour / 3600 / rate == pytest.approx(number(r"([\d.e-]+) USD", said["session, usage"]), rel=2e-3)
    assert "200.0 calls at the cost of a query" in said["session, usage"]


def test_the_page_shows_the_lengths_that_were_sent(folder: Path, result: Result) -> None:
    """At the head stand the session's growing prompts, not the lengths of the load."""
    tokens = [n for repeat in result.repeats for n in repeat.completions.input_tokens]
    head = f"{min(tokens)} to {max(tokens)} (median {median(tokens):g}) tokens in, 2 out"

    assert head in (folder / "page.html").read_text()
    assert f"{result.load.input_tokens} tokens in" not in (folder / "page.html").read_text()
