"""The self-test: the stub against an independent client, its truth paired, and what `bench selftest` says of it."""

import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target
from wattbench.harness.selftest.levels import keep, recall, self_test
from wattbench.harness.selftest.paired import closed_loop, pair
from wattbench.harness.selftest.script import StubScript
from wattbench.harness.selftest.stub_process import Stub


def naive(port: int, number: int, tokens: int) -> list[tuple[int, bytes]]:
    """Return the lines of a stream with the time of each, by the standard library's client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = {"model": "stub", "max_tokens": tokens, "stream": True, "messages": [{"role": "user", "content": "a b c"}]}
    headers = {"X-Request-Id": f"naive-{number}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    assert response.getheader("Server") == "wattbench-stub"
    lines = []
    while line := response.readline():
        lines.append((time.perf_counter_ns(), line.strip()))
    connection.close()
    return lines


def test_the_stubs_truth_is_what_another_client_sees() -> None:
    """Tokens come when the stub says that it wrote them, as many as were asked for, after the scripted times."""
    with Stub(StubScript(ttft_s=0.05, gap_s=0.02)) as stub:
        lines = naive(stub.port, 3, 5)
        truth = stub.truths()[3]
    tokens = [at for at, line in lines if b'"word "' in line]
    assert (truth.tokens, truth.prompt_tokens) == (5, 3)
    assert len(tokens) == len(truth.write_ns) == 5
    assert [at - written >= 0 for at, written in zip(tokens, truth.write_ns, strict=True)] == [True] * 5
    assert truth.write_ns[0] - truth.read_ns >= 50_000_000
    assert numpy.diff(truth.write_ns).min() > 10_000_000
    assert lines[-2][1] == b"data: [DONE]"


def test_what_falls_due_in_a_stall_goes_out_at_its_end() -> None:
    """The stall begins with the first request."""
    with Stub(StubScript(ttft_s=0.1, stalls=((0.05, 0.4),))) as stub:
        naive(stub.port, 0, 1)
        truth = stub.truths()[0]
    assert 0.45 <= (truth.write_ns[0] - truth.read_ns) / 1e9 < 2


def test_a_client_that_stamps_late_is_found_out() -> None:
    """The pairing sees what is wrong with a stamp, to the millisecond that was added."""
    with Stub(StubScript(ttft_s=0.02, gap_s=0.004)) as stub:
        client = Client(make_target(stub.url, model="stub"))
        schedule = closed_loop(8, 2, input_tokens=16, output_tokens=10, give_up_s=20)
        served = client.serve(schedule, client.prompts(schedule, 0))
        truths = stub.truths()
    honest = pair(served, truths)
    late = tuple(stamps + numpy.arange(len(stamps)) * 1_000_000 for stamps in served.token_ns)
    worse = pair(replace(served, token_ns=late), truths)
    assert worse.gap.p50 - honest.gap.p50 == pytest.approx(0.001, abs=0.0005)


def test_nothing_to_pair_is_an_error() -> None:
    """A client that lost every token has no small error."""
    with Stub(StubScript(faults=dict.fromkeys(range(4), "http_500"))) as stub:
        client = Client(make_target(stub.url, model="stub"))
        schedule = closed_loop(4, 2, input_tokens=16, output_tokens=4, give_up_s=20)
        served = client.serve(schedule, client.prompts(schedule, 0))
        with pytest.raises(ValueError, match="no request"):
            pair(served, stub.truths())


def test_a_self_test_is_remembered_for_this_version_and_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version's, and another machine's, are not quoted."""
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path))
    assert recall() is None
    found = self_test((4,))
    [level] = found.levels
    assert (level.concurrency, level.requests) == (4, 16)
    assert level.ttft_p50_s < 0.05
    assert found.small_per_s > 100
    keep(found)
    assert recall() == found
    keep(replace(found, version="another"))
    assert recall() is None
    keep(replace(found, host="another"))
    assert recall() is None
    (tmp_path / "selftest.json").write_text("{")
    assert recall() is None


def test_the_command(tmp_path: Path) -> None:
    """It measures, remembers, and shows again; what was not tested is said in a sentence."""
    environment = {**os.environ, "WATTBENCH_CACHE": str(tmp_path)}

    def bench(*words: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from wattbench.harness.cli.main import main; sys.argv[0] = 'bench'; main()"
        command = [sys.executable, "-c", code, "selftest", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    missing = bench("--cached")
    assert missing.returncode == 2
    assert "bench selftest" in missing.stderr
    done = bench("--concurrency", "2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [level["concurrency"] for level in found["levels"]] == [2]
    shown = bench("--cached")
    assert shown.returncode == 0
    assert "requests/s" in shown.stdout
    assert bench("--concurrency", "0").returncode == 2
