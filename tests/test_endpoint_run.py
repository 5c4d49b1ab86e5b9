"""`bench run --endpoint`: requests through a real socket to a server of known behaviour, into a result file."""

import json
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command_line import SOON
from endpoint_server import Behaviour, endpoint_server

import wattbench
from wattbench.harness.cli.figures import result_lines
from wattbench.harness.cli.group import bench
from wattbench.results.document import Result
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.errors import UsageError, WorkerError
from wattbench.results.files import read_result
from wattbench.results.recheck import summary_differences
from wattbench.results.report.blocks import Facts, Table
from wattbench.results.report.money import cost_section
from wattbench.results.report.subject import Subject
from wattbench.results.report.traffic import curve_section, traffic_section

QUICK: dict[str, Any] = {
    "window_s": 0.6,
    "repeats": 2,
    "warmup_min_s": 0.2,
    "warmup_max_s": 0.5,
    "idle_s": 0.0,
    "power": "none",
    "seed": int(SOON[1]),
}
"""Enough for whole records, far too short for a figure."""


def run(url: str, folder: Path, **knobs: Any) -> Result:  # any: values of any knob
    """Return the result of a short run."""
    own = {name: knobs.pop(name) for name in ("repeats", "out", "power") if name in knobs}
    traffic = {"endpoint": url, "input_tokens": 32, "output_tokens": 8, **knobs}
    return wattbench.run(traffic=traffic, **{"out": folder / "result.json", **QUICK, **own})


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """Yield the result of a closed loop of four with a server that takes 10 ms to the first token and then 1 ms."""
    folder = tmp_path_factory.mktemp("closed")
    with endpoint_server(Behaviour()) as url:
        run(url, folder, concurrency=4)
        yield read_result(folder / "result.json")


SCENARIOS: dict[str, dict[str, Any]] = {
    "agentic": {"sessions": "3,calls=3,new=8", "repeats": 2},
    "multi-stream": {"scenario": "multi-stream", "repeats": 1},
    "ramp": {"ramp": "1,2,4", "repeats": 1},
    "offline": {"scenario": "offline", "in_flight_max": 8, "no_stream": True, "repeats": 1},
}
WATTS = 100


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    """Give a function that runs a scenario once for all tests; the power of a run of sessions is a constant 100 W."""

    @cache
    def once(scenario: str) -> Result:
        folder, knobs = tmp_path_factory.mktemp(scenario), SCENARIOS[scenario]
        if scenario == "agentic":
            recording = folder / "power.csv"
            recording.write_text(f"time_s,power_w,scope\n0,{WATTS},node\n")
            knobs = knobs | {"power": f"replay:{recording}"}
        with endpoint_server(Behaviour()) as url:
            return run(url, folder, **knobs)

    return once


@pytest.fixture(scope="module")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Behaviour, Path]:
    """Give a server that calls itself a stub of ours, and the result of calling it with a key."""
    behaviour, folder = Behaviour(name="wattbench-stub"), tmp_path_factory.mktemp("stubbed")
    with pytest.MonkeyPatch.context() as patch, endpoint_server(behaviour) as url:
        patch.setenv("MADE_UP_KEY", "sk-never-in-a-file")
        run(url, folder, concurrency=1, key_env="MADE_UP_KEY", repeats=1)
    return behaviour, folder / "result.json"


def test_concurrency_implies_its_scenario_and_the_endpoint_its_backend(closed: Result) -> None:
    """`--endpoint URL --concurrency 4` needs neither --backend nor --scenario."""
    plan = closed.plan

    assert ("endpoint", "concurrency", "remote", "as-served") == (
        plan.backend,
        plan.scenario,
        plan.device,
        plan.precision,
    )
    assert plan.traffic is not None
    assert plan.traffic.concurrency == 4


