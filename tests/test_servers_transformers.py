"""`transformers serve`: tokens counted as its own tokenizer counts them, and the traps of its streams."""

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

pytest.importorskip("fastapi", reason="transformers serve needs its extra `serving`")

from click.testing import CliRunner
from inference_servers import THOUSAND, Running, transformers_server
from killed_run import assert_partial, run_and_kill
from tiny_llama_folder import write_tiny_llama
from transformers import AutoTokenizer

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target
from wattbench.harness.cli.group import bench
from wattbench.harness.selftest.paired import closed_loop
from wattbench.results.errors import DeviceError
from wattbench.results.files import read_result

REQUESTS = 1000 if THOUSAND else 60
"""`make test-servers` sends a thousand; it takes a minute."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tiny model once."""
    path = tmp_path_factory.mktemp("llama")
    write_tiny_llama(path)
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    """Start one server for all tests."""
    with transformers_server(folder) as running:
        yield running


def test_tokens_are_the_servers_and_our_own_count(server: Running, folder: Path) -> None:
    """Its usage, its pieces, and the tokenizer's count of the text are one number."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    target = make_target(server.url, model=str(folder), timeout_s=60)
    client = Client(target, count=lambda text: len(tokenizer.encode(text, add_special_tokens=False)))
    schedule = closed_loop(REQUESTS, 2, input_tokens=24, output_tokens=5, give_up_s=900)
    prompts = client.prompts(schedule, 1)
    done = client.serve(schedule, prompts)
    assert set(done.error) == {None}, "it never sends [DONE], and its streams are whole all the same"
    assert set(done.output_tokens.tolist()) == set(done.own_output_tokens.tolist()) == {5}
    assert {len(stamps) for stamps in done.token_ns} == {5}
    own = [len(tokenizer.encode(prompts[call])) for call in done.call.tolist()]
    assert done.input_tokens.tolist() == own


def test_it_lists_no_models_offline_and_is_asked_all_the_same(server: Running, folder: Path) -> None:
    """Its list is an error without a hub."""
    facts = Client(make_target(server.url, model=str(folder))).probe()
    assert facts.models is None
    assert facts.server == "uvicorn"


def test_a_model_that_it_cannot_load_is_told_before_anything_is_timed(server: Running) -> None:
    """The server's own words are the reason."""
    with pytest.raises(DeviceError, match="does not answer") as caught:
        Client(make_target(server.url, model="/nowhere/tiny", timeout_s=60)).probe()
    assert caught.value.why


def test_it_reports_no_times_of_its_own(server: Running, folder: Path) -> None:
    """What the server does not say is not made up."""
    client = Client(make_target(server.url, model=str(folder), timeout_s=60))
    schedule = closed_loop(4, 1, input_tokens=24, output_tokens=3, give_up_s=60)
    done = client.serve(schedule, client.prompts(schedule, 2))
    assert bool(numpy.isnan(done.server_prompt_s).all())
    assert set(done.cached_tokens.tolist()) == {-1}


def test_a_run_counts_by_its_tokenizer_what_the_server_counts(server: Running, folder: Path, tmp_path: Path) -> None:
    """`--tokenizer FOLDER` counts the text of each answer: call by call it is the server's usage."""
    words = ["--endpoint", server.url, "--model", str(folder), "--tokenizer", str(folder), "--concurrency", "2"]
    words += ["--input-tokens", "24", "--output-tokens", "6", "--window", "3", "--repeats", "1", "--idle", "0"]
    words += ["--warm-up-min", "0.5", "--warm-up-max", "1", "--power", "none", "-o", str(tmp_path / "r.json"), "-q"]
    found = CliRunner().invoke(bench, ["run", *words], standalone_mode=False)
    result = read_result(tmp_path / "r.json")
    (repeat,) = result.repeats
    assert repeat.traffic is not None
    assert result.backend is not None

    assert "complete" == result.status, found.output
    assert len(repeat.completions) > 0
    assert {None} == set(repeat.completions.error)
    assert {6} == set(repeat.completions.output_tokens)
    assert repeat.completions.output_tokens == repeat.traffic.calls.own_output_tokens
    assert "the server's usage; counted here too" == result.backend.token_source
    assert "usage_mismatch" not in {doubt.code for doubt in result.doubts}


def test_a_run_whose_server_is_killed_is_a_valid_partial_result(folder: Path, tmp_path: Path) -> None:
    """The window in which it died keeps its rows by kind, and the run ends there."""
    with transformers_server(folder) as server:
        result = run_and_kill(server, tmp_path, model=str(folder))
    assert_partial(result)
