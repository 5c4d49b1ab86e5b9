"""Running decoders: one prefill a turn, then one step a token, over a static KV cache."""

from time import perf_counter_ns

import numpy
import torch
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.torch.engine import Setup, host_values, to_device
from wattbench.backends.torch.forward import Forward
from wattbench.backends.torch.stamps import HostStamps, Stamps
from wattbench.results.errors import UsageError

__all__ = ["DecoderEngine"]


class DecoderEngine:
    """Greedy decoding of a fixed number of tokens, all requests in step.

    Cache, positions and token buffers are made once. A decode step is one forward over one new position a request and
    the choice of the largest logit on the device; nothing in it grows with the sequence. Each further turn of an agent
    prefills the last token and its new tokens on top of the kept cache.
    """

    def __init__(self, setup: Setup, forward: Forward, stamps: Stamps | None = None) -> None:
        self._s = setup
        self._forward = forward
        self._stamps = stamps or HostStamps(setup.synchronise)
        self._token = torch.zeros(setup.requests, 1, dtype=torch.int64, device=setup.device)
        self._tokens = torch.zeros(setup.requests, setup.outputs, dtype=torch.int64, device=setup.device)
        self._last = self._token
        self.written: Tensor | None = None
        """The tokens of the last execution, (requests, tokens), on the host."""

    def run(self, batch: Batch) -> Completion:
        """Execute a batch; a stamp is taken when a position's tokens are there, the end when all are on the host."""
        prompts = _prompts(batch)
        steps = batch.output_tokens // (batch.requests * len(prompts))
        if steps < 1:
            raise UsageError("A decoder needs at least one token out", f"the batch asks for {batch.output_tokens}")
        self._forward.reset()
        start_ns = perf_counter_ns()
        self._stamps.begin()
        token = self._token[: batch.requests]
        position = done = read = 0
        for prompt in prompts:
            ids = to_device(prompt, self._s.device, self._s.dtype)  # (requests, new)
            read += prompt.size
            if done:
                ids = torch.cat([token, ids], dim=1)
            for _ in range(steps):
                self._last = self._forward.logits(ids, position)  # (requests, vocabulary)
                token.copy_(torch.max(self._last, dim=-1, keepdim=True).indices)  # on the CPU faster than argmax
                self._tokens[: batch.requests, done].copy_(token[:, 0])
                position += ids.shape[1]
                ids = token
                self._stamps.mark()
                done += 1
        stamps = self._stamps.read()
        self.written = written = self._tokens[: batch.requests, :done].cpu()
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
        prompt, *later = _prompts(batch)
        forced = numpy.zeros(0, dtype=numpy.int64) if forced_tokens is None else forced_tokens
        turn = len(forced) // (1 + len(later))
        self._forward.reset()
        rows = [self._forward.logits(to_device(prompt, self._s.device, self._s.dtype), 0)[0].clone()]
        position = prompt.shape[1]
        for done, token in enumerate(forced, 1):
            self._token.fill_(int(token))
            ids = self._token[: len(prompt)]
            if done % turn == 0 and done < len(forced):
                new = to_device(later[done // turn - 1], self._s.device, self._s.dtype)
                ids = torch.cat([ids, new], dim=1)
            rows.append(self._forward.logits(ids, position)[0].clone())
            position += ids.shape[1]
        return host_values(torch.stack(rows))

    def state(self) -> tuple[Tensor, ...]:
        """Return the cache's buffers, the token buffers and the last logits."""
        return (*self._forward.state(), self._token, self._tokens, self._last)


def _prompts(batch: Batch) -> list[numpy.ndarray]:
    """Return the new tokens of each turn, each (requests, new)."""
    later = batch.arrays.get("turn_input_ids")  # (requests, turns - 1, new)
    turns = [] if later is None else [numpy.ascontiguousarray(later[:, turn]) for turn in range(later.shape[1])]
    return [batch.arrays["input_ids"], *turns]
