"""Running encoders of text and images as programs: one execution a batch, from host memory to host memory."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

import numpy

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.models.load import Load
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.subject import WeightsRecord

__all__ = [
    "HIDDEN",
    "INPUTS",
    "LOGITS",
    "POOLED",
    "EncoderFacts",
    "EncoderProgram",
    "Execution",
    "OpenEncoder",
    "filled_up",
    "inputs_of",
    "is_encoder",
    "output_names",
]

INPUTS = ("input_ids", "pixel_values")
"""The arrays of a batch that an encoder reads: tokens, or images."""

HIDDEN, POOLED, LOGITS = "last_hidden_state", "pooler_output", "logits"
"""The outputs: hidden states (requests, positions, width), pooled vectors and class logits (requests, width)."""

FAMILIES = ("encoder", "vision-encoder")


class EncoderProgram(Protocol):
    """What an SDK gives: a loaded program that computes all outputs of a batch and hands them out one by one."""

    def execute(self, inputs: numpy.ndarray) -> None:
        """Compute every output and return when that is done."""
        ...

    def read(self, output: int) -> numpy.ndarray:
        """Return an output of the last execution by its place, float32 in host memory."""
        ...

    def close(self) -> None:
        """Let go of everything; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFacts:
    """What is known once a program is loaded; but for `weights` the fields are those of `BackendRecord`.

    `device_name` is given where the device alone would say too much; else its own description holds.
    """

    weights: WeightsRecord
    versions: dict[str, str]
    precision_effective: str
    threads: int | None
    tuning: str
    synchronisation: str
    placement: str
    placement_share: float | None
    delegated_share: float | None = None
    fallback: str | None = None
    device_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEncoder:
    """A loaded program, the number of requests that its shape fixes (None: any), and what is known of it.

    `peak_bytes` gives the SDK's own count of the device's memory at its peak; None: it has none.
    """

    program: EncoderProgram
    requests: int | None
    facts: EncoderFacts
    peak_bytes: Callable[[], int] | None = None


class Execution:
    """Executes batches of one load through a program, and times them.

    A program of fixed shape computes as many requests as it was made for: a smaller batch is filled up with copies of
    its first request, whose results are thrown away; they are not counted as work.
    """

    def __init__(self, opened: OpenEncoder, load: Load) -> None:
        self._opened: OpenEncoder | None = opened
        self._outputs = output_names(load)

    def run(self, batch: Batch) -> Completion:
        """Execute a batch; it ends when every request's vector is on the host."""
        start_ns = perf_counter_ns()
        program = self._execute(batch)
        vectors = program.read(len(self._outputs) - 1)[: batch.requests]  # (requests, width)
        end_ns = perf_counter_ns()
        return Completion(
            start_ns=start_ns,
            first_output_ns=None,
            step_end_ns=(),
            end_ns=end_ns,
            requests=len(vectors),
            input_tokens=batch.input_tokens if _pixels(batch) else int(inputs_of(batch).size),
            output_tokens=0,
        )

    def outputs(self, batch: Batch) -> Outputs:
        """Return request 0's hidden states of all positions and its pooled vector, or its class logits."""
        program = self._execute(batch)
        found = [program.read(place) for place in range(len(self._outputs))]
        if len(found) == 1:
            return Outputs(values=found[0][:1])
        return Outputs(values=numpy.concatenate([found[0][0], found[1][:1]]))

    def close(self) -> None:
        """Let go of the program; safe to call twice."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.program.close()

    def _execute(self, batch: Batch) -> EncoderProgram:
        if self._opened is None:
            raise DeviceError("The program is not loaded", "it was closed")
        program, fixed = self._opened.program, self._opened.requests
        program.execute(filled_up(inputs_of(batch), fixed))
        return program


def output_names(load: Load) -> tuple[str, ...]:
    """Return the outputs of a load's program; the last one stands for a request."""
    return (LOGITS,) if load.model.family == "vision-encoder" else (HIDDEN, POOLED)


def is_encoder(load: Load) -> bool:
    """Return whether a load is one execution from tokens or images to vectors."""
    return load.model.family in FAMILIES


def inputs_of(batch: Batch) -> numpy.ndarray:
    """Return the array of a batch that an encoder reads. Raises UsageError for a batch without one."""
    for name in INPUTS:
        if name in batch.arrays:
            return batch.arrays[name]
    raise UsageError("The batch has no inputs of an encoder", f"it has {', '.join(batch.arrays)}")


def _pixels(batch: Batch) -> bool:
    return "pixel_values" in batch.arrays


def filled_up(inputs: numpy.ndarray, requests: int | None) -> numpy.ndarray:
    """Return the inputs with as many requests as a program was made for."""
    missing = 0 if requests is None else requests - len(inputs)
    if missing <= 0:
        return inputs
    return numpy.concatenate([inputs, numpy.repeat(inputs[:1], missing, axis=0)])
