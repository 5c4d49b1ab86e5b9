"""One prepared load on one torch device: building it, proving where it lies, and running it."""

import gc
from time import perf_counter

import numpy
import torch
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.torch.device import (
    apply_threads,
    find_device,
    memory_source,
    peak_memory_bytes,
    synchroniser,
    version_facts,
)
from wattbench.backends.torch.engine import Engine, Setup
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.models.torch_build import TINY, BuiltModel, build
from wattbench.models.torch_memory import memory_errors
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.subject import BackendRecord

__all__ = ["Session"]


class Session:
    """Holds the module and the engine of one load; made by `backend.TorchBackend.prepare`."""

    def __init__(self, preparation: Preparation) -> None:
        self._p = preparation
        self._info = find_device(preparation.device)
        self._device = torch.device(self._info.name)
        self._needed = 0
        self._engine: Engine | None = None

    def prepare(self) -> Prepared:
        """Build the weights, make the engine, execute a short batch, and prove the placement."""
        p = self._p
        dtype = self._checked_dtype()
        apply_threads(p.threads, p.affinity)
        self._needed = memory_needed_bytes(p.load, p.batch, p.precision)
        started = perf_counter()
        with memory_errors(p.load.name, self._needed, self._device):
            built = build(p.load.model, weights=p.weights, seed=p.seed, dtype=dtype, device=self._device)
            built_at = perf_counter()
            self._engine = _make_engine(p.load, self._setup(built, dtype))
        self.run(_first_batch(p.load, p.batch, p.seed))
        executed_at = perf_counter()
        return Prepared(
            backend=self._record(built),
            weights=built.weights,
            build_s=built_at - started,
            first_execution_s=executed_at - built_at,
        )

    def run(self, batch: Batch) -> Completion:
        """Execute a batch. Raises OutOfMemoryError with figures, UsageError for more requests than prepared."""
        engine = self._ready(batch)
        with memory_errors(self._p.load.name, self._needed, self._device), torch.inference_mode():
            return engine.run(batch)

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the engine's numbers for request 0 of a batch."""
        engine = self._ready(batch)
        with memory_errors(self._p.load.name, self._needed, self._device), torch.inference_mode():
            return engine.outputs(batch, forced_tokens)

    def memory_peak_bytes(self) -> int | None:
        """Return the peak memory so far in bytes, None when unknown."""
        return peak_memory_bytes(self._device)

    def close(self) -> None:
        """Free the device's memory."""
        self._engine = None
        gc.collect()
        if self._device.type != "cpu":
            torch.accelerator.empty_cache()

    def _ready(self, batch: Batch) -> Engine:
        if self._engine is None:
            raise DeviceError("The torch backend is not prepared", "it was closed or never prepared")
        if batch.requests > self._p.batch:
            why = f"it was prepared for {self._p.batch} requests at once, the batch has {batch.requests}"
            raise UsageError("The batch is too big", why, "Prepare with a larger batch.")
        return self._engine

    def _checked_dtype(self) -> torch.dtype:
        """Return the precision as torch's type. Raises UsageError when device or model does not have it."""
        wanted, model = self._p.precision, self._p.load.model
        for owner, known in ((self._info.name, self._info.precisions), (model.name, model.precisions)):
            if wanted not in known:
                why = f"it has {', '.join(known)}"
                raise UsageError(f"{owner} has no precision {wanted!r}", why, "Choose one of them with --precision.")
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype

    def _setup(self, built: BuiltModel, dtype: torch.dtype) -> Setup:
        load = self._p.load
        seq2seq = load.model.family == "encoder-decoder"
        return Setup(
            module=built.module,
            device=self._device,
            dtype=dtype,
            requests=self._p.batch,
            context=load.shape.output_tokens + 1 if seq2seq else load.context_tokens,
            memory=load.shape.input_tokens if seq2seq else 0,
            outputs=load.shape.turns * load.shape.output_tokens,
            synchronise=synchroniser(self._device),
        )

    def _record(self, built: BuiltModel) -> BackendRecord:
        assert self._engine is not None, "the record is made after the first execution"
        p = self._p
        versions = version_facts()
        if p.load.model.architecture != TINY:
            import transformers

            versions["transformers"] = transformers.__version__
        affinity = tuple(sorted(p.affinity)) if p.affinity is not None else None
        return BackendRecord(
            name="torch",
            engine="eager",
            versions=versions,
            device=self._info.name,
            device_name=self._info.description,
            precision_requested=p.precision,
            precision_effective=_effective(built.module),
            threads=torch.get_num_threads() if self._device.type == "cpu" else None,
            affinity=affinity,
            tuning=f"attention {built.attention}, static KV cache, no compilation, "
            f"float32 products {torch.get_float32_matmul_precision()}",
            synchronisation=_synchronisation(self._device),
            placement=_placement(built.module, self._engine.state(), self._device),
            token_source="counted from the tokens that the engine wrote and read",
            memory_peak_bytes=self.memory_peak_bytes(),
            memory_source=memory_source(self._device),
            mock=False,
            emulated=False,
            true_device=None,
        )


def _make_engine(load: Load, setup: Setup) -> Engine:
    if load.model.family == "decoder":
        from wattbench.backends.torch.decoder import DecoderEngine

        return DecoderEngine(setup)
    if load.model.family == "encoder-decoder":
        from wattbench.backends.torch.encoder_decoder import EncoderDecoderEngine

        return EncoderDecoderEngine(setup)
    from wattbench.backends.torch.encoder import EncoderEngine

    return EncoderEngine(setup)


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


def _effective(module: torch.nn.Module) -> str:
    """Return the types of the parameters, the one with the most bytes first, joined by "+"."""
    sizes: dict[str, int] = {}
    for parameter in module.parameters():
        name = str(parameter.dtype).removeprefix("torch.")
        sizes[name] = sizes.get(name, 0) + parameter.nbytes
    return "+".join(sorted(sizes, key=lambda name: -sizes[name]))


def _synchronisation(device: torch.device) -> str:
    if device.type == "cpu":
        return "CPU calls return when done; outputs are read on the host in every execution"
    return "torch.accelerator.synchronize before each time stamp; outputs are read on the host in every execution"


def _placement(module: torch.nn.Module, state: tuple[Tensor, ...], device: torch.device) -> str:
    """Return the proof that everything lies on the device. Raises DeviceError when something does not."""
    parts = {
        "parameters": list(module.parameters()),
        "buffers": list(module.buffers()),
        "cache, token and output tensors": list(state),
    }
    for what, tensors in parts.items():
        strayed = {str(t.device) for t in tensors if t.device.type != device.type}
        if strayed:
            raise DeviceError(f"Some {what} do not lie on {device}", f"found on {', '.join(sorted(strayed))}")
    counts = ", ".join(f"{len(tensors)} {what}" for what, tensors in parts.items())
    return f"checked after the first execution: {counts}, all on {device.type}"
