"""A model of LiteRT on a phone: pushed with `benchmark_model`, executed by it, outputs pulled, spans timed by it."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy

from wattbench.backends.adb import Adb
from wattbench.backends.clocks import ClockOffset
from wattbench.backends.contract import DeviceInfo, Preparation
from wattbench.backends.encoders import INPUTS, EncoderFacts, OpenEncoder, output_names
from wattbench.backends.litert.benchmark_model import Batchwise, Report, arguments, parse, refused
from wattbench.backends.litert.model import model_for
from wattbench.backends.litert.phone_devices import OPTIONS, delegate_files, device_of, judge
from wattbench.backends.phone import Phone, PhoneFacts, placed
from wattbench.models.inputs import make_arrays
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["THREADS", "PhoneProgram", "TimedSpan", "open_on_phone"]

THREADS = 4
"""Threads on the phone's processor unless `--threads` says how many: its large cores are four at most (our choice)."""

CALL_S = 300.0
"""How long one call may take beyond its executions: NPUs compile a model anew in every process."""

TOOL, MODEL, INPUT, OUTPUT = "benchmark_model", "model.tflite", "inputs.bin", "outputs.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSpan:
    """What the tool said of a span, and how the phone's clock stood; `thermal_status` is the higher of two looks."""

    report: Report
    clock: ClockOffset
    thermal_status: int | None


class PhoneProgram:
    """A model with its tool in a folder of ours on the phone; each call starts the tool anew, as it is made for."""

    def __init__(self, phone: Phone, facts: PhoneFacts, flags: tuple[str, ...], *, threads: int, outputs: int) -> None:
        self._phone, self._facts, self._flags = phone, facts, flags
        self._threads, self._count = threads, outputs
        self._pushed: bytes | None = None
        self._outputs: list[numpy.ndarray] = []
        self.report: Report | None = None
        """What the tool said at the last call."""

    def execute(self, inputs: numpy.ndarray) -> None:
        """Execute once and bring the outputs here; the tool is started for it, and loads the model."""
        shape = self._feed(inputs)
        self.report = self._call(shape, runs=1, seconds=0.0, warm_up_s=0.0, output=True)
        self._outputs = self._fetched(shape)

    def read(self, output: int) -> numpy.ndarray:
        """Return an output of the last execution, float32 in host memory."""
        return self._outputs[output]

    def span(self, inputs: numpy.ndarray, seconds: float, warm_up_s: float) -> TimedSpan:
        """Let the tool execute for a span by itself, after warming up, and place it on this machine's clock."""
        shape = self._feed(inputs)
        exchanges, before = self._phone.exchanges(), self._phone.thermal_status()
        report = self._call(shape, runs=1, seconds=seconds, warm_up_s=warm_up_s, output=False)
        exchanges += self._phone.exchanges()
        known = [status for status in (before, self._phone.thermal_status()) if status is not None]
        return TimedSpan(report=report, clock=placed(exchanges), thermal_status=max(known, default=None))

    def close(self) -> None:
        """Remove everything from the phone; safe to call twice."""
        phone, self._outputs = self._phone, []
        phone.close()

    def _feed(self, inputs: numpy.ndarray) -> tuple[int, ...]:
        """Push inputs unless they are there already, and return their shape; tokens are given in int32."""
        wanted = inputs if inputs.dtype == numpy.float32 else inputs.astype(numpy.int32)
        data = numpy.ascontiguousarray(wanted).tobytes()
        if data != self._pushed:
            with tempfile.TemporaryDirectory(prefix="wattbench-phone-") as folder:
                path = Path(folder) / INPUT
                path.write_bytes(data)
                self._phone.push(path, INPUT)
            self._pushed = data
        return tuple(wanted.shape)

    def _call(self, shape: tuple[int, ...], *, runs: int, seconds: float, warm_up_s: float, output: bool) -> Report:
        how = Batchwise(
            runs=runs,
            seconds=seconds,
            warm_up_s=warm_up_s,
            threads=self._threads,
            shape=shape,
            model=MODEL,
            input_file=INPUT,
            output_file=OUTPUT if output else None,
        )
        command = (f"./{TOOL}", *arguments(how, self._flags))
        lines, code = self._phone.run(command, timeout_s=2 * (seconds + warm_up_s) + CALL_S)
        if code != 0:
            raise refused(lines, code, self._facts.abi)
        return parse(lines)

    def _fetched(self, shape: tuple[int, ...]) -> list[numpy.ndarray]:
        """Return the outputs of the last call: hidden states and pooled vectors behind them, or logits alone."""
        with tempfile.TemporaryDirectory(prefix="wattbench-phone-") as folder:
            path = Path(folder) / OUTPUT
            try:
                self._phone.adb.pull(f"{self._phone.folder}/{OUTPUT}", path, 4096 * prod(shape))
                values = numpy.frombuffer(path.read_bytes(), dtype=numpy.float32)
            except (DeviceError, OSError, ValueError) as exc:
                unknown = self.report.unknown if self.report is not None else ""
                why = f"it does not know {unknown}" if unknown else str(exc).splitlines()[0]
                remedy = "Take benchmark_model from a current LiteRT: older ones cannot hand their outputs out."
                raise DeviceError("benchmark_model gave no outputs to check", why, remedy) from exc
        rows = shape[0]
        width = values.size // rows if self._count == 1 else values.size // (rows * (shape[1] + 1))
        if self._count == 1 and values.size == rows * width and width:
            return [values.reshape(rows, width)]
        if self._count == 2 and values.size == rows * (shape[1] + 1) * width and width:
            hidden = rows * shape[1] * width
            return [values[:hidden].reshape(rows, shape[1], width), values[hidden:].reshape(rows, width)]
        why = f"{values.size} numbers are not {self._count} outputs of inputs {shape}"
        raise DeviceError("benchmark_model's outputs have another shape", why, "Report this with the model's name.")


