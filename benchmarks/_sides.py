"""What the benchmarks against peers share: sides in processes of their own that take turns, and what they print."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Protocol, Self

from wattbench.harness.candidates import candidates
from wattbench.harness.commands import PREPARE_TIMEOUT_S, gate_command, prepare_command
from wattbench.harness.messages import Measure, Measured, PreparedReply, WarmUp
from wattbench.harness.plan import Resolved
from wattbench.harness.reference import reference_for
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.harness.worker_client import WorkerClient
from wattbench.models.work import load_record
from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.codec import decode
from wattbench.results.errors import WattbenchError
from wattbench.results.measurement import Completions, WarmupRecord
from wattbench.results.subject import QualityRecord

__all__ = [
    "CandidateSide",
    "Ceilings",
    "Group",
    "Pace",
    "ScriptSide",
    "Side",
    "candidate_plans",
    "common_arguments",
    "gate_text",
    "gemm_share",
    "grouped",
    "machine_lines",
    "measure_ceilings",
    "median",
    "peer_device",
    "plan_name",
    "serve_paces",
    "spread",
    "take_turns",
]

PAUSE_S = 0.3
"""Rest between two turns: thread pools that wait by spinning have gone to sleep by then."""

CPU_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
)

PACKAGES = ("torch", "transformers", "onnxruntime", "onnxruntime-genai", "onnxruntime-ep-openvino", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a side did in one turn: requests/s, and tokens/s of each phase where the load has it."""

    requests: float
    prefill: float | None = None
    decode: float | None = None


class Side(Protocol):
    """Something that can execute the load for a while whenever it is its turn."""

    name: str

    def turn(self, seconds: float) -> Pace:
        """Execute for at least `seconds`, and at least once; return the pace."""
        ...


class CandidateSide:
    """One of wattbench's engines in the real worker process: gated, warmed up, asked for real windows."""

    def __init__(self, resolved: Resolved, warm_up_s: float) -> None:
        plan = resolved.plan
        self.name = plan_name(resolved)
        self.load = load_record(resolved.load, plan.precision)
        reference = reference_for(resolved, SilentReporter())
        self._worker = WorkerClient().__enter__()
        try:
            self.ready = self._worker.ask(
                prepare_command(plan, time.perf_counter_ns()), PreparedReply, PREPARE_TIMEOUT_S
            )
            command = gate_command(resolved.load, reference)
            self.quality = self._worker.ask_maybe(command, QualityRecord, PREPARE_TIMEOUT_S)
            self._worker.ask(WarmUp(min_s=warm_up_s, max_s=4 * warm_up_s), WarmupRecord, PREPARE_TIMEOUT_S)
        except BaseException:
            self._worker.kill()
            raise

    def turn(self, seconds: float) -> Pace:
        """Ask the worker for one window."""
        command = Measure(window_s=seconds, jitter_s=0.0, lead_in_s=0.0, lead_out_s=0.0)
        done = self._worker.ask(command, Measured, PREPARE_TIMEOUT_S)
        return Pace(
            requests=sum(done.completions.requests) / done.window.duration_s,
            prefill=_phase(done.completions, decode=False),
            decode=_phase(done.completions, decode=True),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()


class ScriptSide:
    """A peer in a process of its own, maybe in another environment: it reads seconds and answers with a pace.

    The process writes one line `{"ready": {...}}` when its model is loaded, and then for each line with a number of
    seconds one line with the fields of `Pace`.
    """

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.name = name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the side)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.facts: dict[str, str] = self._answer()["ready"]

    def turn(self, seconds: float) -> Pace:
        """Let the process execute for a while."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return Pace(**self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _answer(self) -> dict:  # type: ignore[type-arg] # JSON
        assert self._process.stdout is not None
        for line in self._process.stdout:  # libraries may print lines of their own
            if line.startswith("{"):
                return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        tail = self._errors.read()[-2000:].decode(errors="replace")
        raise RuntimeError(f"{self.name} ended with status {self._process.returncode}:\n{tail}")


def serve_paces(ready: dict[str, str], turn: Callable[[float], Pace]) -> None:
    """Be the process of a `ScriptSide`: say what is ready, then answer each line of standard input."""
    print(json.dumps({"ready": ready}), flush=True)
    for line in sys.stdin:
        pace = turn(float(line))
        print(json.dumps({"requests": pace.requests, "prefill": pace.prefill, "decode": pace.decode}), flush=True)


def take_turns(sides: Sequence[Side], pairs: int, seconds: float) -> list[dict[str, Pace]]:
    """Let every side execute once a round, in turning order, and return the rounds; a first one warms up, uncounted."""
    rounds = []
    for number in range(pairs + 1):
        order = sides if number % 2 else list(reversed(sides))
        paces = {}
        for side in order:
            paces[side.name] = side.turn(seconds)
            time.sleep(PAUSE_S)
        if number:
            rounds.append(paces)
    return rounds


def common_arguments(description: str, pairs: int, seconds: float) -> argparse.ArgumentParser:
    """Return a parser with the options that all these scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pairs", type=int, default=pairs, help="rounds that count (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=seconds, help="of each turn at least (default %(default)s)")
    parser.add_argument("--candidates", nargs="+", metavar="WORD", help="only those whose name holds one of the words")
    parser.add_argument("--backends", nargs="+", default=["auto"], help="backends to ask for candidates")
    parser.add_argument("--device", help="where candidates and ceilings run (default: each backend's best)")
    parser.add_argument("--group", type=int, default=2, help="candidates in memory at once (default %(default)s)")
    parser.add_argument(
        "--ceilings", choices=("fresh", "cached", "none"), default="fresh", help="where shares come from"
    )
    return parser


