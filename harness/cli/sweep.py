"""`bench sweep`: many points of one protocol, in turns, into one folder, with the best of them named."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from wattbench.harness.cli.escape import visible
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.progress import later_s
from wattbench.harness.cli.run import command as run_command
from wattbench.harness.cli.run import parse_affinity
from wattbench.harness.cli.sharing import check_push, combined_code, push_after_run, push_options
from wattbench.harness.cli.traffic_options import traffic_knobs
from wattbench.harness.knobs import DAY_S, Range, check_finite, user_path
from wattbench.harness.plan import DEFAULT_LOAD, Resolved
from wattbench.harness.request import RunRequest, make_request, merge_requests, read_request
from wattbench.harness.storage import data_directory
from wattbench.harness.sweep.conduct import conduct
from wattbench.harness.sweep.folder import FINAL, Folder
from wattbench.harness.sweep.lines import report_lines
from wattbench.harness.sweep.manifest import SweepPlan
from wattbench.harness.sweep.planning import Planned, loads_with_lengths, plan_point, plan_points
from wattbench.harness.sweep.points import Axes
from wattbench.harness.sweep.powerlimit import CONSENT, PowerLimit, require_consent
from wattbench.harness.sweep.table import LATENCIES, SweepReport, report_of
from wattbench.harness.traffic_request import implied_load
from wattbench.harness.watts import check_power
from wattbench.results.covers import devices_of
from wattbench.results.errors import InterruptedRunError, StorageError, UsageError, WattbenchError

__all__ = ["command"]

T = TypeVar("T")

Flags = Mapping[str, Any]  # any: click's values; `make_request` and the parsers below check each

TOGETHER = 6
"""How many runs may be open at once: more would stretch each of them over hours."""

RATE_MAX_PER_S = 1e6

LENGTHS = ("input_tokens", "output_tokens")

LISTS = ("load", "batch", "precision", "tuning", "threads", "power_limit", "concurrency", "rate", *LENGTHS)

TRAFFIC = (
    *("endpoint", "api", "model", "key_env", "key_file", "ca_file", "no_stream", "tokenizer", "timeout_s", "workers"),
    *("arrival", "arrival_shape", "sessions", "slo", "in_flight_max", "input_lengths", "output_lengths"),
)
"""Those of traffic and endpoints among them."""

SHARED = (
    *("backend", "device", "scenario", "weights", "seed", "affinity", "quick", "window_s", "repeats", "repeats_max"),
    *("warmup_min_s", "warmup_max_s", "idle_s", "power", "power_rate_hz", "allow_fallback", "ceilings", "plan_file"),
    *("slots", "tensor_parallel", "quiet"),
    *TRAFFIC,
)
"""The options of `bench run` that mean the same here: they hold for every point."""


@click.command("sweep", params=[option for option in run_command.params if option.name in SHARED])
@click.option("--load", "-l", metavar="LIST", help="Loads, e.g. qwen3-0.6b/chat,qwen3-0.6b/chat@2048.")
@click.option("--batch", metavar="LIST", help="Batches, e.g. 1,2,4,8, or auto, or auto:MAX: powers of two that fit.")
@click.option("--precision", "-p", metavar="LIST", help="Precisions, e.g. float32,bfloat16.")
@click.option("--tuning", metavar="LIST", help="Levels, e.g. eager,compiled [default: the fastest of each point].")
@click.option("--threads", metavar="LIST", help="Numbers of CPU threads, e.g. 1,2.")
@click.option("--concurrency", metavar="LIST", help="Requests in progress of closed loops, e.g. 1,2,4,8.")
@click.option("--rate", metavar="LIST", help="Requests/s of open loops, e.g. 1,2,4.")
@click.option("--input-tokens", metavar="LIST", help="Input lengths of the loads, e.g. 128,512.")
@click.option("--output-tokens", metavar="LIST", help="Output lengths, with --input-tokens, e.g. 64,128.")
@click.option("--power-limit", metavar="LIST", help=f"Power limits in W; needs {CONSENT}.")
@click.option(CONSENT, "consent", is_flag=True, help="Let --power-limit set the limit; it is restored afterwards.")
@click.option("--together", type=click.IntRange(1, 64), metavar="N", help="Points open at once [default: 6].")
@click.option("--out", "-o", metavar="FOLDER", help="Folder of the sweep [default: a new one in the data folder].")
@click.option("--resume", is_flag=True, help="Go on with the sweep in --out.")
@click.option("--show", metavar="FOLDER", help="Show the table of a sweep, measure nothing.")
@click.option("--latency", type=click.Choice(LATENCIES), default="request", help="The latency of table and front.")
@click.option(
    "--slo-latency-s", type=float, metavar="X", help="Name the fastest point whose p99 latency is within X s."
)
@click.option("--json", "as_json", is_flag=True, help="The table on standard output as JSON, for machines.")
@push_options
def command(**flags: Any) -> int:  # any: see Flags
    """Measure every combination of the lists (batches, precisions, ...), each point by the protocol of `bench run`.

    The repeats of several points alternate, so that drift hits all alike. Every point is a result file in the folder;
    at the end stand a table, the Pareto front of throughput against latency, and its knee.
    """
    Range(flag="--slo-latency-s", low=0, high=DAY_S, unit=" s", above_zero=True).check(flags["slo_latency_s"])
    push = check_push()
    if flags["show"] is not None:
        return _print(Folder.open(_folder_path("--show", flags["show"])), flags)
    folder, planned = _resumed(flags) if flags["resume"] else _created(flags)
    error = _measure(folder, planned, flags)
    try:
        code = _print(folder, flags)
    except KeyboardInterrupt:
        why = "the sweep had ended already"
        raise InterruptedRunError("Interrupted", why, f"bench sweep --show {shlex.quote(str(folder.path))}") from None
    uploads = 0 if push is None else push_after_run(_complete(folder), push)
    if error is not None:
        raise error
    return combined_code(code, uploads)


def _complete(folder: Folder) -> list[Path]:
    """Return the files of the points that were measured to their end."""
    return [folder.file_of(r.name) for r in folder.manifest.points if r.status == "complete"]


def _created(flags: Flags) -> tuple[Folder, Sequence[Planned]]:
    """Plan a new sweep, check all of it, and write its manifest."""
    plan = _plan(flags)
    planned = plan_points(plan.axes, plan.request)
    _check_power(planned)
    if plan.axes.power_limit_w:
        PowerLimit(_board(planned), plan.axes.power_limit_w).close()  # the right to set it is proven before the start
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    path = user_path("--out", flags["out"]) or data_directory() / "sweeps" / stamp
    return Folder.create(path, plan, [p.point for p in planned]), planned


def _resumed(flags: Flags) -> tuple[Folder, Sequence[Planned]]:
    """Open a sweep that was begun; the plan need not be said again, but must be the same where it is."""
    folder = Folder.open(_folder_path("--out", flags["out"]))
    said = any(flags[name] for name in (*LISTS, "plan_file")) or _shared_request(flags) != RunRequest()
    require_consent(folder.manifest.plan.axes.power_limit_w, consent=flags["consent"])
    with folder.locked():
        folder.take_up(_plan(flags) if said else None, together=flags["together"])
    return folder, [plan_point(r.point, folder.manifest.plan.request) for r in folder.manifest.points]


def _measure(folder: Folder, planned: Sequence[Planned], flags: Flags) -> Exception | None:
    """Measure what is left; return the error that ended the sweep early, which then says how to go on."""
    words = (word.encode(errors="backslashreplace").decode() for word in sys.argv[1:])
    limits_w = folder.manifest.plan.axes.power_limit_w
    reporter = _ConsoleSweepReporter(quiet=flags["quiet"])
    reporter.note(_length_line(folder, planned))
    with PowerLimit(_board(planned), limits_w) if limits_w else nullcontext() as limiter:
        try:
            conduct(folder, reporter, command=("bench", *words), limiter=limiter)
        except UsageError:
            raise
        except WattbenchError as exc:
            go_on = f"Go on with: bench sweep --resume --out {shlex.quote(str(folder.path))}"
            go_on += f" {CONSENT}" if limits_w else ""
            return type(exc)(exc.what, exc.why, f"{exc.remedy} {go_on}".strip())
        except Exception as exc:  # noqa: BLE001 - a point's bug: the table of the others comes before its traceback
            return exc
    return None


def _plan(flags: Flags) -> SweepPlan:
    """Return the plan that flags and plan file ask for."""
    file = user_path("--plan", flags["plan_file"])
    base = merge_requests(read_request(file), _shared_request(flags)) if file else _shared_request(flags)
    limits_w = _listed(flags, "power_limit", _watts) or ()
    require_consent(limits_w, consent=flags["consent"])
    batches, auto, largest = _batches(flags["batch"])
    plain = replace(base, input_tokens=None, output_tokens=None)  # lengths become part of the loads' names
    axes = Axes(
        load=loads_with_lengths(
            _listed(flags, "load", str) or (implied_load(plain, DEFAULT_LOAD),),
            *(_lengths(flags, base, name) for name in LENGTHS),
        ),
        precision=_listed(flags, "precision", str) or (),
        tuning=_listed(flags, "tuning", str) or (),
        threads=_listed(flags, "threads", _whole) or (),
        power_limit_w=limits_w,
        batch=batches,
        batch_auto=auto,
        batch_max=largest,
        concurrency=_listed(flags, "concurrency", _whole) or (),
        rate_per_s=_listed(flags, "rate", _rate) or (),
    )
    return SweepPlan(axes=axes, request=replace(plain, load=None), together=flags["together"] or TOGETHER)


def _shared_request(flags: Flags) -> RunRequest:
    """Return the knobs that all points share, as far as flags set them."""
    knobs = {name: flags[name] for name in SHARED if name not in ("plan_file", "quiet", "affinity", *TRAFFIC)}
    knobs |= traffic_knobs()
    knobs["affinity"] = parse_affinity(flags["affinity"])
    check_finite(knobs)
    return make_request(
        {k: v for k, v in knobs.items() if not (v is None or v is False or v == ())}, "A knob has a wrong value"
    )


def _listed(flags: Flags, name: str, parse: Callable[[str], T]) -> tuple[T, ...] | None:
    """Return the items of a list option, each once; None when it is not given."""
    text = flags[name]
    if text is None:
        return None
    items = [item.strip() for item in text.split(",")]
    flag = f"--{name.replace('_', '-')}"
    if not all(items):
        raise UsageError(f"{flag} has an empty item", f"got {text!r}", "Separate the items by one comma each.")
    try:
        return tuple(dict.fromkeys(parse(item) for item in items))
    except ValueError as exc:
        raise UsageError(f"{flag} is no list of numbers above 0", f"got {text!r}", "For example 1,2,4.") from exc


def _lengths(flags: Flags, base: RunRequest, name: str) -> tuple[int, ...]:
    """Return the lengths of a list option, or the plan file's one length."""
    planned: int | None = getattr(base, name)
    return _listed(flags, name, _whole) or (() if planned is None else (planned,))


