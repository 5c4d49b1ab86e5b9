"""The engines over ONNX graphs: tokens, counts and times, turns, smaller batches, two memories, NaN."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

pytest.importorskip("onnxruntime", reason="graphs are run by it")
pytest.importorskip("onnxscript", reason="torch exports through it")
pytest.importorskip("torch", reason="it exports the graphs")

import onnxruntime
import torch

from wattbench.backends.contract import Batch
from wattbench.backends.onnxruntime.decoder import DecoderEngine
from wattbench.backends.onnxruntime.encoder import EncoderEngine
from wattbench.backends.onnxruntime.engine import prompts_of
from wattbench.backends.onnxruntime.graphs import Graph, graph_for
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_build import build
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import UsageError
from wattbench.testing import make_batch

DECODER, ENCODER = find_load("tiny-decoder/tiny"), find_load("tiny-encoder/tiny-encode")
AGENT = Load(model=DECODER.model, shape=replace(DECODER.shape, turns=3, turn_input_tokens=5, output_tokens=4))


@pytest.fixture(scope="module")
def graphs(graph_cache: Path) -> dict[str, Graph]:
    """Build the float32 graphs of the tiny models once."""
    loads = {"decoder": DECODER, "encoder": ENCODER}
    made = {"weights": "synthetic", "seed": 0, "precision": "float32"}
    return {name: graph_for(load, **made, cache=graph_cache) for name, load in loads.items()}  # type: ignore[arg-type] # str


class OtherProvider:
    """A session that names another first provider: one that is not known to write in place."""

    def __init__(self, session: Any) -> None:  # any: onnxruntime is untyped
        self.session = session

    def get_providers(self) -> list[str]:
        """Return a provider that nobody knows."""
        return ["OtherExecutionProvider", "CPUExecutionProvider"]

    def io_binding(self) -> Any:  # any: onnxruntime is untyped
        """Return a binding of the real session."""
        return self.session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:  # any: onnxruntime is untyped
        """Run the real session."""
        self.session.run_with_iobinding(binding)


def session_of(graph: Graph) -> Any:  # any: onnxruntime is untyped
    """Open a graph on the CPU with one thread, silent about copies of the cache."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.path, options, providers=["CPUExecutionProvider"])


def decoder(graph: Graph, load: Load = DECODER, requests: int = 2, session: Any = None) -> DecoderEngine:
    """Return a decoder's engine for a load."""
    session = session or session_of(graph)
    return DecoderEngine(session, graph, requests=requests, context=load.context_tokens, device="cpu", device_id=0)


def written(engine: DecoderEngine, batch: Batch) -> list[list[int]]:
    """Run a batch and return each step's tokens, from the engine's buffer."""
    done = engine.run(batch)
    buffer = engine._tokens[done.output_tokens].numpy()
    rows: list[list[int]] = buffer.reshape(-1, batch.requests).tolist()
    return rows


def test_a_run_writes_the_greedy_tokens_of_the_reference(graphs: dict[str, Graph]) -> None:
    """The timed path writes the tokens of torch's full forwards, run after run."""
    engine, batch = decoder(graphs["decoder"]), make_batch(DECODER, 2)
    reference = reference_outputs(DECODER.model, batch.arrays, 8, weights="synthetic", seed=0)
    runs = [[row[0] for row in written(engine, batch)] for _ in range(2)]

    assert reference.forced_tokens is not None
    assert [reference.forced_tokens.tolist()] * 2 == runs


def test_a_completion_counts_and_orders(graphs: dict[str, Graph]) -> None:
    """Counts come from the arrays that were read and written; a stamp a token lies between start and end."""
    done = decoder(graphs["decoder"]).run(make_batch(DECODER, 2))
    stamps = (done.start_ns, done.first_output_ns or 0, *done.step_end_ns, done.end_ns)

    assert (2, 2 * 16, 2 * 8) == (done.requests, done.input_tokens, done.output_tokens)
    assert 7 == len(done.step_end_ns)
    assert sorted(stamps) == list(stamps)


def test_turns_write_what_torch_writes(graphs: dict[str, Graph]) -> None:
    """An agent's later turns prefill the last token and the new ones over the kept cache: the tokens are torch's."""
    batch = make_batch(AGENT, 2)
    module = build(AGENT.model, weights="synthetic", seed=0, dtype=torch.float32, device=torch.device("cpu")).module
    text, expected = torch.zeros(2, 0, dtype=torch.int64), []
    for prompt in prompts_of(batch):
        text = torch.cat([text, torch.from_numpy(prompt)], dim=1)
        for _ in range(AGENT.shape.output_tokens):
            token = module(input_ids=text).logits[:, -1].argmax(dim=-1, keepdim=True)
            text = torch.cat([text, token], dim=1)
            expected.append(token[:, 0].tolist())
    engine = decoder(graphs["decoder"], AGENT)

    assert expected == written(engine, batch)
    assert (2 * (16 + 2 * 5), 2 * 3 * 4) == (engine.run(batch).input_tokens, engine.run(batch).output_tokens)


