"""One prepared load on one torch device: building it at a level, running it, and falling back to a lower level."""

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any  # any: what a context gives is not used

import numpy
import torch

from wattbench.backends.contract import EAGER, Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.torch.compile import CompileError, compiling, sealed
from wattbench.backends.torch.device import (
    apply_threads,
    cpu_precision,
    exact_products,
    find_device,
    make_current,
    peak_memory_bytes,
    synchroniser,
)
from wattbench.backends.torch.engine import Engine, Setup
from wattbench.backends.torch.forward import COMPILED_FROM
from wattbench.backends.torch.levels import (
    CONTINUOUS,
    Made,
    batches_continuously,
    cheaper_levels,
    level_list,
    level_refusal,
    make_engine,
)
from wattbench.backends.torch.precision import Numbers, numbers_of
from wattbench.backends.torch.record import backend_record
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.models.torch_build import BuiltModel, build
from wattbench.models.torch_memory import memory_errors
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["Session"]


class Session:
    """Holds the module and the engine of one load; made by `backend.TorchBackend.prepare`."""

    def __init__(self, preparation: Preparation) -> None:
        self._p = preparation
        self._info = find_device(preparation.device)
        self._device = torch.device(self._info.name)
        self._needed = 0
        self._level = EAGER
        self._engine: Engine | None = None
        self._close_engine: Callable[[], None] = _nothing

    def prepare(self) -> Prepared:
        """Build the weights, make the engine of the level asked for, execute a short batch, and prove the placement.

        A level that cannot be compiled gives way to the next lower one, and the record says why.
        """
        p, kind = self._p, self._device.type
        numbers = self._checked_numbers()
        names = [level.name for level in level_list(p.load.model, kind)]
        if batches_continuously(p.load, p.precision):
            names.append(CONTINUOUS)
        if p.tuning not in names:
            what = f"torch has no tuning {p.tuning!r} for {p.load.name} on {kind}"
            raise UsageError(what, *nearest_lines(p.tuning, names))
        apply_threads(p.threads, p.affinity)
        make_current(self._device)
        exact_products(tf32=p.precision == "tf32")
        self._needed = memory_needed_bytes(p.load, self._at_once, str(numbers.dtype).removeprefix("torch."))
        reason: str | None = None
        for level in cheaper_levels(p.load.model, kind, p.tuning):
            refusal = level_refusal(level, p.load.model, kind, p.batch)
            try:
                if refusal is None:
                    return self._prepare_level(level, numbers, reason)
            except CompileError as exc:
                refusal = str(exc)
            self.close()  # only here: while the error was handled, its frames still held the weights
            reason = f"{level}: {refusal}"
        raise DeviceError("torch could not prepare the load", reason or "it has no levels")

    def run(self, batch: Batch) -> Completion:
        """Execute a batch. Raises OutOfMemoryError with figures, UsageError for more requests than prepared."""
        engine = self._ready(batch)
        with memory_errors(self._p.load.name, self._needed, self._device), torch.inference_mode(), self._sealed():
            return engine.run(batch)

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the engine's numbers for request 0 of a batch."""
        engine = self._ready(batch)
        with memory_errors(self._p.load.name, self._needed, self._device), torch.inference_mode(), self._sealed():
            return engine.outputs(batch, forced_tokens)

    def memory_peak_bytes(self) -> int | None:
        """Return the peak memory so far in bytes, None when unknown."""
        return peak_memory_bytes(self._device)

    def close(self) -> None:
        """Free the device's memory."""
        self._close_engine()
        self._close_engine = _nothing
        self._engine = None
        if self._level not in (EAGER, CONTINUOUS):
            torch.compiler.reset()  # compiled code keeps its constants
        gc.collect()
        if self._device.type != "cpu":
            torch.accelerator.empty_cache()

    @property
    def _at_once(self) -> int:
        """Return how many requests of a batch are in progress at once."""
        return min(self._p.batch, self._p.slots or self._p.batch)

    def _sealed(self) -> AbstractContextManager[Any]:
        """Return the context that forbids compiling; nothing is compiled at the lowest level."""
        return nullcontext() if self._level in (EAGER, CONTINUOUS) else sealed()

    def _ready(self, batch: Batch) -> Engine:
        if self._engine is None:
            raise DeviceError("The torch backend is not prepared", "it was closed or never prepared")
        if batch.requests > self._p.batch:
            why = f"it was prepared for {self._p.batch} requests at once, the batch has {batch.requests}"
            raise UsageError("The batch is too big", why, "Prepare with a larger batch.")
        return self._engine

    def _checked_numbers(self) -> Numbers:
        """Return what the precision means. Raises UsageError when device, model or kernels do not have it."""
        wanted, model = self._p.precision, self._p.load.model
        for owner, known in ((self._info.name, self._info.precisions), (model.name, model.precisions)):
            if wanted not in known:
                why = f"it has {', '.join(known)}"
                raise UsageError(f"{owner} has no precision {wanted!r}", why, "Choose one of them with --precision.")
        return numbers_of(wanted, self._device.type, model, cpu_precision())

    def _prepare_level(self, level: str, numbers: Numbers, reason: str | None) -> Prepared:
        """Build and execute once at a level. Raises CompileError when that cannot be had."""
        p = self._p
        started = perf_counter()
        self._level = level
        with memory_errors(p.load.name, self._needed, self._device):
            built = build(p.load.model, weights=p.weights, seed=p.seed, dtype=numbers.dtype, device=self._device)
            with torch.no_grad():
                made = make_engine(level, p.load.model, self._setup(built, numbers), numbers)
            built_at = perf_counter()
            self._engine, self._close_engine = made.engine, made.close
            self._execute_first(level, made)
        executed_at = perf_counter()
        record = backend_record(p, self._info, built, made, level, numbers, reason, self.memory_peak_bytes())
        return Prepared(
            backend=record,
            weights=built.weights,
            build_s=built_at - started,
            first_execution_s=executed_at - built_at,
        )

    def _execute_first(self, level: str, made: Made) -> None:
        batch = first_batch(self._p.load, self._p.batch, self._p.seed)
        with torch.inference_mode(), nullcontext() if level in (EAGER, CONTINUOUS) else compiling(freezes=made.freezes):
            made.engine.run(batch)

    def _setup(self, built: BuiltModel, numbers: Numbers) -> Setup:
        load, shape = self._p.load, self._p.load.shape
        seq2seq = load.model.family == "encoder-decoder"
        longest = max(load.context_tokens, shape.input_tokens + first_tokens(load) - 1)
        return Setup(
            module=built.module,
            device=self._device,
            dtype=numbers.dtype,
            requests=self._at_once,
            context=shape.output_tokens + 1 if seq2seq else longest,
            memory=shape.input_tokens if seq2seq else 0,
            outputs=max(shape.turns * shape.output_tokens, first_tokens(load)),
            synchronise=synchroniser(self._device),
        )


def _nothing() -> None:
    return None


def first_tokens(load: Load) -> int:
    """Return how many tokens out the first execution has for each request.

    A decoder takes a compiled step even where the load has none, since the quality gate does: the second token, or a
    later one for a prompt that is shorter than the position from which steps are compiled.
    """
    if load.model.family != "decoder":
        return min(2, load.shape.output_tokens)
    return 2 + max(0, COMPILED_FROM - load.shape.input_tokens)


def first_batch(load: Load, requests: int, seed: int) -> Batch:
    """Return a batch with the load's full inputs of one turn and so few tokens out that all which is compiled runs."""
    arrays = make_arrays(load, requests, seed)
    arrays.pop("turn_input_ids", None)
    return Batch(
        arrays=arrays,
        requests=requests,
        input_tokens=requests * load.shape.input_tokens,
        output_tokens=requests * first_tokens(load),
    )