def _batches(text: str | None) -> tuple[tuple[int, ...], bool, int | None]:
    """Return the batches of a list, whether it says auto, and auto's own limit."""
    if text is None:
        return (), False, None
    items = [item.strip() for item in text.split(",")]
    autos = [item for item in items if item.partition(":")[0] == "auto"]
    if len(autos) > 1:
        raise UsageError("--batch says auto more than once", f"got {text!r}", "Say it once, for example auto:64.")
    numbers = {"batch": ",".join(item for item in items if item not in autos) or None}
    _, colon, largest = autos[0].partition(":") if autos else ("", "", "")
    found = _listed(numbers, "batch", _whole) or ()
    limit = _listed({"batch": largest}, "batch", _whole) if colon else None
    return tuple(sorted(found)), bool(autos), limit[0] if limit else None


def _whole(text: str) -> int:
    """Return a whole number from 1 on. Raises ValueError for anything else."""
    if not (text.isdecimal() and text.isascii() and len(text) <= 9 and int(text) > 0):
        raise ValueError(text)
    return int(text)


def _rate(text: str) -> float:
    """Return requests per second above 0. Raises ValueError for anything else."""
    value = float(text)
    if not 0 < value <= RATE_MAX_PER_S:
        raise ValueError(text)
    return value


def _watts(text: str) -> float:
    """Return watts above 0. Raises ValueError for anything else."""
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError(text)
    return value