def test_what_is_behind_an_endpoint_is_unknown(closed: Result) -> None:
    """Neither the size of the model nor its weights are known, and so nothing is said of utilisation."""
    assert closed.weights is not None
    assert closed.backend is not None
    assert closed.summary is not None
    utilisation = closed.summary.metric("utilisation.flops")
    assert utilisation is not None

    assert (None, None) == (closed.load.parameters, closed.load.work)
    assert ("unknown", "as-served", None) == (closed.weights.origin, closed.weights.source, closed.weights.digest)
    assert ("made-up/1", "made-up-1b") == (closed.backend.engine, closed.backend.served_model)
    assert (None, "the server's model is not known") == (utilisation.value, utilisation.reason)


def test_every_call_is_a_row_with_its_own_times(closed: Result) -> None:
    """Eight tokens have eight stamps, the first not before the server's 10 ms; four requests were in progress."""
    for repeat in closed.repeats:
        done, traffic = repeat.completions, repeat.traffic
        assert traffic is not None

        assert set(done.requests) == {1}
        assert set(done.output_tokens) == {8}
        assert {len(steps) for steps in done.step_end_ns} == {7}
        assert all(first is not None for first in done.first_output_ns)
        assert 4 == traffic.health.in_flight_peak
        assert len(done) == len(traffic.calls)
        assert repeat.window.start_ns <= min(done.planned_start_ns)
        assert max(done.end_ns) <= repeat.window.end_ns


def test_each_repeat_has_a_schedule_of_its_own_seed(closed: Result) -> None:
    """Seeds count up from the plan's."""
    seeds = [repeat.traffic.seed for repeat in closed.repeats if repeat.traffic is not None]

    assert [QUICK["seed"], QUICK["seed"] + 1] == seeds


def test_an_open_loop_sends_when_calls_are_due(tmp_path: Path) -> None:
    """At 50 requests/s constant, calls are planned every 20 ms, whatever the server does."""
    with endpoint_server(Behaviour()) as url:
        result = run(url, tmp_path, rate=50, arrival="constant", output_tokens=2, repeats=1)
    planned = result.repeats[0].completions.planned_start_ns
    gaps = {round((b - a) / 1e6) for a, b in pairwise(planned)}

    assert "server" == result.plan.scenario
    assert {20} == gaps


def test_a_failure_is_a_row_and_ends_nothing(tmp_path: Path) -> None:
    """Refusals, errors within a stream and streams that are cut are counted by kind; the others succeed."""
    faults = {3: "500", 7: "429", 11: "error", 15: "cut"}
    with endpoint_server(Behaviour(faults=faults)) as url:
        result = run(url, tmp_path, concurrency=4, repeats=1)
    kinds = [kind for r in result.repeats if r.traffic is not None for kind in r.traffic.calls.error_kind]
    assert result.summary is not None

    assert {None, "http_5xx", "http_429", "in_stream", "truncated"} == set(kinds)
    assert len([kind for kind in kinds if kind is not None]) == result.summary.failed_requests
    assert "failed_requests" in {doubt.code for doubt in result.doubts}


def test_a_wrong_model_shows_the_servers_list(tmp_path: Path) -> None:
    """The file of the run that failed is valid, and the message names what there is."""
    with endpoint_server(Behaviour(models=("one", "two"))) as url:
        for model in ("three", None):
            with pytest.raises(UsageError, match=r"one, two"):
                run(url, tmp_path, model=model, out=tmp_path / f"{model}.json")

    assert ["error", "error"] == [read_result(path).status for path in tmp_path.glob("*.json")]


