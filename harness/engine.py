"""What the worker does with a backend: prepare, gate, warm up, and measure windows on one clock."""

from __future__ import annotations

import gc
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy

from wattbench.backends.contract import (
    Backend,
    Batch,
    CeilingProber,
    CeilingReport,
    Completion,
    Inspectable,
    MemoryReporter,
    Preparation,
    SpanRunner,
)
from wattbench.backends.execution import Executed, executed, outside_share
from wattbench.backends.traffic import CrewServer, TrafficServer
from wattbench.backends.truth import completion_truth
from wattbench.harness.driving import Driven, drive
from wattbench.harness.messages import (
    Drive,
    Gate,
    Measure,
    MeasureCeilings,
    Measured,
    Prepare,
    PreparedReply,
    Reference,
    ReferenceReply,
    Serve,
    TruthReply,
    WarmUp,
)
from wattbench.harness.quality import compare
from wattbench.harness.spans import measure_span, warm_up_by_spans
from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.results.errors import WorkerError
from wattbench.results.measurement import Completions, WarmupRecord, Window
from wattbench.results.plugins import load_plugin
from wattbench.results.stats import STEADY_TEST, is_steady
from wattbench.results.subject import QualityRecord

if TYPE_CHECKING:
    from wattbench.harness.traffic_engine import TrafficEngine

__all__ = ["Engine", "measure_ceilings", "store_reference"]

WARM_EXECUTIONS = 8
"""Executions that fit into the least warm-up: the steadiness test asks for six."""

TRUTH_STEPS = 8
"""Decode steps of the executions that the completion check uses: it needs work, not all of it."""

GATE_TURNS, GATE_TURN_TOKENS = 2, 16
"""Turns of an agent that the gate compares, and new tokens of the later one: a cache that goes on at a wrong place."""

GIVE_UP_S = 600.0
"""So long after a window the last answers of a backend without a time-out of its own are waited for."""

BATCH_POOL = 4
"""Distinct seeded batches that executions take turns with, so that no cache can answer from memory."""


