"""Running decoders: one prefill a turn, then one step a token, over a static KV cache."""

from time import perf_counter_ns
from typing import Any

import numpy
import torch
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.torch.engine import Setup, host_values, to_device
from wattbench.backends.torch.slots import SlotCache
from wattbench.results.errors import UsageError

__all__ = ["DecoderEngine"]


class DecoderEngine:
    """Greedy decoding of a fixed number of tokens, all requests in step.

    Cache, positions and token buffers are made once. A decode step is one forward over one new position a request,
    one argmax on the device, and one wait for the device before its time is taken; nothing in it grows with the
    sequence. Each further turn of an agent prefills the last token and its new tokens on top of the kept cache.
    """

    def __init__(self, setup: Setup) -> None:
        self._s = setup
        self._cache = _make_cache(setup)
        self._positions = torch.arange(setup.context, device=setup.device).unsqueeze(0)  # (1, context)
        self._token = torch.zeros(setup.requests, 1, dtype=torch.int64, device=setup.device)
        self._tokens = torch.zeros(setup.requests, setup.outputs, dtype=torch.int64, device=setup.device)
        self._last = self._token

    def run(self, batch: Batch) -> Completion:
        """Execute a batch; a stamp is taken when a position's tokens are there, the end when all are on the host."""
        prompts = _prompts(batch)
        steps = batch.output_tokens // (batch.requests * len(prompts))
        if steps < 1:
            raise UsageError("A decoder needs at least one token out", f"the batch asks for {batch.output_tokens}")
        stamps = [0] * (steps * len(prompts))
        token = self._token[: batch.requests]
        start_ns = perf_counter_ns()
        self._cache.reset()
        position = done = read = 0
        for prompt in prompts:
            ids = to_device(prompt, self._s.device, self._s.dtype)  # (requests, new)
            read += prompt.size
            if done:
                ids = torch.cat([token, ids], dim=1)
            for _ in range(steps):
                logits = self._forward(ids, position)  # (requests, 1, vocabulary)
                torch.argmax(logits[:, -1], dim=-1, keepdim=True, out=token)
                self._tokens[: batch.requests, done].copy_(token[:, 0])
                position += ids.shape[1]
                ids = token
                self._s.synchronise()
                stamps[done] = perf_counter_ns()
                done += 1
        written = self._tokens[: batch.requests, :done].cpu()
        return Completion(
            start_ns=start_ns,
            first_output_ns=stamps[0],
            step_end_ns=tuple(stamps[1:]),
            end_ns=perf_counter_ns(),
            requests=batch.requests,
            input_tokens=read,
            output_tokens=written.numel(),
        )

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the logits at the last prompt position and after each forced token, (steps + 1, vocabulary)."""
        prompt = batch.arrays["input_ids"]
        forced = numpy.zeros(0, dtype=numpy.int64) if forced_tokens is None else forced_tokens
        self._cache.reset()
        rows = [self._forward(to_device(prompt, self._s.device, self._s.dtype), 0)[0, -1]]
        for step, token in enumerate(forced):
            self._token.fill_(int(token))
            rows.append(self._forward(self._token[: len(prompt)], prompt.shape[1] + step)[0, -1])
        return host_values(torch.stack(rows))

    def state(self) -> tuple[Tensor, ...]:
        """Return the cache's buffers, the token buffers and the last logits."""
        return (*_cache_tensors(self._cache), self._positions, self._token, self._tokens, self._last)

    def _forward(self, ids: Tensor, position: int) -> Tensor:
        self._last = self._s.module(
            input_ids=ids,
            position_ids=self._positions[:, position : position + ids.shape[1]],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return self._last


def _prompts(batch: Batch) -> list[numpy.ndarray]:
    """Return the new tokens of each turn, each (requests, new)."""
    later = batch.arrays.get("turn_input_ids")  # (requests, turns - 1, new)
    turns = [] if later is None else [numpy.ascontiguousarray(later[:, turn]) for turn in range(later.shape[1])]
    return [batch.arrays["input_ids"], *turns]


def _make_cache(setup: Setup) -> Any:  # any: our SlotCache or a transformers.Cache of the same slots
    config = getattr(setup.module, "config", None)
    if config is None:
        layers = len(setup.module.tower.layers)
        return SlotCache(layers=layers, capacity=setup.context, batch=setup.requests)
    from wattbench.backends.torch.slots_transformers import slot_cache

    return slot_cache(config, capacity=setup.context, batch=setup.requests)


def _cache_tensors(cache: Any) -> tuple[Tensor, ...]:
    layers = cache.slots if isinstance(cache, SlotCache) else [layer.slots for layer in cache.layers]
    return tuple(tensor for slots in layers for tensor in slots.tensors())
