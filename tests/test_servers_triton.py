"""Triton by KServe's protocol: texts and tokens as the server counts them, times that hold its own."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from inference_servers import NEEDS_SERVERS, Running, metrics_of, total, triton_server
from killed_run import assert_partial, run_and_kill
from kserve_server import encoder_client

import wattbench
from wattbench.backends.traffic import NONE
from wattbench.harness.selftest.paired import closed_loop
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result

pytestmark = NEEDS_SERVERS

CALLS, TOKENS = 1000, 128
US = 1e-6


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start Triton once."""
    with triton_server(tmp_path_factory.mktemp("triton")) as running:
        yield running


def done_by(server: Running) -> tuple[int, int, int]:
    """Return what the encoder itself has computed: texts, tokens, and the sum of their ids."""
    one = {"name": "input_ids", "datatype": "INT64", "shape": [1, 1], "data": [0]}
    request = urllib.request.Request(f"{server.url}/v2/models/counter/infer", json.dumps({"inputs": [one]}).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        texts, tokens, ids = json.loads(answer.read())["outputs"][0]["data"]
    return texts, tokens, ids


def of_encoder(metrics: dict[str, float], name: str) -> float:
    """Return one of Triton's counters for the encoder."""
    return total({key: value for key, value in metrics.items() if 'model="encoder"' in key}, name)


def names_of(metrics: dict[str, float]) -> set[str]:
    """Return the names of Triton's counters of a model."""
    return {key.partition("{")[0] for key in metrics if 'model="encoder"' in key}


def test_what_it_computes_is_what_was_sent_over_a_thousand_requests(triton: Running) -> None:
    """Texts by Triton's count, tokens and ids by the model's own; the client's times hold Triton's."""
    client = encoder_client(triton.url)
    schedule = closed_loop(CALLS, 4, input_tokens=TOKENS, output_tokens=0, give_up_s=300)
    prompts = client.prompts(schedule, 1)
    before, done_before = metrics_of(triton), done_by(triton)
    served = client.serve(schedule, prompts)
    after, done_after = metrics_of(triton), done_by(triton)
    texts, tokens, ids = (b - a for a, b in zip(done_before, done_after, strict=True))
    counted = {name: of_encoder(after, name) - of_encoder(before, name) for name in names_of(before)}

    assert {None} == set(served.error)
    assert CALLS == texts == counted["nv_inference_count"] == counted["nv_inference_request_success"]
    assert CALLS * TOKENS == int(schedule.input_tokens[served.call].sum()) == tokens
    assert ids == sum(int(one) for prompt in prompts for one in prompt.split(","))
    assert {0} == set(served.output_tokens.tolist())
    assert {NONE} == set(served.first_output_ns.tolist())
    assert len(set(prompts)) == CALLS
    ours, theirs = (
        float((served.end_ns - served.start_ns).sum()) / 1e9,
        US * counted["nv_inference_request_duration_us"],
    )
    assert theirs <= ours < theirs + CALLS * 0.1


def test_a_run_measures_latency_and_throughput_of_the_encoder(triton: Running, tmp_path: Path) -> None:
    """No first token, no tokens out: requests, tokens in and latencies, and every call a row."""
    wattbench.run(
        traffic={"endpoint": triton.url, "api": "kserve", "model": "encoder", "concurrency": 2},
        out=tmp_path / "r.json",
        window_s=2,
        repeats=2,
        warmup_min_s=0.2,
        warmup_max_s=0.5,
        idle_s=0.0,
        power="none",
    )
    result = read_result(tmp_path / "r.json")
    assert result.summary is not None
    assert result.backend is not None
    requests, tokens, output = (
        result.summary.metric(f"throughput.{n}") for n in ("requests", "input_tokens", "output_tokens")
    )
    assert requests is not None
    assert tokens is not None
    assert output is not None
    latency = {found.name: found.count for found in result.summary.latencies}

    assert ("complete", "served/classify-128", "encoder") == (result.status, result.load.name, result.load.family)
    assert ("triton/2.51.0", "encoder") == (result.backend.engine, result.backend.served_model)
    assert requests.value is not None
    assert requests.value > 10
    assert [TOKENS * rate for rate in requests.samples] == pytest.approx(list(tokens.samples))
    assert output.value is None
    assert latency["latency.request"] == sum(len(repeat.completions) for repeat in result.repeats)
    assert 0 == latency["latency.ttft"]


def test_a_model_that_it_lacks_is_told_by_its_own_words(triton: Running) -> None:
    """Pytriton keeps its list to itself."""
    with pytest.raises(UsageError, match="no model 'encodr'") as caught:
        encoder_client(triton.url, "encodr").probe()
    assert "unknown model" in str(caught.value.why)


def test_a_run_whose_server_is_killed_is_a_valid_partial_result(tmp_path: Path) -> None:
    """The window in which it died keeps its rows by kind, and the run ends there."""
    with triton_server(tmp_path) as server:
        assert_partial(run_and_kill(server, tmp_path, model="encoder", api="kserve"))