def open_on_phone(p: Preparation, device: DeviceInfo, adb: Adb, facts: PhoneFacts, tool: Path) -> OpenEncoder:
    """Return a model for a load, made or found, on the phone with the tool, executed once and judged by its words."""
    found = device_of(device.name)
    if found is None:
        raise UsageError(f"A phone has no device {device.name!r}", "it is not known by that name")
    if p.affinity is not None:
        raise UsageError("A phone has no --affinity", "benchmark_model cannot be bound to cores", "Drop --affinity.")
    program = model_for(p)
    phone = Phone(adb)
    try:
        flags = found.flags[p.precision] + _pushed(phone, Path(program.path), tool, external=found.external)
        threads = p.threads or THREADS
        loaded = PhoneProgram(phone, facts, flags, threads=threads, outputs=len(output_names(p.load)))
        loaded.execute(_first_inputs(p))
        assert loaded.report is not None
        placement = judge(found, loaded.report)
        if placement.fallback is not None and not p.allow_fallback:
            what = f"{found.label} does not run this model whole"
            remedy = "Choose another --device, or measure what it and the CPU do together: --allow-fallback."
            raise DeviceError(what, placement.fallback, remedy)
    except BaseException:
        phone.close()
        raise
    digest = hashlib.sha256(tool.read_bytes()).hexdigest()
    return OpenEncoder(
        program=loaded,
        requests=p.batch,
        facts=EncoderFacts(
            weights=program.weights,
            versions={**program.versions, "android": facts.android, TOOL: f"sha256:{digest[:16]}"},
            precision_effective=p.precision,
            threads=threads if found.on_cpu else None,
            tuning="; ".join(
                (*program.steps, f"benchmark_model {' '.join(_named(flags))}; one batch's inputs throughout")
            ),
            synchronisation=(
                "benchmark_model's own: an execution ends when the interpreter returns; windows begin and end with its "
                "lines, stamped by the phone's clock"
            ),
            placement=placement.text,
            placement_share=placement.share,
            delegated_share=placement.delegated,
            fallback=placement.fallback,
        ),
    )


def _pushed(phone: Phone, model: Path, tool: Path, *, external: bool) -> tuple[str, ...]:
    """Push what a run needs and return the flags that name a vendor's delegate."""
    phone.push(model, MODEL)
    phone.push(tool, TOOL, program=True)
    if not external:
        return ()
    files = [Path(name) for name in delegate_files()]
    for path in files:
        phone.push(path, path.name)
    options = os.environ.get(OPTIONS)
    chosen = (f"--external_delegate_path={phone.folder}/{files[0].name}",)
    return chosen if not options else (*chosen, f"--external_delegate_options={options}")


def _named(flags: tuple[str, ...]) -> list[str]:
    """Return flags for the record, without the folder, which is another one in every run."""
    return [f"{name}={value.rpartition('/')[2]}" for name, _, value in (flag.partition("=") for flag in flags)]


def _first_inputs(p: Preparation) -> numpy.ndarray:
    """Return inputs of the program's shape, for the call that shows where it runs."""
    arrays = make_arrays(p.load, p.batch, p.seed)
    return next(arrays[name] for name in INPUTS if name in arrays)