def candidate_plans(load: str, batch: int | None, options: argparse.Namespace) -> list[Resolved]:
    """Return every engine that the installed backends list for a load, in every precision, as far as asked for."""
    found: list[Resolved] = []
    for backend in options.backends:
        try:
            request = RunRequest(load=load, batch=batch, backend=backend, device=options.device, precision="fastest")
            found += candidates(request).resolved
        except WattbenchError as exc:
            print(f"no candidates of {backend}: {exc.what}: {exc.why}")
    words = options.candidates
    return [r for r in found if not words or any(word in plan_name(r) for word in words)]


def plan_name(resolved: Resolved) -> str:
    """Return a candidate's name as tuning records write it."""
    plan = resolved.plan
    return f"{plan.backend}/{plan.tuning} {plan.precision} on {plan.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Candidates that took turns with each other and the peers, and every side's pace in each round."""

    candidates: tuple[CandidateSide, ...]
    rounds: list[dict[str, Pace]]

    def rates(self, name: str, phase: str = "requests") -> list[float | None]:
        """Return a side's pace in one phase, round by round."""
        return [getattr(paces[name], phase) for paces in self.rounds]

    def ratios(self, name: str, peer: str, phase: str = "requests") -> list[float]:
        """Return one side's pace over another's within each round; none where one lacks the phase."""
        both = zip(self.rates(name, phase), self.rates(peer, phase), strict=True)
        return [a / b for a, b in both if a is not None and b is not None]


