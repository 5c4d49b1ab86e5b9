"""The ONNX Runtime GenAI engine: a decoder built by its model builder, run by its generator, one token a step."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy

from wattbench.backends.contract import Batch, Completion, Outputs, Preparation
from wattbench.backends.cpu_threads import threads_for
from wattbench.backends.host import cache_folder
from wattbench.backends.onnxruntime.engine import prompts_of, steps_of
from wattbench.backends.onnxruntime.genai_build import GenaiGraph, genai_graph
from wattbench.backends.onnxruntime.genai_support import (
    GENAI,
    PROVIDERS,
    available,
    build_request,
    check,
    is_quantised,
    kind_of,
    last_token,
    settings_text,
    supports,
)
from wattbench.backends.onnxruntime.placement import Placement, judge
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError
from wattbench.results.subject import WeightsRecord

__all__ = ["GENAI", "GenaiEngine", "GenaiFacts", "GenaiPrepared", "available", "supports"]

MEMORY_PHRASES = ("allocate memory", "bad_alloc", "out of memory")
"""What ONNX Runtime's allocators say in a plain RuntimeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenaiFacts:
    """What a `BackendRecord` says of this engine; the fields have that record's names and meanings."""

    versions: dict[str, str]
    precision_effective: str
    compute_precision: str | None
    weight_bytes: int
    kv_bytes_per_token: int
    threads: int | None
    tuning: str
    synchronisation: str
    placement: str
    placement_share: float
    fallback: str | None
    token_source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenaiPrepared:
    """An engine that is ready to run, the record of its weights, how long that took, and the facts for the record."""

    engine: "GenaiEngine"
    weights: WeightsRecord
    build_s: float
    facts: GenaiFacts