def test_an_agent_s_outputs_are_the_reference_s_in_every_turn(graphs: dict[str, Graph]) -> None:
    """The gate sees the logits of later turns, which the last token and the new ones begin together."""
    batch = make_batch(AGENT, 2)
    reference = reference_outputs(AGENT.model, batch.arrays, 4, weights="synthetic", seed=0)
    found = decoder(graphs["decoder"], AGENT).outputs(batch, reference.forced_tokens).values

    assert (3 * 4 + 1, reference.values.shape[1]) == found.shape
    numpy.testing.assert_allclose(found, reference.values, atol=1e-4)


def test_fewer_requests_than_prepared_change_no_number(graphs: dict[str, Graph]) -> None:
    """A batch of one in an engine for three computes what an engine for one computes, and full ones still work."""
    engine, single = decoder(graphs["decoder"], requests=3), make_batch(DECODER, 1)
    alone = written(decoder(graphs["decoder"], requests=1), single)
    full = written(engine, make_batch(DECODER, 3))

    assert alone == written(engine, single)
    assert full == written(engine, make_batch(DECODER, 3))
    assert alone == [row[:1] for row in full]


def test_two_memories_give_what_one_gives(graphs: dict[str, Graph]) -> None:
    """A provider that is not known to write in place gets two memories in turns, and the same numbers."""
    graph, batch = graphs["decoder"], make_batch(DECODER, 2)
    other = decoder(graph, session=OtherProvider(session_of(graph)))
    forced = numpy.array([5, 6, 7], dtype=numpy.int64)

    assert (1, 2) == (len(decoder(graph)._caches), len(other._caches))
    assert written(decoder(graph), batch) == written(other, batch)
    assert numpy.array_equal(decoder(graph).outputs(batch, forced).values, other.outputs(batch, forced).values)


def test_outputs_do_not_disturb_a_run(graphs: dict[str, Graph]) -> None:
    """Looking at logits between two runs leaves their tokens as they are."""
    engine, batch = decoder(graphs["decoder"]), make_batch(DECODER, 2)
    before = written(engine, batch)
    rows = engine.outputs(batch, None).values

    assert (1, 256) == rows.shape
    assert before[0][0] == int(rows[0].argmax())
    assert before == written(engine, batch)


def test_a_batch_without_tokens_out_is_refused(graphs: dict[str, Graph]) -> None:
    """A decoder's batch asks for at least one token."""
    batch = replace(make_batch(DECODER, 2), output_tokens=0)

    with pytest.raises(UsageError, match="at least one token"):
        decoder(graphs["decoder"]).run(batch)


def test_nan_weights_do_not_stop_a_run(graphs: dict[str, Graph], tmp_path: Path) -> None:
    """Logits that are not numbers still give a token each, and are seen in the outputs."""
    source = Path(graphs["decoder"].path)
    data = source.with_name("model.onnx.data")
    spoiled = tmp_path / "model.onnx"
    spoiled.write_bytes(source.read_bytes())
    weights = numpy.full(data.stat().st_size // 4, numpy.nan, dtype=numpy.float32)
    spoiled.with_name(data.name).write_bytes(weights.tobytes())
    graph = replace(graphs["decoder"], path=str(spoiled))
    batch = make_batch(DECODER, 2)

    assert 16 == decoder(graph).run(batch).output_tokens
    assert numpy.isnan(decoder(graph).outputs(batch, None).values).all()


def test_an_encoder_reads_every_vector(graphs: dict[str, Graph]) -> None:
    """A completion's requests are the rows that reached the host, its positions those that were read."""
    engine = EncoderEngine(session_of(graphs["encoder"]), graphs["encoder"], device="cpu", device_id=0)
    batch = make_batch(ENCODER, 3)
    done = engine.run(batch)

    assert (3, batch.input_tokens, 0) == (done.requests, done.input_tokens, done.output_tokens)
    assert (None, ()) == (done.first_output_ns, done.step_end_ns)
    assert done.start_ns < done.end_ns


def test_closing_twice_is_safe(graphs: dict[str, Graph]) -> None:
    """An engine that is closed holds no session and no cache."""
    engines = (
        decoder(graphs["decoder"]),
        EncoderEngine(session_of(graphs["encoder"]), graphs["encoder"], device="cpu", device_id=0),
    )
    for engine in engines:
        engine.close()
        engine.close()

    assert [None, None] == [engine._session for engine in engines]