def _check_power(planned: Sequence[Planned]) -> None:
    """Raise what stands in the way of the power sensors, before anything is written."""
    first = next((p.resolved for p in planned if p.resolved is not None), None)
    if first is not None:
        check_power(first.plan, first.covers)


def _board(planned: Sequence[Planned]) -> str:
    """Return the UUID of the one board that all points run on. Raises UsageError when there is none."""
    boards = {p.resolved.covers for p in planned if p.resolved is not None}
    board = next(iter(boards), None)
    if board in (None, "cpu") or len(boards) > 1 or len(devices_of(board)) > 1:
        why = f"the points run on {', '.join(sorted(str(b) for b in boards)) or 'nothing'}"
        raise UsageError("--power-limit needs one NVIDIA board", why, "Name its --device, or leave the limit out.")
    return str(board)


def _folder_path(flag: str, value: str | None) -> Path:
    path = user_path(flag, value)
    if path is None:
        raise UsageError("--resume needs the folder of the sweep", "--out names none", "Add --out FOLDER.")
    return path


def _length_line(folder: Folder, planned: Sequence[Planned]) -> str:
    """Return how many points are left and how long they take at least."""
    left = [p for p in planned if folder.record(p.point.name).status not in FINAL]
    seconds = sum(later_s(p.resolved.plan, "prepare", 0) for p in left if p.resolved is not None)
    minutes, seconds = divmod(round(seconds), 60)
    return f"{len(left)} of {len(planned)} points to measure, {minutes}:{seconds:02} at least; {folder.path}"


