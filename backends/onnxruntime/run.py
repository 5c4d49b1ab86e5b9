"""One prepared load on one device: its graph in a session or GenAI's generator, run and recorded."""

import gc
import weakref
from pathlib import Path
from time import perf_counter

import numpy
import psutil

from wattbench.backends.contract import Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.cpu_threads import threads_for
from wattbench.backends.host import bind, cache_folder, peak_resident_bytes
from wattbench.backends.onnxruntime.decoder import DecoderEngine
from wattbench.backends.onnxruntime.encoder import EncoderEngine
from wattbench.backends.onnxruntime.engine import Engine
from wattbench.backends.onnxruntime.genai import GenaiEngine
from wattbench.backends.onnxruntime.graphs import Graph, graph_for
from wattbench.backends.onnxruntime.levels import GENAI, levels_for
from wattbench.backends.onnxruntime.listing import words
from wattbench.backends.onnxruntime.offers import Offer
from wattbench.backends.onnxruntime.record import Facts, genai_facts, graph_facts, record_of
from wattbench.backends.onnxruntime.session import (
    NOWHERE_ELSE,
    RUNTIME_ERRORS,
    OpenSession,
    find_offer,
    open_session,
    release,
)
from wattbench.backends.onnxruntime.settings import settings_for
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["Run"]

MEMORY_WORDS = ("allocate memory", "bad_alloc", "bad allocation", "memoryerror", "out of memory")
"""What ONNX Runtime and its providers say when memory is short, in errors of no particular class."""


FAILURES: tuple[type[Exception], ...] = (*RUNTIME_ERRORS, MemoryError)