class Engine:
    """A prepared backend with its batches; every method is one command of the measuring process."""

    def __init__(self, command: Prepare) -> None:
        self._command = command
        self._load = find_load(command.load)
        self._backend: Backend = load_plugin("wattbench.backends", command.backend, "backend")()
        self._batches: list[Batch] = []
        self._short: list[Batch] = []
        self._turn = 0
        self._traffic: TrafficEngine | None = None

    def prepare(self) -> PreparedReply:
        """Build the weights and run once."""
        c = self._command
        prepared = self._backend.prepare(
            Preparation(
                load=self._load,
                weights=c.weights,
                seed=c.seed,
                precision=c.precision,
                device=c.device,
                batch=c.batch,
                threads=c.threads,
                affinity=c.affinity,
                tuning=c.tuning,
                allow_fallback=c.allow_fallback,
                slots=c.slots,
                devices=c.devices,
                endpoint=c.endpoint,
            )
        )
        if c.traffic is not None:
            self._traffic = self._traffic_engine(c)
        if not isinstance(self._backend, TrafficServer):
            self._batches = [make_batch(self._load, c.batch, c.seed + 1 + i) for i in range(BATCH_POOL)]
        return PreparedReply(
            backend=prepared.backend,
            weights=prepared.weights,
            build_s=prepared.build_s,
            first_execution_s=prepared.first_execution_s,
            compile_s=prepared.compile_s,
        )

    def gate(self, command: Gate, weights_digest: str | None, precision: str) -> QualityRecord | None:
        """Compare the engine's outputs with the stored reference; None when one of the two does not exist."""
        if command.path is None or not isinstance(self._backend, Inspectable):
            return None
        if command.reference_weights_digest != weights_digest:
            why = f"the reference used {command.reference_weights_digest}, the engine {weights_digest}"
            raise WorkerError("The quality gate compared different weights", why, "Report this as a bug.")
        with numpy.load(Path(command.path)) as stored:
            values = stored["values"]
            forced = stored["forced_tokens"] if "forced_tokens" in stored.files else None
        short = shortened(self._load, command.prompt_tokens)
        batch = make_batch(short, self._command.batch, self._command.seed)  # its first request is the reference's
        outputs = self._backend.outputs(batch, forced)
        return compare(outputs.values, values, self._load.model.tolerance(precision), precision)

    def truth(self) -> TruthReply:
        """Check that the backend's times wait for the work; an answer that was received is its own proof."""
        if isinstance(self._backend, TrafficServer):
            return TruthReply(truthful=True, facts="a request ends with the last byte of its answer")
        if isinstance(self._backend, SpanRunner):
            return TruthReply(truthful=True, facts="windows are the tool's spans, held against its executions")
        batch = self._batches[0]
        steps = batch.output_tokens // (batch.requests * self._load.shape.turns)
        report = completion_truth(self._backend, self._shorter(batch, TRUTH_STEPS / max(1, steps)))
        return TruthReply(truthful=report.truthful, facts=report.facts)

    def warm_up(self, command: WarmUp) -> WarmupRecord:
        """Execute until the rate is steady or the cap is reached; report the rate of every execution.

        Where one execution takes more than an eighth of the least warm-up, shorter ones (fewer tokens out) follow the
        first, so that there are enough rates to judge. A slice that continues another has no such first one.
        """
        if self._traffic is not None:
            return self._traffic.warm_up(command, self._command.seed)
        if isinstance(self._backend, SpanRunner):
            return warm_up_by_spans(self._backend, self._batches[0], command, self._window)
        start = time.perf_counter_ns()
        execution_s = None if command.more else self._execute().seconds
        if execution_s is not None:
            share = command.min_s / WARM_EXECUTIONS / max(1e-9, execution_s)
            self._short = [self._shorter(batch, share) for batch in self._batches]
        end_s = command.max_s if command.slice_s is None else min(command.slice_s, command.max_s)
        rates: list[float] = []
        while True:
            done = self._execute(self._short)
            rates.append(1.0 / max(1e-9, done.seconds))
            spent_s = (done.after_ns - start) / 1e9
            steady = spent_s >= command.min_s and is_steady(rates)
            if spent_s >= end_s or (steady and command.slice_s is None):
                return WarmupRecord(
                    window=self._window(start, done.after_ns),
                    rates_per_s=tuple(rates),
                    test=STEADY_TEST,
                    steady=steady,
                    execution_s=execution_s,
                )

    def drive(self, command: Drive) -> Driven:
        """Run the load for a share of the time, in executions as short as it allows; times are those of the clock."""
        short = [self._shorter(batch, 0.0) for batch in self._batches]
        return drive(lambda: self._execute(short), command.share, command.seconds, command.seed)

    def measure(self, command: Measure | Serve) -> Measured:
        """Measure one window, of batches back to back or of traffic."""
        if isinstance(command, Serve):
            if self._traffic is None:
                raise WorkerError("The plan of this worker has no traffic to serve", "", "Report this as a bug.")
            return self._traffic.measure(command)
        if isinstance(self._backend, SpanRunner):
            return measure_span(self._backend, self._batches[0], command, self._window)
        return self._measure(command)

    def _measure(self, command: Measure) -> Measured:
        """Execute back to back for one window, which starts with an execution and ends with one."""
        time.sleep(command.jitter_s)
        gc.collect()
        self._run_for(command.lead_in_s)
        gc.disable()
        try:
            cpu_ns = time.process_time_ns()
            done: list[Executed] = []
            start = time.perf_counter_ns()
            until = start + int(command.window_s * 1e9)
            while not done or done[-1].after_ns < until:
                done.append(self._execute())
            cpu_ns = time.process_time_ns() - cpu_ns
        finally:
            gc.enable()
        self._run_for(command.lead_out_s)
        peak = self._backend.memory_peak_bytes() if isinstance(self._backend, MemoryReporter) else None
        return Measured(
            window=self._window(start, done[-1].after_ns),
            completions=self._columns([d.completion for d in done]),
            worker_cpu_s=cpu_ns / 1e9,
            outside_share=outside_share(done),
            memory_peak_bytes=peak,
        )

    def close(self) -> None:
        """Free the device."""
        self._backend.close()

    def _traffic_engine(self, c: Prepare) -> TrafficEngine:
        """Return what serves the plan's traffic: the backend itself, or this process, execution by execution."""
        from wattbench.harness.traffic.crew_size import CrewSize  # here: a worker without traffic starts sooner
        from wattbench.harness.traffic.inprocess import InProcessServer
        from wattbench.harness.traffic_engine import TrafficEngine
        from wattbench.results.slo import parse_slo

        assert c.traffic is not None
        if isinstance(self._backend, TrafficServer):
            serve = self._backend.serve
        else:
            serve = InProcessServer(self._backend, self._load, c.batch, c.seed).serve
        give_up_s = c.endpoint.timeout_s if c.endpoint is not None else GIVE_UP_S
        crew = None
        if c.endpoint is not None and c.endpoint.workers_auto and isinstance(self._backend, CrewServer):
            slo = parse_slo(c.traffic.slo) if c.traffic.slo is not None else None
            crew = CrewSize(self._backend.use_workers, limit_s=slo.limit_s("ttft") if slo is not None else None)
        return TrafficEngine(
            serve, self._load, c.scenario, c.traffic, give_up_s=give_up_s, origin_ns=c.origin_ns, crew=crew
        )

    def _execute(self, batches: list[Batch] | None = None) -> Executed:
        self._turn = (self._turn + 1) % len(self._batches)
        return executed(self._backend, (batches or self._batches)[self._turn])

    def _run_for(self, seconds: float) -> None:
        until = time.perf_counter_ns() + int(seconds * 1e9)
        while time.perf_counter_ns() < until:
            self._execute(self._short)

    def _shorter(self, batch: Batch, share: float) -> Batch:
        """Return a batch with a share of its tokens out, at least one a request and turn."""
        unit = batch.requests * self._load.shape.turns
        steps = batch.output_tokens // unit
        return replace(batch, output_tokens=unit * max(1, round(steps * min(1.0, share))) if steps else 0)

    def _window(self, start_ns: int, end_ns: int) -> Window:
        origin = self._command.origin_ns
        return Window(start_ns=start_ns - origin, end_ns=end_ns - origin)

    def _columns(self, batches: list[Completion]) -> Completions:
        """Return a row for each batch, or for each request where they do not go in step; all were planned together."""
        origin = self._command.origin_ns
        done = [row for batch in batches for row in batch.parts or (batch,)]
        return Completions(
            planned_start_ns=tuple(b.start_ns - origin for b in batches for _ in b.parts or (b,)),
            start_ns=tuple(c.start_ns - origin for c in done),
            first_output_ns=tuple(None if c.first_output_ns is None else c.first_output_ns - origin for c in done),
            step_end_ns=tuple(tuple(t - origin for t in c.step_end_ns) for c in done),
            end_ns=tuple(c.end_ns - origin for c in done),
            requests=tuple(c.requests for c in done),
            input_tokens=tuple(c.input_tokens for c in done),
            output_tokens=tuple(c.output_tokens for c in done),
            error=tuple(c.error for c in done),
        )