def test_the_key_reaches_the_server_and_nothing_else(stubbed: tuple[Behaviour, Path]) -> None:
    """It comes from the environment; the result names the variable only."""
    behaviour, path = stubbed
    text = path.read_text()

    assert {"Bearer sk-never-in-a-file"} == set(behaviour.keys)
    assert "sk-never-in-a-file" not in text
    assert "MADE_UP_KEY" == json.loads(text)["plan"]["endpoint"]["key_env"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--endpoint", "ftp://x"], "neither http nor https"),
        (["--endpoint", "http://me:secret@x"], "holds a secret"),
        (["--endpoint", "http://127.0.0.1:9", "--batch", "4"], "--batch contradicts --endpoint"),
        (["--endpoint", "http://127.0.0.1:9", "--backend", "torch"], "--endpoint contradicts --backend"),
        (["--endpoint", "http://127.0.0.1:9", "--rate", "fast"], "--rate is no rate"),
        (["--endpoint", "http://127.0.0.1:9", "--rate", "auto"], "--rate auto needs --slo"),
        (["--endpoint", "http://127.0.0.1:9", "--rate", "5", "--concurrency", "2"], "contradicts --scenario"),
        (["--endpoint", "http://127.0.0.1:9", "--scenario", "server"], "needs --rate"),
        (["--endpoint", "http://127.0.0.1:9", "--api", "soap"], "Unknown API"),
        (["--endpoint", "http://127.0.0.1:9", "--timeout", "nan"], "--timeout is out of range: got nan"),
        (["--endpoint", "http://127.0.0.1:9", "--timeout", "inf"], "at most 86400 s"),
        (["--endpoint", "http://127.0.0.1:9", "--timeout", "0"], "more than 0"),
        (["--endpoint", "http://127.0.0.1:9", "--slo", "ttft.p100=1s"], "above 0 and below 100"),
        (["--endpoint", "http://127.0.0.1:9", "--key-env", "A", "--key-file", "b"], "--key-env contradicts"),
        (["--endpoint", "http://127.0.0.1:9", "--scenario", "multi-stream", "--workers", "2"], "--workers contradicts"),
        (["--endpoint", "http://127.0.0.1:9", "--scenario", "multi-stream", "--workers", "auto"], "--workers contra"),
        (["--endpoint", "http://127.0.0.1:9", "--sessions", "0,calls=2,new=1"], "--sessions is out of range"),
        (["--endpoint", "http://127.0.0.1:9", "--no-stream", "--slo", "ttft.p99=1s"], "--slo contradicts --no-stream"),
        (["--endpoint", "http://127.0.0.1:9", "--api", "kserve", "--slo", "itl.p99=1s"], "no tokens out"),
        (["--endpoint", "http://127.0.0.1:9", "--ca-file", "ca.pem"], "--ca-file says nothing"),
        (["--endpoint", "http://127.0.0.1:9", "--sessions", "9" * 5000], "--sessions is out of range"),
        (["--endpoint", "http://127.0.0.1:9", "--workers", "many"], "--workers is out of range"),
        (["--endpoint", "http://127.0.0.1:9", "--workers", "257"], "--workers is out of range"),
        (
            ["--endpoint", "http://127.0.0.1:9", "--rate", "auto", "--slo", "ttft.p99=1s", "--workers", "auto"],
            "then with the number found: --workers N --rate auto",
        ),
        (["--model", "x"], "--model says nothing"),
        (["--load", "served/chat"], "needs an endpoint"),
        (["--backend", "mock", "--load", "tiny-decoder/tiny", "--slo", "ttft.p99=1s"], "says nothing here"),
        (["--endpoint", "http://127.0.0.1:1", "--sessions", "2,calls=3,new=8", "--input-lengths", "5"], "contradicts"),
        (
            ["--endpoint", "http://127.0.0.1:1", "--trace", "t.csv", "--input-tokens", "64"],
            "--input-tokens contradicts --scenario trace",
        ),
    ],
)
def test_contradictions_are_refused_before_anything_is_sent(words: list[str], expected: str) -> None:
    """What cannot be meant is a usage error that says which flags part."""
    found = CliRunner().invoke(bench, ["run", *words], standalone_mode=False)

    assert isinstance(found.exception, UsageError)
    assert expected in str(found.exception)