class GenaiEngine:
    """Greedy decoding of a fixed number of tokens, all requests in step.

    The generator and its static KV cache are kept and rewound between executions. `append_tokens` computes the
    prompt and returns when its logits are there; `generate_next_token` computes the step that the last token needs,
    if nothing has yet, and takes the best token. Each further turn of an agent first computes the last token and then
    its new ones on top of the kept cache. The generator needs a token that ends a text: it is the last of the
    vocabulary, and is never taken before a text is as long as its cache.
    """

    def __init__(self, model: Any, *, requests: int, context: int, end: int) -> None:  # any: onnxruntime_genai's
        self._model = model
        self._most = requests
        self._context = context
        self._end = end
        self._generator: Any = None
        self._requests = 0

    @classmethod
    def open(cls, preparation: Preparation) -> GenaiPrepared:
        """Build the graph or take it from the cache, load it, and return the engine; runs nothing yet.

        Sets no affinity: the backend does, before it opens. Raises UsageError for what the engine cannot do,
        DeviceError when a package is missing or the build fails, OutOfMemoryError when it needs too much, StorageError
        when the graph cannot be kept.
        """
        p = preparation
        started = perf_counter()
        check(p)
        provider = PROVIDERS[kind_of(p.device)]
        graph = genai_graph(build_request(p, provider), cache_folder())
        placed = judge(provider.name, graph.nodes, device=p.device, allow_fallback=p.allow_fallback)
        threads = threads_for(p.threads, p.affinity)
        used = threads if kind_of(p.device) == "cpu" else None
        with _genai_errors(p.load.name):
            model = _load(graph.path, p.device, used)
        return GenaiPrepared(
            engine=cls(model, requests=p.batch, context=p.load.context_tokens, end=last_token(p.load.model)),
            weights=graph.weights,
            build_s=perf_counter() - started,
            facts=_facts(p, graph, placed, used, str(model.device_type)),
        )

    def run(self, batch: Batch) -> Completion:
        """Execute a batch to its end and return truthful times; a stamp is taken when a position's tokens are there."""
        prompts = prompts_of(batch)
        steps = steps_of(batch, len(prompts))
        stamps = [0] * (steps * len(prompts))
        with _genai_errors("this batch"):
            start_ns = perf_counter_ns()
            generator = self._rewound(batch.requests)
            done = read = 0
            for prompt in prompts:
                before = generator.token_count()
                if done:
                    generator.get_logits()  # computes the last token: 0.18.0 misplaces it when appending does
                generator.append_tokens(prompt.astype(numpy.int32))
                read += generator.token_count() - before
                for _ in range(steps):
                    generator.generate_next_token()
                    generator.get_next_tokens()
                    stamps[done] = perf_counter_ns()
                    done += 1
            tokens = sum(len(generator.get_sequence(request)) for request in range(batch.requests))
            end_ns = perf_counter_ns()
        return Completion(
            start_ns=start_ns,
            first_output_ns=stamps[0],
            step_end_ns=tuple(stamps[1:]),
            end_ns=end_ns,
            requests=batch.requests,
            input_tokens=read * batch.requests,
            output_tokens=tokens - read * batch.requests,
        )

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the logits of request 0 at the last prompt position and after each forced token, (steps + 1, width).

        A token is forced by giving the generator logits that have no other maximum; it is then computed by the step
        that `run` takes.
        """
        forced = numpy.zeros(0, dtype=numpy.int64) if forced_tokens is None else forced_tokens
        if self._end in forced:
            raise UsageError("A token cannot be forced", f"{self._end} ends a text here", "Choose another --seed.")
        prompt, *later = prompts_of(batch)
        turn = len(forced) // (1 + len(later))
        with _genai_errors("this batch"):
            generator = self._rewound(batch.requests)
            generator.append_tokens(prompt.astype(numpy.int32))
            rows = [_first_row(generator)]
            for done, token in enumerate(forced, 1):
                chosen = numpy.zeros((batch.requests, 1, rows[0].size), dtype=numpy.float32)
                chosen[:, :, token] = 1.0
                generator.set_logits(chosen)
                generator.generate_next_token()
                if done % turn == 0 and done < len(forced):
                    generator.get_logits()  # as in `run`
                    generator.append_tokens(later[done // turn - 1].astype(numpy.int32))
                rows.append(_first_row(generator))
        return Outputs(values=numpy.stack(rows))

    def close(self) -> None:
        """Free the model; safe to call twice."""
        self._generator = None
        self._model = None

    def _rewound(self, requests: int) -> Any:
        """Return a generator for so many requests whose cache is empty; the last one, where it is for as many."""
        if self._model is None:
            raise DeviceError("The engine genai is not open", "it was closed")
        if requests > self._most:
            why = f"it was prepared for {self._most} requests at once, the batch has {requests}"
            raise UsageError("The batch is too big", why, "Prepare with a larger batch.")
        if self._generator is not None and requests == self._requests:
            self._generator.rewind_to(0)
            return self._generator
        import onnxruntime_genai

        genai: Any = onnxruntime_genai  # any: a compiled module without stubs
        self._generator = None  # its cache goes before the next one's is made
        params = genai.GeneratorParams(self._model)
        length = self._context
        params.set_search_options(max_length=length, min_length=length, batch_size=requests, do_sample=False)
        self._generator, self._requests = genai.Generator(self._model, params), requests
        return self._generator


def _facts(p: Preparation, graph: GenaiGraph, placed: Placement, threads: int | None, seen: str) -> GenaiFacts:
    """Return the facts for the record; `seen` is the generator's own name of its device."""
    provider = PROVIDERS[kind_of(p.device)]
    total = sum(sum(operators.values()) for operators in graph.nodes.values())
    ran = f"{round(placed.share * total)} of the {total} nodes that a profiled trial of this graph ran"
    return GenaiFacts(
        versions=graph.versions,
        precision_effective=p.precision,
        compute_precision=provider.computes if is_quantised(p.precision) else None,
        weight_bytes=graph.weight_bytes,
        kv_bytes_per_token=graph.kv_bytes_per_token,
        threads=threads,
        tuning=settings_text(p, threads),
        synchronisation="the tokens of every step are read on the host before its time stamp",
        placement=f"{ran} were on {provider.name}; the generator names its device {seen}",
        placement_share=placed.share,
        fallback=placed.fallback,
        token_source="lengths of the generator's own sequences",
    )


def _load(folder: str, device: str, threads: int | None) -> Any:
    """Return GenAI's model of a folder, with its thread pool; its telemetry stays off."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read by the library when it is loaded
    import onnxruntime_genai

    genai: Any = onnxruntime_genai  # any: a compiled module without stubs
    config = genai.Config(folder)
    options: dict[str, object] = {"session.intra_op.allow_spinning": "1"}
    if threads is not None:
        options["intra_op_num_threads"] = threads
    else:
        config.set_provider_option(kind_of(device), "device_id", device.partition(":")[2] or "0")
    config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
    return genai.Model(config)


def _first_row(generator: Any) -> numpy.ndarray:
    """Return a copy of the logits of request 0 at the last position."""
    logits = generator.get_logits()  # (requests, 1, vocabulary)
    return numpy.array(logits[0, -1], dtype=numpy.float32)


@contextmanager
def _genai_errors(what: str) -> Iterator[None]:
    """Turn what GenAI raises into DeviceError, or OutOfMemoryError where it says so, with its own words."""
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        said = " ".join(str(exc).split()) or type(exc).__name__
        if isinstance(exc, MemoryError) or any(phrase in said.lower() for phrase in MEMORY_PHRASES):
            remedy = "Choose a smaller load, --batch or --precision."
            raise OutOfMemoryError(f"ONNX Runtime GenAI ran out of memory on {what}", said, remedy) from exc
        raise DeviceError(f"ONNX Runtime GenAI failed on {what}", said, "Choose another --tuning.") from exc
