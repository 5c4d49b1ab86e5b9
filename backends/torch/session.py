"""One prepared load on one torch device: building it at a level, running it, and falling back to a lower level."""

import gc
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import Any  # any: what a context gives is not used

import numpy
import torch

from wattbench.backends.contract import EAGER, Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.torch.compile import CompileError, compiling, sealed
from wattbench.backends.torch.decoder import DecoderEngine
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
from wattbench.backends.torch.failures import vendor_failures
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
from wattbench.backends.torch.ranks import Ranks
from wattbench.backends.torch.record import backend_record
from wattbench.backends.torch.vendors import vendor_of
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.models.torch_build import BuiltModel, build
from wattbench.models.torch_memory import memory_errors
from wattbench.models.torch_shards import Sharing
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.subject import BackendRecord, RankRecord

__all__ = ["Session", "rank_record"]


class Session:
    """Holds the module and the engine of one load, or one rank's part of it; made by `backend.TorchBackend.prepare`."""

    def __init__(self, preparation: Preparation, ranks: Ranks | None = None) -> None:
        self._p = preparation
        self._ranks = ranks
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
        self.check()
        return self.prepare_falling_back(self.prepare_at, self.close)

    def check(self) -> None:
        """Raise UsageError for a precision or level that is not there; nothing is built."""
        p, kind = self._p, self._device.type
        self._checked_numbers()
        names = [level.name for level in level_list(p.load.model, kind)]
        if batches_continuously(p.load, p.precision):
            names.append(CONTINUOUS)
        if p.tuning not in names:
            what = f"torch has no tuning {p.tuning!r} for {p.load.name} on {kind}"
            raise UsageError(what, *nearest_lines(p.tuning, names))

    def prepare_falling_back(
        self, prepare_at: Callable[[str, str | None], Prepared], give_up: Callable[[], None]
    ) -> Prepared:
        """Return what the level asked for gave, or else the first lower one that can be had."""
        p, kind = self._p, self._device.type
        reason: str | None = None
        for level in cheaper_levels(p.load.model, kind, p.tuning):
            refusal = level_refusal(level, p.load.model, kind, p.batch)
            try:
                if refusal is None:
                    return prepare_at(level, reason)
            except CompileError as exc:
                refusal = str(exc)
            give_up()  # only here: while the error was handled, its frames still held the weights
            reason = f"{level}: {refusal}"
        raise DeviceError("torch could not prepare the load", reason or "it has no levels")

    def prepare_at(self, level: str, reason: str | None) -> Prepared:
        """Build and execute once at a level; `reason` is why another one was asked for.

        Raises CompileError when the level cannot be had.
        """
        p, numbers = self._p, self._checked_numbers()
        apply_threads(p.threads, p.affinity)
        kept_in = str(numbers.dtype).removeprefix("torch.")
        ranks = 1 if self._ranks is None else self._ranks.share.ranks
        self._needed = memory_needed_bytes(p.load, self._at_once, kept_in, ranks)
        return self._prepare_level(level, numbers, reason)

    @property
    def power_covers(self) -> str | None:
        """Return what power channels must cover to see this device."""
        return self._info.power_covers

    def tokens_checksum(self) -> int | None:
        """Return a checksum of the tokens that the last execution wrote; None for an engine that writes none."""
        written = self._engine.written if isinstance(self._engine, DecoderEngine) else None
        return None if written is None else zlib.crc32(written.numpy().tobytes())

    def run(self, batch: Batch) -> Completion:
        """Execute a batch.

        Raises OutOfMemoryError with figures, DeviceError when the device fails, UsageError for more requests than
        prepared.
        """
        engine = self._ready(batch)
        with self._errors("run"), torch.inference_mode(), self._sealed():
            return engine.run(batch)

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the engine's numbers for request 0 of a batch."""
        engine = self._ready(batch)
        with self._errors("run"), torch.inference_mode(), self._sealed():
            return engine.outputs(batch, forced_tokens)

    def memory_peak_bytes(self) -> int | None:
        """Return the peak memory so far in bytes, None when unknown."""
        return peak_memory_bytes(self._device)

    def close(self) -> None:
        """Free the device's memory. Raises DeviceError when the device fails in it."""
        close_engine, self._close_engine = self._close_engine, _nothing
        self._engine = None
        with vendor_failures(self._p.load.name, self._info.name, self._level, "free the memory of"):
            close_engine()
            if self._level not in (EAGER, CONTINUOUS):
                torch.compiler.reset()  # compiled code keeps its constants
            gc.collect()
            if self._device.type != "cpu":
                torch.accelerator.empty_cache()

    @property
    def _at_once(self) -> int:
        """Return how many requests of a batch are in progress at once."""
        return min(self._p.batch, self._p.slots or self._p.batch)

    @property
    def _attention(self) -> str:
        """Return the attention to ask for: an emulation has no kernels of the vendor's, so plain operations there."""
        return "sdpa" if self._info.emulated_on is None else "eager"

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Raise OutOfMemoryError with figures and DeviceError for what the device's software raises within."""
        with (
            memory_errors(self._p.load.name, self._needed, self._device),
            vendor_failures(self._p.load.name, self._info.name, self._level, doing),
        ):
            yield

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
        """Build and execute once at a level.

        Raises CompileError when that cannot be had, DeviceError when the vendor's compiler or runtime fails in it.
        """
        p = self._p
        started = perf_counter()
        self._level = level
        with self._errors("prepare"):
            make_current(self._device)
            exact_products(tf32=p.precision == "tf32")
            built = self._built(numbers.dtype)
            with torch.no_grad():
                made = make_engine(level, p.load.model, self._setup(built, numbers), numbers)
            built_at = perf_counter()
            self._engine, self._close_engine = made.engine, made.close
            self._execute_first(level, made)
            executed_at = perf_counter()
            compile_s = self._compile_s(level, made, executed_at - built_at)
        record = backend_record(p, self._info, built, made, level, numbers, reason, self.memory_peak_bytes())
        return Prepared(
            backend=record,
            weights=built.weights,
            build_s=built_at - started,
            first_execution_s=executed_at - built_at,
            compile_s=compile_s,
        )

    def _built(self, dtype: torch.dtype) -> BuiltModel:
        p = self._p
        sharing = None if self._ranks is None else Sharing(self._ranks.share, self._ranks.summed)
        return build(
            p.load.model,
            weights=p.weights,
            seed=p.seed,
            dtype=dtype,
            device=self._device,
            attention=self._attention,
            sharing=sharing,
        )

    def _execute_first(self, level: str, made: Made) -> None:
        batch = first_batch(self._p.load, self._p.batch, self._p.seed)
        with torch.inference_mode(), nullcontext() if level in (EAGER, CONTINUOUS) else compiling(freezes=made.freezes):
            made.engine.run(batch)

    def _compile_s(self, level: str, made: Made, first_s: float) -> float | None:
        """Return by how much a second execution was shorter than the first; None where nothing is compiled.

        Vendors' devices compile what goes call by call too.
        """
        if level == CONTINUOUS or (level == EAGER and vendor_of(self._device.type) is None):
            return None
        start = perf_counter()
        with torch.inference_mode(), self._sealed():
            made.engine.run(first_batch(self._p.load, self._p.batch, self._p.seed))
        return max(0.0, first_s - (perf_counter() - start))

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
            ranks=self._ranks,
        )


def _nothing() -> None:
    return None


def rank_record(rank: int, record: BackendRecord, covers: str | None) -> RankRecord:
    """Return what a result says of one rank."""
    return RankRecord(
        rank=rank,
        device=record.device,
        device_name=record.device_name,
        covers=covers,
        memory_peak_bytes=record.memory_peak_bytes,
    )


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