def test_an_endpoint_that_is_not_there_ends_in_a_valid_file(tmp_path: Path) -> None:
    """Nothing listens on port 9 here: the file says that the server cannot be reached."""
    words = ["--endpoint", "http://127.0.0.1:9", "--model", "x", "--idle", "0", "-o", str(tmp_path / "r.json"), "-q"]
    found = CliRunner().invoke(bench, ["run", *words], standalone_mode=False)
    result = read_result(tmp_path / "r.json")
    assert result.error is not None

    assert (1, "error", "DeviceError") == (found.return_value, result.status, result.error.kind)


def test_a_server_without_a_list_of_models_says_so(tmp_path: Path) -> None:
    """The refusal to guess a model has the path and the status of what was asked."""
    with endpoint_server(Behaviour(models=None)) as url:
        words = ["--endpoint", url, "--idle", "0", "-o", str(tmp_path / "r.json"), "-q"]
        CliRunner().invoke(bench, ["run", *words], standalone_mode=False)
    result = read_result(tmp_path / "r.json")
    assert result.error is not None

    assert "/v1/models answered with status 404" == result.error.why
    assert "--model" in result.error.remedy


def test_a_server_that_counts_too_much_makes_the_result_invalid(tmp_path: Path) -> None:
    """A hundred tokens more than a call allowed are no speed."""
    with endpoint_server(Behaviour(usage_extra=100)) as url:
        result = run(url, tmp_path, repeats=1)

    assert "severe" in {doubt.severity for doubt in result.doubts if doubt.code == "token_count"}


@pytest.mark.parametrize(
    ("scenario", "distribution"),
    [
        ("agentic", "latency.session"),
        ("multi-stream", "latency.query"),
        ("ramp", "latency.ttft"),
        ("offline", "latency.request"),
    ],
)
def test_every_scenario_goes_the_whole_way(ended: Callable[[str], Result], scenario: str, distribution: str) -> None:
    """Sessions, queries of several calls, ramps and whole answers end in figures of their own."""
    result = ended(scenario)
    assert result.summary is not None
    counts = {latency.name: latency.count for latency in result.summary.latencies}

    assert scenario == result.plan.scenario
    assert counts[distribution]
    assert 0 == result.summary.failed_requests


def test_the_number_of_processes_is_found_and_told(tmp_path: Path) -> None:
    """With auto one process begins, each look is in the result, and the windows are sent by the last number."""
    with endpoint_server(Behaviour()) as url:
        result = run(url, tmp_path, repeats=1, concurrency=4, workers="auto")
    plan, warmup, record = result.plan.endpoint, result.warmup, result.repeats[0].traffic
    assert plan is not None
    assert warmup is not None
    assert record is not None
    numbers = [step.workers for step in warmup.crew]

    assert (1, True) == (plan.workers, plan.workers_auto)
    assert 1 == numbers[0]
    assert [step.next_workers for step in warmup.crew[:-1]] == numbers[1:]
    assert min(4, warmup.crew[-1].next_workers) == record.health.workers
    assert all(step.next_workers <= max(step.workers, step.free_cpus) for step in warmup.crew)


def test_processes_are_added_where_the_machine_has_them_and_told(tmp_path: Path) -> None:
    """No call goes out within 1 % of a microsecond: a second process sends if one is free, and the page says either."""
    words = ["--concurrency", "4", "--workers", "auto", "--slo", "ttft.p99=1us", "--input-tokens", "32"]
    times = ["--output-tokens", "2", "--window", "0.5", "--repeats", "1", "--warm-up-min", "0.2", "--warm-up-max", "2"]
    with endpoint_server(Behaviour(first_s=0.001, gap_s=0.0)) as url:
        end = ["--idle", "0", "--power", "none", "-q", "-o", str(tmp_path / "r.json")]
        shown = CliRunner().invoke(bench, ["run", "--endpoint", url, *words, *times, *end], standalone_mode=False)
    result = read_result(tmp_path / "r.json")
    assert result.warmup is not None
    last, record = result.warmup.crew[-1], result.repeats[0].traffic
    assert record is not None
    grown = last.free_cpus > last.workers

    assert last.reason.startswith("late")
    assert (2 if grown else 1) == last.next_workers == record.health.workers
    assert f"(99 %: sends {1e3 * (last.send_late_p99_s or 0):.3g} ms" in shown.stdout
    assert ("2 send from then on" if grown else "no other processor is free") in shown.stdout