class Run:
    """Holds the engine of one load; made by `backend.OnnxRuntimeBackend.prepare`."""

    def __init__(self, preparation: Preparation) -> None:
        self._p = preparation
        self._offer: Offer | None = None
        self._opened: OpenSession | None = None
        self._engine: Engine | None = None

    def prepare(self) -> Prepared:
        """Make or find the graph, open it, prove its placement, and execute a short batch."""
        p = self._p
        self._offer = find_offer(p.device)
        self._check(self._offer)
        bind(p.affinity)
        started = perf_counter()
        try:
            facts = self._open_genai() if p.tuning == GENAI else self._open_graph(self._offer)
        except FAILURES as exc:
            raise self._failed("prepare", words(exc)) from exc
        except DeviceError as exc:
            if isinstance(exc, OutOfMemoryError) or not _is_of_memory(exc.why):
                raise
            raise self._out_of_memory(exc.why) from exc
        built_at = perf_counter()
        self.run(_first_batch(p.load, p.batch, p.seed))
        executed_at = perf_counter()
        return Prepared(
            backend=record_of(p, self._offer, facts, self.memory_peak_bytes()),
            weights=facts.weights,
            build_s=built_at - started,
            first_execution_s=executed_at - built_at,
        )

    def run(self, batch: Batch) -> Completion:
        """Execute a batch. Raises OutOfMemoryError with figures, UsageError for more requests than prepared."""
        engine = self._ready(batch)
        try:
            return engine.run(batch)
        except FAILURES as exc:
            raise self._failed("run", words(exc)) from exc

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the engine's numbers for request 0 of a batch."""
        engine = self._ready(batch)
        try:
            return engine.outputs(batch, forced_tokens)
        except FAILURES as exc:
            raise self._failed("run", words(exc)) from exc

    def memory_peak_bytes(self) -> int | None:
        """Return the process's own peak where the CPU computes; ONNX Runtime tells no other device's."""
        on_cpu = self._offer is not None and self._offer.unit == "cpu"
        return peak_resident_bytes() if on_cpu else None

    def close(self) -> None:
        """Free the session and then its plug-in, which would take the process down with a session that still lives."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        opened, self._opened = self._opened, None
        if opened is None:
            return
        library, session = opened.library, weakref.ref(opened.session)
        del opened
        gc.collect()
        if session() is None:
            release(library)

    def _check(self, offer: Offer) -> None:
        """Raise UsageError when device, model or level do not have what is asked for."""
        p = self._p
        for owner, known in ((offer.info.name, offer.info.precisions), (p.load.model.name, p.load.model.precisions)):
            if p.precision not in known:
                why = f"it has {', '.join(known)}"
                raise UsageError(
                    f"{owner} has no precision {p.precision!r}", why, "Choose one of them with --precision."
                )
        levels = [level.name for level in levels_for(p.load, offer.info.name, p.precision)]
        if not levels:
            what = f"onnxruntime cannot execute {p.load.name} on {offer.info.name} in {p.precision}"
            raise UsageError(
                what, "it has no graph for it (docs/onnxruntime.md)", "Choose another --device or --backend."
            )
        if p.tuning not in levels:
            raise UsageError(f"onnxruntime has no tuning {p.tuning!r} here", *nearest_lines(p.tuning, levels))

    def _open_genai(self) -> Facts:
        prepared = GenaiEngine.open(self._p)
        self._engine = prepared.engine
        return genai_facts(prepared)

    def _open_graph(self, offer: Offer) -> Facts:
        p = self._p
        threads = threads_for(p.threads, p.affinity)
        wanted = settings_for(offer, p.precision, threads).graph
        graph = graph_for(p.load, weights=p.weights, seed=p.seed, precision=wanted, cache=cache_folder())
        opened = self._opened = open_session(
            Path(graph.path),
            offer,
            threads=threads,
            precision=p.precision,
            allow_fallback=p.allow_fallback,
            dimensions={} if graph.cache else {"positions": p.load.shape.input_tokens},
        )
        self._engine = _engine(graph, opened, p)
        return graph_facts(graph, opened)

    def _ready(self, batch: Batch) -> Engine:
        if self._engine is None:
            raise DeviceError("The onnxruntime backend is not prepared", "it was closed or never prepared")
        if batch.requests > self._p.batch:
            why = f"it was prepared for {self._p.batch} requests at once, the batch has {batch.requests}"
            raise UsageError("The batch is too big", why, "Prepare with a larger batch.")
        return self._engine

    def _failed(self, doing: str, said: str) -> DeviceError:
        """Return the error for what ONNX Runtime said: where memory was short, with both figures."""
        if _is_of_memory(said):
            return self._out_of_memory(said)
        what = f"ONNX Runtime failed to {doing} {self._p.load.name} on {self._p.device}"
        return DeviceError(what, said, NOWHERE_ELSE)

    def _out_of_memory(self, said: str) -> OutOfMemoryError:
        needed = memory_needed_bytes(self._p.load, self._p.batch, self._p.precision)
        free = psutil.virtual_memory().available
        return OutOfMemoryError(
            f"{self._p.load.name} does not fit in the memory of {self._p.device}",
            f"it needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of the host's are free; {said}".rstrip(
                "; "
            ),
            "Choose a smaller load, --batch or --precision.",
        )


def _is_of_memory(said: str) -> bool:
    return any(phrase in said.lower() for phrase in MEMORY_WORDS)


def _engine(graph: Graph, opened: OpenSession, p: Preparation) -> Engine:
    session, device, number = opened.session, opened.device_type, opened.device_id
    if graph.cache is None:
        return EncoderEngine(session, graph, device=device, device_id=number)
    context = p.load.context_tokens
    return DecoderEngine(session, graph, requests=p.batch, context=context, device=device, device_id=number)


def _first_batch(load: Load, requests: int, seed: int) -> Batch:
    """Return a batch with the load's full inputs of one turn and at most two tokens out."""
    arrays = make_arrays(load, requests, seed)
    arrays.pop("turn_input_ids", None)
    return Batch(
        arrays=arrays,
        requests=requests,
        input_tokens=requests * load.shape.input_tokens,
        output_tokens=requests * min(2, load.shape.output_tokens),
    )
