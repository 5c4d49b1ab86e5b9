"""The backend of an SDK that runs encoders as programs: everything that does not differ from one SDK to another."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import psutil

from wattbench.backends.contract import (
    Availability,
    Batch,
    Completion,
    DeviceFinding,
    DeviceInfo,
    Level,
    Outputs,
    Preparation,
    Prepared,
)
from wattbench.backends.cpu_threads import threads_for
from wattbench.backends.encoders import Execution, OpenEncoder, is_encoder
from wattbench.backends.host import bind, peak_resident_bytes
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.models.work import memory_needed_bytes
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.subject import BackendRecord

if TYPE_CHECKING:
    import numpy

__all__ = ["EncoderBackend", "EncoderSdk"]

FAILURES = (RuntimeError, ValueError, TypeError)
"""What the SDKs' bindings raise; a failure to allocate is a MemoryError, or one of these with words of memory."""

MEMORY_WORDS = ("allocate memory", "bad_alloc", "memoryallocationfailed", "out of memory")


class EncoderSdk(Protocol):
    """What differs: how the SDK is found, which devices it has, and how it loads an encoder on one of them."""

    name: str
    level: Level

    def probe(self) -> Availability:
        """Say whether the SDK can be used; see `contract.Backend`."""
        ...

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the devices that could be used now, best first."""
        ...

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return a finding for each kind of device that is not a matter of course."""
        ...

    def takes(self, load: Load) -> bool:
        """Return whether it can execute an encoder; told from names alone."""
        ...

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the program, load it, and say where it runs.

        Raises DeviceError where a part would run elsewhere and that is not allowed.
        """
        ...


class EncoderBackend:
    """Executes encoders through one SDK; `make_sdk` imports nothing heavy."""

    def __init__(self, make_sdk: Callable[[], EncoderSdk]) -> None:
        self._sdk = make_sdk()
        self.name = self._sdk.name
        self._execution: Execution | None = None
        self._batch = 0
        self._on_cpu = False
        self._peak_bytes: Callable[[], int] | None = None

    def probe(self) -> Availability:
        """Say whether the SDK can be used; its code runs in a child process."""
        return self._sdk.probe()

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the devices that could be used now, best first."""
        return self._sdk.devices()

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each kind of device, and how to get a missing one."""
        return self._sdk.findings()

    def levels(self, load: Load, device: str, precision: str) -> tuple[Level, ...]:
        """Return the one level for encoders, none for other loads and precisions."""
        precisions = next((info.precisions for info in self.devices() if info.name == device), ())
        return (self._sdk.level,) if self._takes(load) and precision in precisions else ()

    def prepare(self, preparation: Preparation) -> Prepared:
        """Make or find the program, load it, prove its placement, run once; errors as the contract says."""
        self.close()
        device = self._checked(preparation)
        bind(preparation.affinity)
        started = perf_counter()
        threads = threads_for(preparation.threads, preparation.affinity)
        try:
            opened = self._sdk.open(preparation, device, threads)
        except (*FAILURES, MemoryError) as exc:
            raise self._failed("load", preparation, exc) from exc
        self._execution = Execution(opened, preparation.load)
        self._preparation, self._batch = preparation, preparation.batch
        self._on_cpu, self._peak_bytes = device.power_covers == "cpu", opened.peak_bytes
        built_at = perf_counter()
        self.run(_first_batch(preparation))
        executed_at = perf_counter()
        return Prepared(
            backend=self._record(preparation, device, opened),
            weights=opened.facts.weights,
            build_s=built_at - started,
            first_execution_s=executed_at - built_at,
        )

    def run(self, batch: Batch) -> Completion:
        """Execute one batch to its end and return truthful times."""
        execution = self._ready(batch)
        try:
            return execution.run(batch)
        except (*FAILURES, MemoryError) as exc:
            raise self._failed("run", self._preparation, exc) from exc

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of request 0 by the code path of `run`."""
        execution = self._ready(batch)
        try:
            return execution.outputs(batch)
        except (*FAILURES, MemoryError) as exc:
            raise self._failed("run", self._preparation, exc) from exc

    def memory_peak_bytes(self) -> int | None:
        """Return the process's own peak where the CPU computes, what the SDK counts elsewhere; None: unknown."""
        if self._on_cpu:
            return peak_resident_bytes()
        return self._peak_bytes() or None if self._peak_bytes is not None else None

    def close(self) -> None:
        """Free the device; safe to call twice and after a failed prepare."""
        execution, self._execution = self._execution, None
        if execution is not None:
            execution.close()

    def _takes(self, load: Load) -> bool:
        return is_encoder(load) and self._sdk.takes(load)

    def _checked(self, p: Preparation) -> DeviceInfo:
        """Return the device. Raises UsageError when device, load or level do not have what is asked for."""
        infos = self.devices()
        device = next((info for info in infos if info.name == p.device), None)
        if device is None:
            raise UsageError(
                f"{self.name} has no device {p.device!r}", *nearest_lines(p.device, [i.name for i in infos])
            )
        for owner, known in ((device.name, device.precisions), (p.load.model.name, p.load.model.precisions)):
            if p.precision not in known:
                why, what = f"it has {', '.join(known)}", f"{owner} has no precision {p.precision!r}"
                raise UsageError(what, why, "Choose one of them with --precision.")
        if not self._takes(p.load):
            what = f"{self.name} cannot execute {p.load.name}"
            raise UsageError(what, "it runs encoders of text and images", "Choose another --backend.")
        if p.tuning != self._sdk.level.name:
            raise UsageError(f"{self.name} has no tuning {p.tuning!r}", f"it has {self._sdk.level.name!r} only")
        return device

    def _ready(self, batch: Batch) -> Execution:
        if self._execution is None:
            raise DeviceError(f"The {self.name} backend is not prepared", "it was closed or never prepared")
        if batch.requests > self._batch:
            why = f"it was prepared for {self._batch} requests at once, the batch has {batch.requests}"
            raise UsageError("The batch is too big", why, "Prepare with a larger batch.")
        return self._execution

    def _failed(self, doing: str, p: Preparation, exc: BaseException) -> DeviceError:
        """Return the error for what the SDK said: where memory was short, with both figures."""
        said = " ".join(str(exc).split()) or type(exc).__name__
        if not isinstance(exc, MemoryError) and not any(word in said.lower() for word in MEMORY_WORDS):
            what = f"{self.name} failed to {doing} {p.load.name} on {p.device}"
            return DeviceError(what, said, "Nothing was tried on another device. `bench doctor` lists the devices.")
        needed, free = memory_needed_bytes(p.load, p.batch, p.precision), psutil.virtual_memory().available
        return OutOfMemoryError(
            f"{p.load.name} does not fit in the memory of {p.device}",
            f"it needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of the host's are free; {said}",
            "Choose a smaller load, --batch or --precision.",
        )

    def _memory_source(self) -> str:
        if self._on_cpu:
            return (
                "peak resident set of the worker process since its start; programs are made in a process of their own"
            )
        if self._peak_bytes is not None:
            return f"{self.name}'s own count of the memory that it took of the device, at its peak"
        return f"unknown: {self.name} does not tell how much of a device's memory it took"

    def _record(self, p: Preparation, device: DeviceInfo, opened: OpenEncoder) -> BackendRecord:
        facts = opened.facts
        shape = "any number of requests" if opened.requests is None else f"shape fixed at {opened.requests} a batch"
        return BackendRecord(
            name=self.name,
            engine=p.tuning,
            versions=facts.versions,
            device=device.name,
            device_name=facts.device_name or device.description,
            precision_requested=p.precision,
            precision_effective=facts.precision_effective,
            threads=facts.threads,
            affinity=tuple(sorted(p.affinity)) if p.affinity is not None else None,
            tuning=f"{facts.tuning}; {shape}",
            synchronisation=facts.synchronisation,
            placement=facts.placement,
            token_source="counted from the inputs that the program read and the vectors that it gave",
            memory_peak_bytes=self.memory_peak_bytes(),
            memory_source=self._memory_source(),
            mock=False,
            emulated=device.emulated_on is not None,
            true_device=device.emulated_on,
            placement_share=facts.placement_share,
            delegated_share=facts.delegated_share,
            fallback=facts.fallback,
        )


def _first_batch(p: Preparation) -> Batch:
    """Return a batch with the load's full inputs."""
    tokens = p.batch * p.load.shape.input_tokens
    arrays = make_arrays(p.load, p.batch, p.seed)
    return Batch(arrays=arrays, requests=p.batch, input_tokens=tokens, output_tokens=0)
