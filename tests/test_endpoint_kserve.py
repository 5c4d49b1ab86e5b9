"""KServe's protocol, version 2: which models are understood, what is sent to them, and what becomes of a run."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from click.testing import CliRunner
from kserve_server import Encoder, encoder_client, kserve_server, tokens_of

import wattbench
from wattbench.backends.endpoint.kserve import ids_of, infer_body, inputs_of
from wattbench.backends.traffic import NONE
from wattbench.harness.cli.group import bench
from wattbench.harness.selftest.paired import closed_loop
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result
from wattbench.results.recheck import summary_differences


def described(inputs: list[dict[str, object]]) -> bytes:
    """Return a server's description of a model with such inputs."""
    return json.dumps({"name": "encoder", "inputs": inputs}).encode()


def test_masks_are_ones_and_types_are_zeros() -> None:
    """Only the ids differ from token to token; a shape has the batch of one that the model asks for."""
    inputs = inputs_of(described(tokens_of("input_ids", "attention_mask", "token_type_ids")), "encoder")
    sent = json.loads(infer_body(inputs, "7,8,9"))["inputs"]

    assert {"input_ids": [7, 8, 9], "attention_mask": [1, 1, 1], "token_type_ids": [0, 0, 0]} == {
        one["name"]: one["data"] for one in sent
    }
    assert [[1, 3]] * 3 == [one["shape"] for one in sent]


def test_a_model_without_a_batch_gets_none() -> None:
    """Its tensors have one dimension, and the datatype that it asks for."""
    inputs = inputs_of(described(tokens_of("ids", shape=(-1,), datatype="INT32")), "encoder")

    assert [{"name": "ids", "shape": [2], "datatype": "INT32", "data": [7, 8]}] == json.loads(
        infer_body(inputs, "7,8")
    )["inputs"]


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        (described(tokens_of("text", datatype="BYTES", shape=(-1, 1))), "text BYTES"),
        (described(tokens_of("image", datatype="FP32", shape=(-1, 3, 224, 224))), "image FP32"),
        (described(tokens_of("input_ids", "other")), "input_ids INT64"),
        (described(tokens_of("attention_mask")), "attention_mask INT64"),
        (described(tokens_of("input_ids", shape=(8, -1))), "8 texts at once"),
        (described(tokens_of("input_ids") + tokens_of("attention_mask", shape=(-1,))), "attention_mask INT64"),
        (described([]), "it takes nothing"),
        (b"[]", "not understood"),
        (b"no JSON", "not understood"),
        (b'{"inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [-1, "many"]}]}', "not understood"),
        (b'{"inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [-1, 1e999]}]}', "not understood"),
    ],
)
def test_models_that_take_something_else_are_refused_with_what_they_take(metadata: bytes, why: str) -> None:
    """Nothing is made up for an input that is no token ids."""
    with pytest.raises(UsageError) as caught:
        inputs_of(metadata, "encoder")

    assert why in str(caught.value.why)


def test_ids_are_as_many_as_the_schedule_says_and_new_for_each_seed() -> None:
    """No cache can have them."""
    inputs = inputs_of(described(tokens_of("input_ids")), "encoder")
    schedule = closed_loop(50, 2, input_tokens=12, output_tokens=0, give_up_s=10)
    one, again, other = (ids_of(schedule, seed, inputs) for seed in (1, 1, 2))

    assert {12} == {len(ids.split(",")) for ids in one}
    assert one == again
    assert 100 == len({*one, *other})


def test_a_model_of_one_length_gets_no_other() -> None:
    """The length that it takes is in the message, and the probe has it too."""
    encoder = Encoder(inputs=tokens_of("input_ids", shape=(-1, 16)))
    with kserve_server(encoder) as url:
        client = encoder_client(url)
        with pytest.raises(UsageError, match="exactly 16"):
            client.prompts(closed_loop(2, 1, input_tokens=12, output_tokens=0, give_up_s=10), 1)

    assert [16] == [len(body["inputs"][0]["data"]) for body in encoder.bodies]


def test_failures_are_rows_and_successes_have_no_tokens_out() -> None:
    """An HTTP 500 is counted by its kind; the others took time and gave tensors."""
    encoder = Encoder(fails=5)
    with kserve_server(encoder) as url:
        client = encoder_client(url)
        schedule = closed_loop(40, 4, input_tokens=12, output_tokens=0, give_up_s=10)
        served = client.serve(schedule, client.prompts(schedule, 1))
    good = numpy.array([error is None for error in served.error])

    assert {None, "http_5xx"} == set(served.error_kind)
    assert 8 == served.error_kind.count("http_5xx")
    assert {0} == set(served.output_tokens[good].tolist())
    assert {NONE} == set(served.first_output_ns.tolist())
    assert not served.fresh[8:][good[8:]].all(), "connections outlive an answer"


@pytest.mark.parametrize(("listed", "why"), [(True, "encoder"), (False, "unknown model")])
def test_a_wrong_model_is_told_with_the_list_or_the_servers_words(listed: bool, why: str) -> None:
    """Some servers keep their list to themselves."""
    with kserve_server(Encoder(listed=listed)) as url, pytest.raises(UsageError, match="no model 'encodr'") as caught:
        encoder_client(url, "encodr").probe()

    assert why in f"{caught.value.why} {caught.value.remedy}"


def test_a_run_goes_the_whole_way(tmp_path: Path) -> None:
    """The only model is found, and the result has requests, tokens in and latencies, and no tokens out."""
    encoder = Encoder()
    with kserve_server(encoder) as url:
        wattbench.run(
            traffic={"endpoint": url, "api": "kserve", "concurrency": 2, "input_tokens": 24},
            out=tmp_path / "r.json",
            window_s=0.6,
            repeats=2,
            warmup_min_s=0.2,
            warmup_max_s=0.5,
            idle_s=0.0,
            power="none",
        )
    result = read_result(tmp_path / "r.json")
    assert result.backend is not None
    assert result.plan.endpoint is not None

    assert ("complete", "served/classify-128@24", "encoder") == (result.status, result.load.name, result.load.family)
    assert ("made-up/2.0", "encoder") == (result.backend.engine, result.backend.served_model)
    assert "the token ids that were sent; the server counts none" == result.backend.token_source
    assert not result.plan.endpoint.stream
    for repeat in result.repeats:
        assert {24} == set(repeat.completions.input_tokens)
        assert {0} == set(repeat.completions.output_tokens)
        assert {None} == set(repeat.completions.error)
    assert () == summary_differences(result)
    assert {24} == {len(body["inputs"][0]["data"]) for body in encoder.bodies[1:]}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--api", "kserve", "--tokenizer", "x"], "--tokenizer contradicts --api kserve"),
        (["--api", "kserve", "--input-tokens", "8", "--output-tokens", "8"], "--output-tokens contradicts"),
        (["--api", "kserve", "--load", "served/chat"], "contradicts --api kserve"),
        (["--load", "served/classify-128"], "contradicts --endpoint"),
        (["--api", "kserve", "--sessions", "2"], "--sessions contradicts --api kserve"),
    ],
)
def test_contradictions_are_refused_before_anything_is_sent(words: list[str], expected: str) -> None:
    """An encoder writes no text, and a writer of text is no encoder."""
    found: Any = CliRunner().invoke(bench, ["run", "--endpoint", "http://127.0.0.1:9", *words], standalone_mode=False)

    assert isinstance(found.exception, UsageError)
    assert expected in str(found.exception)
