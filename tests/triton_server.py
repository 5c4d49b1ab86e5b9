"""Triton with a small encoder, by pytriton in an environment of its own; ends when its standard input ends.

Arguments: the ports of HTTP, gRPC and metrics. The encoder `encoder` takes input_ids and attention_mask (batch, tokens)
and gives the mean of its words' vectors through one layer. Its second model, `counter`, gives what the first has
computed since the start: texts, tokens and the sum of their ids.
"""

import sys

import numpy
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

WORDS, WIDTH, BATCH_MAX = 30_000, 64, 8


def main() -> None:
    """Serve until nobody listens any more."""
    drawn = numpy.random.default_rng(0)
    vectors = drawn.standard_normal((WORDS, WIDTH)).astype(numpy.float32)
    layer = drawn.standard_normal((WIDTH, WIDTH)).astype(numpy.float32)
    done = numpy.zeros(3, dtype=numpy.int64)

    @batch
    def encode(input_ids: numpy.ndarray, attention_mask: numpy.ndarray) -> dict[str, numpy.ndarray]:
        done[:] += (len(input_ids), int(attention_mask.sum()), int((input_ids * attention_mask).sum()))
        seen = vectors[input_ids] * attention_mask[:, :, None]  # (batch, tokens, width)
        return {"pooled": numpy.tanh(seen.mean(axis=1) @ layer)}

    @batch
    def count(input_ids: numpy.ndarray) -> dict[str, numpy.ndarray]:
        return {"done": numpy.repeat(done[None], len(input_ids), axis=0)}

    http, grpc, metrics = (int(port) for port in sys.argv[1:])
    ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    config = TritonConfig(http_address="127.0.0.1", grpc_address="127.0.0.1", metrics_address="127.0.0.1", **ports)
    tokens = [Tensor(name=name, dtype=numpy.int64, shape=(-1,)) for name in ("input_ids", "attention_mask")]
    batching = ModelConfig(max_batch_size=BATCH_MAX, batcher=DynamicBatcher(max_queue_delay_microseconds=0))
    with Triton(config=config) as triton:
        pooled = [Tensor(name="pooled", dtype=numpy.float32, shape=(WIDTH,))]
        triton.bind(model_name="encoder", infer_func=encode, inputs=tokens, outputs=pooled, config=batching)
        sums = [Tensor(name="done", dtype=numpy.int64, shape=(3,))]
        triton.bind(model_name="counter", infer_func=count, inputs=tokens[:1], outputs=sums, config=batching)
        triton.run()
        sys.stdin.read()


if __name__ == "__main__":
    main()
