"""Servers that have an environment of their own: llama.cpp's program `llama-server`, and vLLM on the processor."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
from inference_servers import NEEDS_SERVERS, Running, llama_server_wheel, metrics_of, total, vllm_server
from killed_run import assert_partial, run_and_kill
from tiny_gguf import write_tiny_gguf
from tiny_llama_folder import write_tiny_llama

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target
from wattbench.backends.traffic import NONE, Served
from wattbench.harness.selftest.paired import closed_loop

pytestmark = NEEDS_SERVERS

CALLS = 1000


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The names of a server's own counters: tokens in that it computed, those that it had, tokens out.

    `cached_apart`: the first does not hold the second.
    """

    computed: str
    cached: str
    output: str
    cached_apart: bool


LLAMA = Counters(
    computed="llamacpp:prompt_tokens_total",
    cached="llamacpp:prompt_tokens_cached_total",
    output="llamacpp:tokens_predicted_total",
    cached_apart=True,
)
VLLM = Counters(
    computed="vllm:prompt_tokens_total",
    cached="vllm:prompt_tokens_cached_total",
    output="vllm:generation_tokens_total",
    cached_apart=False,
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start llama-server once."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(path)
    with llama_server_wheel(path) as running:
        yield running


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start vLLM once; that takes two minutes."""
    folder = tmp_path_factory.mktemp("llama")
    write_tiny_llama(folder, width=64)
    with vllm_server(folder) as running:
        yield running


def served(
    server: Running, calls: int, *, places: int, api: str = "chat", stream: bool = True
) -> tuple[Served, dict[str, float], dict[str, float]]:
    """Return what a server served of a closed loop, and its counters before and after; its probing is over before."""
    client = Client(make_target(server.url, model="tiny", api=api, stream=stream, timeout_s=60))
    schedule = closed_loop(calls, places, input_tokens=24, output_tokens=5, give_up_s=500)
    prompts = client.prompts(schedule, 1)
    before = metrics_of(server)
    return client.serve(schedule, prompts), before, metrics_of(server)


def assert_counts_agree(server: Running, names: Counters, api: str, stream: bool) -> None:
    """Assert that a thousand requests brought what the server's own counters went up by."""
    done, before, after = served(server, CALLS, places=4, api=api, stream=stream)
    computed, cached, output = (
        total(after, n) - total(before, n) for n in (names.computed, names.cached, names.output)
    )
    assert {None} == set(done.error)
    assert CALLS * 5 == int(done.output_tokens.sum()) == output
    assert int(done.input_tokens.sum()) == computed + (cached if names.cached_apart else 0)
    if stream:
        assert_pieces_fit(done)


def assert_pieces_fit(done: Served) -> None:
    """Assert that each piece of an answer has one token, or that nothing is said of any piece of it."""
    for stamps, counts in zip(done.token_ns, done.token_counts, strict=True):
        if len(stamps) == 5:
            assert [1] * 5 == counts.tolist()
        else:
            assert 1 <= len(stamps) < 5
            assert {NONE} == set(counts.tolist())


@pytest.mark.parametrize(("api", "stream"), [("chat", True), ("completions", True), ("chat", False)])
def test_tokens_are_llamas_own_count_over_a_thousand_requests(llama: Running, api: str, stream: bool) -> None:
    """In and out, as `/metrics` has them."""
    assert_counts_agree(llama, LLAMA, api, stream)


def test_first_tokens_hold_llamas_own_prompt_time(llama: Running) -> None:
    """Call by call, what the client measures is what the server says that it took, and little more."""
    done, _, _ = served(llama, 200, places=1)
    ttft = (done.first_output_ns - done.start_ns) / 1e9
    assert bool((ttft >= done.server_prompt_s).all())
    assert float(numpy.median(ttft - done.server_prompt_s)) < 0.1


@pytest.mark.parametrize(("api", "stream"), [("chat", True), ("completions", True), ("chat", False)])
def test_tokens_are_vllms_own_count_over_a_thousand_requests(vllm: Running, api: str, stream: bool) -> None:
    """In and out, as `/metrics` has them."""
    assert_counts_agree(vllm, VLLM, api, stream)


def test_first_tokens_hold_vllms_own_time_to_them(vllm: Running) -> None:
    """VLLM reports the sum over all requests: the client's sum holds it, and little more a request."""
    done, before, after = served(vllm, 200, places=1)
    name = "vllm:time_to_first_token_seconds"
    requests, seconds = (total(after, f"{name}_{part}") - total(before, f"{name}_{part}") for part in ("count", "sum"))
    ours = float(((done.first_output_ns - done.start_ns) / 1e9).sum())
    assert 200 == requests
    assert seconds <= ours < seconds + 200 * 0.1


def test_a_run_whose_llama_server_is_killed_is_a_valid_partial_result(tmp_path: Path) -> None:
    """The window in which it died keeps its rows by kind, and the run ends there."""
    write_tiny_gguf(tmp_path / "tiny.gguf")
    with llama_server_wheel(tmp_path / "tiny.gguf") as server:
        assert_partial(run_and_kill(server, tmp_path))
