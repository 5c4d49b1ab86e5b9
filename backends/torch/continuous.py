"""Continuous batching by transformers' own manager: a request takes a slot as soon as another one has left it."""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from math import ceil
from time import perf_counter_ns
from typing import Any

import numpy
import transformers
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.torch.engine import Setup, host_values
from wattbench.backends.torch.watched_head import WatchedHead
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError

__all__ = ["ContinuousEngine"]

PAGE_TOKENS = 256
"""Positions of one page of the KV cache: transformers' default, and what flash attention's kernels ask for."""

STEP_TOKENS = 2048
"""The most tokens of one step, prompts and decoded ones together: enough for products to be limited by arithmetic."""

FORCED_MAX = 64
"""The most tokens that the quality gate may force."""

PATIENCE_S = 1.0
"""How often the wait for a result looks whether the manager's thread is still alive."""

STOP_S = 20.0
"""How long its thread may take to end."""

FLASH = ("flash_attn_interface", "flash_attn", "kernels")
"""Packages that bring flash attention; without one transformers would look for it for nothing."""


class ContinuousEngine:
    """Requests flow through `setup.requests` slots; prompts and decode steps of different requests share a step.

    transformers' ContinuousBatchingManager keeps the paged cache and decides what each step computes, in a thread of
    its own; no page is shared between requests, so equal prompts save nothing. A token's time is when the manager
    had it on the host. The quality gate reads the logits from a watch on the head that is there in every step.
    """

    def __init__(self, setup: Setup) -> None:
        self._s = setup
        self._head = WatchedHead(setup.module.get_output_embeddings(), FORCED_MAX + 1)
        setup.module.set_output_embeddings(self._head)
        config = transformers.GenerationConfig(
            max_new_tokens=setup.outputs, do_sample=False, eos_token_id=-1, pad_token_id=0
        )
        settings: Any = transformers.ContinuousBatchingConfig
        known = {field.name for field in fields(settings)}  # they differ between versions of transformers
        wanted = {name: value for name, value in _wanted(setup).items() if name in known}
        self._manager: Any = setup.module.init_continuous_batching(
            generation_config=config, continuous_batching_config=settings(**wanted)
        )
        self._manager.warmup()  # records CUDA graphs; without them it does nothing
        self._manager.start()

    def run(self, batch: Batch) -> Completion:
        """Execute a batch: all requests are there at the start, and each one's tokens come when they come."""
        prompts = batch.arrays["input_ids"]
        steps = batch.output_tokens // batch.requests
        if steps < 1:
            raise UsageError("A decoder needs at least one token out", f"the batch asks for {batch.output_tokens}")
        start_ns = perf_counter_ns()
        found = self._generated([row.tolist() for row in prompts], steps)
        end_ns = perf_counter_ns()
        parts = tuple(_completion(output, start_ns, end_ns, prompts.shape[1]) for output in found)
        return Completion(
            start_ns=start_ns,
            first_output_ns=None,
            step_end_ns=(),
            end_ns=end_ns,
            requests=len(parts),
            input_tokens=sum(part.input_tokens for part in parts),
            output_tokens=sum(part.output_tokens for part in parts),
            parts=parts,
        )

    def tokens(self, batch: Batch) -> list[list[int]]:
        """Return every request's tokens."""
        steps = batch.output_tokens // batch.requests
        found = self._generated([row.tolist() for row in batch.arrays["input_ids"]], steps)
        return [list(output.generated_tokens) for output in found]

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the logits at the last prompt position and after each forced token, (steps + 1, vocabulary)."""
        forced = [] if forced_tokens is None else [int(token) for token in forced_tokens]
        self._head.force(forced)
        self._generated([batch.arrays["input_ids"][0].tolist()], len(forced) + 1)
        return host_values(self._head.seen[: len(forced) + 1])

    def state(self) -> tuple[Tensor, ...]:
        """Return the tensors of the cache that are known by now, and those of the watch on the head."""
        cache: Any = getattr(self._manager.batch_processor, "cache", None)
        pages = [t for name in ("key_cache", "value_cache") for t in getattr(cache, name, [])]  # before 5.23
        pages += [cache.cache_tensor] if hasattr(cache, "cache_tensor") else []
        return (*pages, self._head.seen, self._head.forced)

    def close(self) -> None:
        """End the manager's thread; safe to call twice."""
        if self._manager.is_running():
            self._manager.stop(block=True, timeout=STOP_S)
            self._manager.destroy()

    @property
    def words(self) -> str:
        """Return how requests are batched, in words."""
        attention = self._s.module.config._attn_implementation
        return (
            f"transformers' continuous batching, {self._s.requests} slots, at most {_step_tokens(self._s)} tokens a "
            f"step, pages of {PAGE_TOKENS} positions that no two requests share, attention {attention}"
        )

    def _generated(self, prompts: list[list[int]], steps: int) -> list[Any]:
        """Return the manager's outputs in the order of the prompts. Raises DeviceError when its thread has ended."""
        order = self._manager.add_requests(inputs=prompts, max_new_tokens=steps, record_timestamps=True)
        wanted, outputs = set(order), dict[str, Any]()
        while len(outputs) < len(order):
            output = self._manager.get_result(timeout=PATIENCE_S)
            if output is not None and output.request_id in wanted:  # else: left over from a call that failed
                if output.error:
                    raise _refusal(output.error)
                if output.is_finished():
                    outputs[output.request_id] = output
            if output is None and not self._manager.is_running():
                raise _refusal("its thread has ended")
        return [outputs[name] for name in order]


def _wanted(setup: Setup) -> dict[str, object]:
    """Return the manager's settings: memory for every slot's whole context, and nothing that is guessed from it."""
    pages = ceil(setup.context / PAGE_TOKENS)
    settings: dict[str, object] = {
        "page_size": PAGE_TOKENS,
        "block_size": None,
        "num_blocks": setup.requests * pages + 1,
        "max_batch_tokens": _step_tokens(setup),
        "max_requests_per_batch": setup.requests,
        "allow_block_sharing": False,
        "auto_switch_to_flash": setup.device.type == "cuda" and any(find_spec(name) for name in FLASH),
    }
    if setup.device.type == "cpu":
        settings |= {"use_cuda_graph": False, "use_async_batching": False}
    return settings


def _step_tokens(setup: Setup) -> int:
    return max(setup.requests, min(STEP_TOKENS, setup.requests * setup.context))


def _completion(output: Any, start_ns: int, end_ns: int, input_tokens: int) -> Completion:
    """Return one request's completion from the manager's record, whose clock is `time.perf_counter`."""
    stamps = [round(1e9 * stamp) for stamp in output.timestamps]
    admitted_ns = min(max(start_ns, round(1e9 * output.lifespan[0])), stamps[0])
    return Completion(
        start_ns=admitted_ns,
        first_output_ns=stamps[0],
        step_end_ns=tuple(stamps[1:]),
        end_ns=min(end_ns, max(stamps[-1], round(1e9 * output.lifespan[1]))),
        requests=1,
        input_tokens=input_tokens,
        output_tokens=len(output.generated_tokens),
    )


def _refusal(why: str) -> DeviceError | OutOfMemoryError:
    what = "Continuous batching has failed"
    if "out of memory" in why or "allocate memory" in why:
        return OutOfMemoryError(what, why, "Choose fewer --slots, or a narrower --precision.")
    return DeviceError(what, why, "Run again with --debug, or choose another --tuning.")
