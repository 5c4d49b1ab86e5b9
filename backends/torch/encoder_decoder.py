"""Running encoder-decoders: the encoder once, then one decoder step a token over static caches."""

from time import perf_counter_ns
from typing import Any

import numpy
import torch
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.torch.engine import Setup, host_values, input_positions, to_device
from wattbench.backends.torch.slots_transformers import cross_slot_cache
from wattbench.results.errors import UsageError

__all__ = ["EncoderDecoderEngine"]


class EncoderDecoderEngine:
    """Greedy decoding of a fixed number of tokens from an encoded input, all requests in step.

    The keys and values of cross-attention are computed at the first decoder position and kept, as those of
    self-attention are; both caches are static. The first token out includes the encoder.
    """

    def __init__(self, setup: Setup) -> None:
        self._s = setup
        self._encoder = setup.module.get_encoder()
        self._cache = cross_slot_cache(
            setup.module.config, capacity=setup.context, batch=setup.requests, memory=setup.memory
        )
        self._token = torch.zeros(setup.requests, 1, dtype=torch.int64, device=setup.device)
        self._tokens = torch.zeros(setup.requests, setup.outputs, dtype=torch.int64, device=setup.device)
        self._last = self._token

    def run(self, batch: Batch) -> Completion:
        """Execute a batch; a stamp is taken when a position's tokens are there, the end when all are on the host."""
        steps = batch.output_tokens // batch.requests
        if steps < 1:
            raise UsageError("A decoder needs at least one token out", f"the batch asks for {batch.output_tokens}")
        stamps = [0] * steps
        token = self._token[: batch.requests]
        start_ns = perf_counter_ns()
        encoded = self._encode(batch)
        ids = to_device(batch.arrays["decoder_input_ids"], self._s.device, self._s.dtype)
        for step in range(steps):
            logits = self._decode(encoded, ids)  # (requests, new, vocabulary)
            torch.argmax(logits[:, -1], dim=-1, keepdim=True, out=token)
            self._tokens[: batch.requests, step].copy_(token[:, 0])
            ids = token
            self._s.synchronise()
            stamps[step] = perf_counter_ns()
        written = self._tokens[: batch.requests, :steps].cpu()
        return Completion(
            start_ns=start_ns,
            first_output_ns=stamps[0],
            step_end_ns=tuple(stamps[1:]),
            end_ns=perf_counter_ns(),
            requests=batch.requests,
            input_tokens=input_positions(batch),
            output_tokens=written.numel(),
        )

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the logits after the start tokens and after each forced token, (steps + 1, vocabulary)."""
        forced = numpy.zeros(0, dtype=numpy.int64) if forced_tokens is None else forced_tokens
        encoded = self._encode(batch)
        start = batch.arrays["decoder_input_ids"]
        rows = [self._decode(encoded, to_device(start, self._s.device, self._s.dtype))[0, -1]]
        for token in forced:
            self._token.fill_(int(token))
            rows.append(self._decode(encoded, self._token[: len(start)])[0, -1])
        return host_values(torch.stack(rows))

    def state(self) -> tuple[Tensor, ...]:
        """Return both caches' buffers, the token buffers and the last logits."""
        layers = (*self._cache.self_attention_cache.layers, *self._cache.cross_attention_cache.layers)
        return (*(t for layer in layers for t in layer.slots.tensors()), self._token, self._tokens, self._last)

    def _encode(self, batch: Batch) -> Any:
        self._cache.reset()
        inputs = next(array for name, array in batch.arrays.items() if name != "decoder_input_ids")
        return self._encoder(to_device(inputs, self._s.device, self._s.dtype))

    def _decode(self, encoded: Any, ids: Tensor) -> Tensor:
        self._last = self._s.module(
            encoder_outputs=encoded, decoder_input_ids=ids, past_key_values=self._cache, use_cache=True
        ).logits
        return self._last