def _print(folder: Folder, flags: Flags) -> int:
    """Print the table and return the exit code."""
    report = report_of(folder, latency=flags["latency"], slo_latency_s=flags["slo_latency_s"])
    try:
        if flags["as_json"]:
            print_json(report)
        else:
            print_lines(report_lines(report))
    except StorageError as exc:
        raise StorageError(exc.what, exc.why, f"The sweep lies in {folder.path}") from exc
    return 0 if flags["show"] is not None else _exit_code(report)


def _exit_code(report: SweepReport) -> int:
    """Return 1 when a point ended early or was not reached, 3 when one is invalid, else 0.

    Points that were too big, and larger ones of their series, are answers, not failures.
    """
    if any(row.status in ("pending", "started", "partial", "error") for row in report.rows):
        return 1
    return 3 if any(row.verdict == "invalid" and row.status == "complete" for row in report.rows) else 0


class _ConsoleSweepReporter:
    """Writes one line an event; several points are open at once, so every line names its point."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, emoji=False)

    def note(self, text: str) -> None:
        """Write one line."""
        self._console.print(f"note      {visible(text)}", soft_wrap=True)

    def point(self, name: str) -> "_PointReporter":
        """Return the reporter of one point."""
        return _PointReporter(self._console, name)


class _PointReporter:
    """Writes the events of one point."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = visible(name)

    def started(self, resolved: Resolved, path: str, watts: Callable[[], float | None]) -> None:
        """Say where the point's result goes."""
        self._console.print(f"started   {self._name}: {visible(path)}", soft_wrap=True)

    def phase(self, name: str, expected_s: float | None, detail: str = "") -> None:
        """Name the phases that take long."""
        if name in ("prepare", "warm-up"):
            self._console.print(f"{name:<9} {self._name}", soft_wrap=True)

    def repeat(self, index: int, of: int, rates: str, watts: float | None) -> None:
        """Write one line a repeat."""
        power = f"  {watts:.1f} W" if watts is not None else ""
        self._console.print(f"repeat    {index} of at most {of}: {rates}{power}  {self._name}", soft_wrap=True)

    def note(self, text: str) -> None:
        """Write one line."""
        self._console.print(f"note      {self._name}: {visible(text)}", soft_wrap=True)

    def ended(self) -> None:
        """Say nothing: the sweep says how the point ended."""