def measure_ceilings(command: MeasureCeilings) -> CeilingReport:
    """Drive a device to its limit with micro-benchmarks; this process is not the one that is timed."""
    backend: Backend = load_plugin("wattbench.backends", command.backend, "backend")()
    if not isinstance(backend, CeilingProber):
        return CeilingReport(samples=(), skipped=(f"the backend {command.backend!r} has no micro-benchmarks",))
    return backend.ceilings(command.request)


def make_batch(load: Load, requests: int, seed: int) -> Batch:
    """Return a seeded batch of a load."""
    shape = load.shape
    return Batch(
        arrays=make_arrays(load, requests, seed),
        requests=requests,
        input_tokens=requests * (shape.input_tokens + (shape.turns - 1) * shape.turn_input_tokens),
        output_tokens=requests * shape.turns * shape.output_tokens,
    )


def shortened(load: Load, prompt_tokens: int) -> Load:
    """Return the load with at most `prompt_tokens` in, for the gate; images and audio keep their size.

    Tokens out are forced, not asked for; an agent keeps two turns, the second one short, and a shape of several turns
    must have tokens out.
    """
    if load.model.family != "decoder":
        return load
    shape = replace(
        load.shape,
        input_tokens=prompt_tokens,
        output_tokens=0 if load.shape.turns == 1 else 1,
        turns=min(load.shape.turns, GATE_TURNS),
        turn_input_tokens=min(load.shape.turn_input_tokens, GATE_TURN_TOKENS),
    )
    return replace(load, shape=shape)


def store_reference(command: Reference) -> ReferenceReply:
    """Compute the float32 reference on the CPU and store it; this process is not the one that is timed."""
    from wattbench.models.torch_reference import reference_outputs

    load = shortened(find_load(command.load), command.prompt_tokens)
    arrays = make_arrays(load, 1, command.seed)
    found = reference_outputs(load.model, arrays, command.steps, weights=command.weights, seed=command.seed)
    path = Path(command.path)
    partial = path.with_name(f"{uuid.uuid4().hex}.npz")  # two runs may compute the same reference at once
    digest = numpy.array(found.weights_digest)
    if found.forced_tokens is None:
        numpy.savez(partial, values=found.values, weights_digest=digest)
    else:
        numpy.savez(partial, values=found.values, weights_digest=digest, forced_tokens=found.forced_tokens)
    partial.replace(path)
    return ReferenceReply(weights_digest=found.weights_digest)