def test_a_query_of_several_calls_goes_out_together(ended: Callable[[str], Result]) -> None:
    """Eight calls have one planned start, and the next eight go out when the slowest of them has ended."""
    done = ended("multi-stream").repeats[0].completions
    queries = [range(at, at + 8) for at in range(0, len(done), 8)]

    assert [1] * len(queries) == [len({done.planned_start_ns[row] for row in rows}) for rows in queries]
    for before, after in pairwise(queries):
        assert max(done.end_ns[row] for row in before) <= min(done.start_ns[row] for row in after)


def test_a_trace_is_replayed_by_its_own_times(tmp_path: Path) -> None:
    """Calls go out when the trace says, with its lengths; the plan has the digest of its bytes."""
    rows = [{"at_s": 0.05 * i, "input_tokens": 20 + i, "output_tokens": 3} for i in range(8)]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with endpoint_server(Behaviour()) as url:
        result = run(url, tmp_path, repeats=1, trace=str(trace), input_tokens=None, output_tokens=None)
    done = result.repeats[0].completions
    assert result.plan.traffic is not None
    assert result.plan.traffic.trace_digest is not None

    assert result.plan.traffic.trace_digest.startswith("sha256:")
    assert [50] * 7 == [round((b - a) / 1e6) for a, b in pairwise(done.planned_start_ns)]
    assert {3} == set(done.output_tokens)


def test_the_highest_rate_that_holds_is_found(tmp_path: Path) -> None:
    """Two requests at once of 17 ms each are 115 a second; the search ends below, and the windows are at its rate."""
    with endpoint_server(Behaviour(at_once=2)) as url:
        result = run(url, tmp_path, rate="auto", slo="ttft.p50=30ms")
    search = result.search
    assert search is not None
    assert search.rate_per_s is not None
    assert result.summary is not None
    goodput = result.summary.metric("traffic.goodput")
    assert goodput is not None

    assert search.rate_per_s < 130
    words = r"ttft\.p50 of at most 30 ms (holds|is broken|is unproven) with [\d.,]+ m?s over \d+ sample"
    assert all(re.match(words, probe.reason) for probe in search.probes)
    assert any(not probe.held for probe in search.probes)
    assert {search.rate_per_s} == {r.traffic.rate_per_s for r in result.repeats if r.traffic is not None}
    assert goodput.value is not None


def test_a_stub_of_our_own_is_a_mock(stubbed: tuple[Behaviour, Path]) -> None:
    """A server that calls itself a wattbench stub computes nothing: its result is invalid and says so."""
    result = read_result(stubbed[1])
    assert result.backend is not None
    assert result.verdict is not None

    assert result.backend.mock
    assert "mock" in {doubt.code for doubt in result.doubts if doubt.severity == "severe"}
    assert "invalid" == result.verdict.standing


def test_pages_and_text_tell_of_the_traffic(closed: Result) -> None:
    """One page has how requests came and how the client did; two results have a curve over the load, rising."""
    section = traffic_section(closed)
    subjects = [Subject(name=name, result_id=name, document=closed, data=b"") for name in ("one", "two")]
    curve = curve_section(subjects)
    assert section is not None
    assert curve is not None
    (facts,), (table,) = section.blocks, curve.blocks
    assert isinstance(facts, Facts)
    assert isinstance(table, Table)

    assert "concurrency: 4 in progress" == facts.facts[0].text
    assert {"from the send", "client"} <= {fact.label for fact in facts.facts}
    assert ["4 in progress"] * 2 == [row[0].text for row in table.rows]
    assert any(line.startswith("client") for line in result_lines(closed))


