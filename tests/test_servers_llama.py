"""llama.cpp's own server: its counts, its times, its traps, and what happens when it goes away."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from client_window import within_a_window
from inference_servers import Running, llama_server, metrics_of
from killed_run import assert_partial, run_and_kill
from tiny_gguf import write_tiny_gguf

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.key import load_key
from wattbench.backends.endpoint.target import make_target
from wattbench.backends.traffic import NONE, Served
from wattbench.harness.selftest.paired import closed_loop, open_loop
from wattbench.results.errors import DeviceError, UsageError

PREDICTED = "llamacpp:tokens_predicted_total"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tiny model once."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Running]:
    """Start one server for the tests that leave it alone."""
    with llama_server(model) as running:
        yield running


def client_of(server: Running, *, api: str = "chat", stream: bool = True) -> Client:
    """Return a client of the server."""
    return Client(make_target(server.url, model="tiny", api=api, stream=stream, timeout_s=30))


@pytest.mark.parametrize(("api", "stream"), [("chat", True), ("completions", True), ("chat", False)])
def test_tokens_are_the_servers_own_count_over_a_thousand_requests(server: Running, api: str, stream: bool) -> None:
    """The sum of what was counted is what the server's own counter went up by."""
    client = client_of(server, api=api, stream=stream)
    client.probe()
    before = metrics_of(server)[PREDICTED]
    schedule = closed_loop(1000, 4, input_tokens=24, output_tokens=5, give_up_s=120)
    done = client.serve(schedule, client.prompts(schedule, 1))
    assert set(done.error) == {None}
    assert int(done.output_tokens.sum()) == 5000
    assert metrics_of(server)[PREDICTED] - before == 5000
    if stream:
        assert {len(stamps) for stamps in done.token_ns} == {5}
        assert all((counts == 1).all() for counts in done.token_counts)


def test_prompts_have_about_the_length_that_was_asked_for(server: Running) -> None:
    """Their length was calibrated by two calls; the server's own count is what is recorded."""
    client = client_of(server)
    schedule = closed_loop(40, 4, input_tokens=200, output_tokens=2, give_up_s=60)
    done = client.serve(schedule, client.prompts(schedule, 2))
    assert numpy.abs(done.input_tokens - 200).max() < 40
    assert float(numpy.median(done.cached_tokens)) < 20, "prompts are unique, so that no cache answers"


def test_a_shared_prefix_is_cached_and_said(server: Running) -> None:
    """All calls of a group begin with the same words, which the server's cache has after the first."""
    client = client_of(server)
    schedule = closed_loop(12, 1, input_tokens=300, output_tokens=2, give_up_s=60)
    group = numpy.zeros(12, dtype=numpy.int64)
    schedule = replace(schedule, prefix_group=group, prefix_tokens=group + 250)
    done = client.serve(schedule, client.prompts(schedule, 3))
    assert int(done.cached_tokens[1:].min()) > 200


def test_first_tokens_come_after_the_servers_own_prompt_time(server: Running) -> None:
    """What the client measures holds what the server says that it took, and little more."""
    client = client_of(server)
    schedule = closed_loop(60, 1, input_tokens=400, output_tokens=4, give_up_s=60)
    done = client.serve(schedule, client.prompts(schedule, 4))
    ttft = (done.first_output_ns - done.start_ns) / 1e9
    assert bool((ttft >= done.server_prompt_s).all())
    assert float(numpy.median(ttft - done.server_prompt_s)) < 0.1
    whole = (done.end_ns - done.start_ns) / 1e9
    assert bool((whole >= done.server_prompt_s + done.server_output_s - 0.001).all())


def test_its_connections_end_behind_each_stream(server: Running) -> None:
    """The server says Keep-Alive and closes all the same; the probe finds it, and no call is lost by it."""
    client = client_of(server)
    assert client.probe().reuses is False
    schedule = closed_loop(20, 2, input_tokens=24, output_tokens=2, give_up_s=30)
    done = client.serve(schedule, client.prompts(schedule, 5))
    assert set(done.error) == {None}
    assert bool(done.fresh.all())


def test_a_session_of_two_hundred_calls(server: Running) -> None:
    """Each call goes on with the context of those before it; pauses lie between."""
    calls = 200
    numbers = numpy.arange(calls)
    schedule = replace(
        open_loop(calls, 1e6, None, input_tokens=1, output_tokens=4, give_up_s=120),
        after=numbers - 1,
        pause_ns=numpy.where(numbers % 10 == 9, 5_000_000, 0),
        session=numpy.zeros(calls, dtype=numpy.int64),
        input_tokens=40 + 12 * numbers,
        prefix_tokens=numpy.maximum(0, 40 + 12 * (numbers - 1)),
    )
    client = client_of(server)
    done = client.serve(schedule, client.prompts(schedule, 6))
    assert set(done.error) == {None}
    assert done.call.tolist() == numbers.tolist()
    assert bool((done.start_ns[1:] >= done.end_ns[:-1]).all())
    assert int(done.output_tokens.sum()) == 4 * calls
    assert float(numpy.median(done.cached_tokens[50:] / done.input_tokens[50:])) > 0.5


def test_a_wrong_model_is_refused_with_its_list(server: Running) -> None:
    """llama.cpp would answer under any name; its list says what it has."""
    with pytest.raises(UsageError, match="no model 'tyni'") as caught:
        Client(make_target(server.url, model="tyni")).probe()
    assert "tiny" in f"{caught.value.why} {caught.value.remedy}"


def test_a_key_that_it_asks_for(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nothing is timed; with it all goes well."""
    monkeypatch.setenv("TRIAL_KEY", "sk-llama")
    with llama_server(model, key="sk-llama") as server:
        target = make_target(server.url, model="tiny")
        with pytest.raises(DeviceError, match=r"key|401"):
            Client(target).probe()
        client = Client(target, key=load_key(env="TRIAL_KEY"))
        schedule = closed_loop(4, 2, input_tokens=24, output_tokens=2, give_up_s=30)
        assert set(client.serve(schedule, client.prompts(schedule, 7)).error) == {None}


def test_a_server_that_is_killed_leaves_rows(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call of the schedule ends: served before, broken, or refused after."""
    with llama_server(model) as server:
        client = client_of(server)
        schedule = open_loop(200, 100.0, None, input_tokens=24, output_tokens=20, give_up_s=30)
        prompts = client.prompts(schedule, 8)
        within_a_window(monkeypatch, 1.0, server.kill)
        done: Served = client.serve(schedule, prompts)
    assert len(done) == 200
    kinds = set(done.error_kind)
    assert None in kinds
    assert kinds & {"unreachable", "truncated"}
    assert kinds <= {None, "unreachable", "truncated"}
    assert NONE not in done.end_ns.tolist()


def test_a_run_whose_server_is_killed_is_a_valid_partial_result(model: Path, tmp_path: Path) -> None:
    """The window in which it died keeps its rows by kind, and the run ends there."""
    with llama_server(model) as server:
        result = run_and_kill(server, tmp_path)
    assert_partial(result)