def grouped(plans: Sequence[Resolved], always: Sequence[Side], options: argparse.Namespace) -> Iterator[Group]:
    """Yield group after group of the candidates that can be prepared; `always` take part in every one."""
    for start in range(0, len(plans), options.group):
        with ExitStack() as stack:
            sides = []
            for resolved in plans[start : start + options.group]:
                try:
                    sides.append(stack.enter_context(CandidateSide(resolved, warm_up_s=min(3.0, options.seconds))))
                except (WattbenchError, RuntimeError) as exc:
                    print(f"{plan_name(resolved):<44}out: {str(exc).splitlines()[0]}", flush=True)
            if sides:
                rounds = take_turns([*always, *sides], options.pairs, options.seconds)
                yield Group(candidates=tuple(sides), rounds=rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The measured limits of the device, or none."""

    record: CeilingsRecord | None

    def flops(self, precision: str) -> float | None:
        """Return the best matrix-product rate in a precision, in FLOP/s."""
        entry = self.record.best("matmul", precision) if self.record else None
        return entry.rate if entry else None

    def read(self) -> float | None:
        """Return the best memory read rate, in bytes/s."""
        entry = self.record.best("memory_read") if self.record else None
        return entry.rate if entry else None

    def lines(self) -> list[str]:
        """Return what was measured, a line each."""
        if self.record is None:
            return ["ceilings          not measured: no shares"]
        kept = "remembered from" if self.record.cached else "measured at"
        lines = [f"ceilings          {kept} {self.record.measured_at}"]
        for entry in self.record.entries:
            what = f"{entry.kind} {entry.precision or ''} {entry.shape}"
            lines.append(f"  {what:<42}{entry.rate / 1e9:>10.1f} G{entry.unit.replace('By', 'B')}  {entry.library}")
        return lines


def peer_device(plans: Sequence[Resolved]) -> str:
    """Return torch's name of the device that candidates run on, so that a peer runs there too; without any the CPU."""
    if not plans or plans[0].device.power_covers == "cpu":
        return "cpu"
    return plans[0].device.name


def measure_ceilings(mode: str, device: str | None) -> Ceilings:
    """Run `bench ceilings` in a process of its own: "fresh" measures now, "cached" takes what was measured today."""
    if mode == "none":
        return Ceilings(record=None)
    entry = "from wattbench.harness.cli.main import main; main()"
    extra = ["--cached"] if mode == "cached" else ["--power", "none"]
    extra += ["--device", device] if device is not None else []
    command = [sys.executable, "-P", "-c", entry, "ceilings", "--json", *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"no ceilings       {' '.join(done.stderr.split())[-300:] or done.returncode}")
        return Ceilings(record=None)
    return Ceilings(record=decode(json.loads(done.stdout), CeilingsRecord))


def machine_lines() -> list[str]:
    """Return the processor, its features that matter, and the versions, a line each."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}
    flags = set(fields.get("flags", "").split())
    found = " ".join(flag for flag in CPU_FLAGS if flag in flags)
    numbers = ", ".join(f"{name} {number}" for name in PACKAGES if (number := _version(name)))
    return [
        f"processor         {fields.get('model name', platform.processor())}, {os.cpu_count()} processors",
        f"features          {found or 'unknown'}",
        f"versions          Python {platform.python_version()}, {numbers}",
    ]


def median(values: Sequence[float | None]) -> float:
    """Return the median of what is known."""
    return statistics.median(value for value in values if value is not None)


def spread(values: Sequence[float | None]) -> str:
    """Return median and range as text."""
    known = [value for value in values if value is not None]
    return f"{median(known):.4g} [{min(known):.4g} .. {max(known):.4g}]" if known else "-"


def gemm_share(side: CandidateSide, flops_per_s: float, ceilings: Ceilings) -> str:
    """Return a rate as a share of the best library GEMM rate in the precision that the engine computes in."""
    precision = side.ready.backend.compute_precision or side.ready.backend.precision_effective
    ceiling = ceilings.flops(precision)
    return f"{100 * flops_per_s / ceiling:.0f} % {precision}" if ceiling else f"? {precision}"


def gate_text(side: CandidateSide) -> str:
    """Return the quality gate's verdict in words."""
    if side.quality is None:
        return "not compared"
    verdict = "passed" if side.quality.passed else "FAILED"
    agreement = f", top-1 {side.quality.top1_agreement:.2f}" if side.load.output_tokens else ""
    return f"{verdict}, error {side.quality.relative_error:.4f}, cosine {side.quality.cosine_min:.5f}{agreement}"


def _phase(done: Completions, *, decode: bool) -> float | None:
    """Return tokens/s of a phase as results count them, None where the load has no such phase."""
    tokens = span_ns = 0
    for row, first_ns in enumerate(done.first_output_ns):
        if first_ns is not None:
            tokens += done.output_tokens[row] - done.requests[row] if decode else done.input_tokens[row]
            span_ns += done.end_ns[row] - first_ns if decode else first_ns - done.start_ns[row]
    return tokens / (span_ns / 1e9) if tokens and span_ns > 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