def test_joules_are_those_of_a_known_power(ended: Callable[[str], Result]) -> None:
    """At a constant 100 W a request costs 100 W x window / requests, a session of three calls thrice that, to 1 %."""
    result = ended("agentic")
    assert result.summary is not None
    request, session = (result.summary.metric(f"energy.per_{name}") for name in ("request", "session"))
    assert request is not None
    assert session is not None
    windows = [(WATTS * r.window.duration_s, r) for r in result.repeats]

    assert [pytest.approx(joules / len(r.completions), rel=0.01) for joules, r in windows] == list(request.samples)
    assert [pytest.approx(3 * joules / len(r.completions), rel=0.01) for joules, r in windows] == list(session.samples)


def test_a_page_with_a_cost_file_says_what_a_session_costs(ended: Callable[[str], Result]) -> None:
    """A session of three calls costs three queries."""
    result = ended("agentic")
    inputs = parse_inputs("cloud:\n  usd_per_h: {value: 2.5, source: for illustration}\n", {})
    section = cost_section(Subject(name="one", result_id="one", document=result, data=b"", cost=inputs))
    assert section is not None
    (facts,) = [block for block in section.blocks if isinstance(block, Facts)]
    said = {fact.label: fact.text for fact in facts.facts}
    query_usd, session_usd = (float(said[f"{name}, usage"].split()[0]) for name in ("query", "session"))

    assert 3 * query_usd == pytest.approx(session_usd, rel=0.01)
    assert "3 calls" in said["session, usage"]


def test_what_was_measured_is_computed_again_from_the_file(closed: Result) -> None:
    """Every figure of traffic follows from the rows of the document."""
    assert () == summary_differences(closed)


def test_a_backend_in_this_process_serves_a_schedule_too(tmp_path: Path) -> None:
    """The mock serves an open loop: rows of single requests, stamped here, with the queue in their latency."""
    knobs = {name: value for name, value in QUICK.items() if name != "repeats"}
    result = wattbench.run(
        "tiny-decoder/tiny",
        backend="mock",
        traffic={"rate": 100, "arrival": "constant"},
        repeats=1,
        out=tmp_path / "result.json",
        **knobs,
    )
    record = result.repeats[0].traffic
    assert record is not None

    assert ("server", "user", 100.0) == (result.plan.scenario, record.health.stamps, record.rate_per_s)
    assert {1} == set(result.repeats[0].completions.requests)


SERVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from endpoint_server import Behaviour, endpoint_server
with endpoint_server(Behaviour(), int(sys.argv[2])):
    time.sleep(600)
"""


def test_a_server_is_started_for_the_run_and_stopped_after_it(tmp_path: Path) -> None:
    """The run waits until the server answers, and nothing listens any more when it has ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = tmp_path / "serve.py"
    script.write_text(SERVER)
    command = shlex.join([sys.executable, str(script), str(Path(__file__).parent), str(port)])
    result = run(f"http://127.0.0.1:{port}", tmp_path, server_command=command, concurrency=2, repeats=1)
    with socket.socket() as again:
        refused = again.connect_ex(("127.0.0.1", port))

    assert "complete" == result.status
    assert 0 != refused


def test_a_server_is_not_started_where_another_listens(tmp_path: Path) -> None:
    """The other one would be measured in its place, and its name stand in the result."""
    command = shlex.join([sys.executable, "-c", "import time; time.sleep(600)"])
    with endpoint_server(Behaviour()) as url, pytest.raises(UsageError, match="cannot start its server"):
        run(url, tmp_path, server_command=command, concurrency=1)


def test_a_server_that_ends_says_what_it_wrote(tmp_path: Path) -> None:
    """The last lines of its output are in the error, and the file is valid."""
    command = shlex.join([sys.executable, "-c", "print('made-up last words')"])
    with pytest.raises(WorkerError, match="made-up last words"):
        run("http://127.0.0.1:9", tmp_path, server_command=command, concurrency=1)

    assert "error" == read_result(tmp_path / "result.json").status
