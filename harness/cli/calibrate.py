"""`bench calibrate`: hold the device's power sensor against a trusted meter, and keep the line between them."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click

from wattbench.harness.calibrating import SHARES, Times, calibrate
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.progress import ConsoleReporter
from wattbench.harness.knobs import Range, check_text
from wattbench.harness.meters import Meter, MeterFacts, TypedMeter, open_meter, parse_reading
from wattbench.harness.plan import resolve
from wattbench.harness.power.calibration_file import CALIBRATION_AGE, age_of, every_calibration, forget, keep
from wattbench.harness.request import make_request
from wattbench.harness.watts import PowerSession
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.errors import InterruptedRunError, UsageError
from wattbench.results.scopes import Scope

__all__ = ["calibration_lines", "command"]

PROMPT = "-"
"""What `--typed` stands for without a file: the readings are asked for."""

STEP = Range(flag="--meter-step", low=0, high=1_000_000, unit=" W", above_zero=True)
SETTLE = Range(flag="--settle", low=0, high=3600, unit=" s")
LEVEL = Range(flag="--level", low=0.5, high=3600, unit=" s")

KNOBS = ("load", "backend", "device", "precision", "batch", "threads", "tuning", "power")


@click.command("calibrate")
@click.option("--meter", metavar="NAME[:ARG]", help="The meter, by the name of a sampler, e.g. replay:FILE.")
@click.option(
    "--typed", is_flag=False, flag_value=PROMPT, metavar="[FILE]", help="Ask for the meter's readings, or take them."
)
@click.option("--meter-name", metavar="TEXT", help="Which meter it is: make, model, serial number.")
@click.option("--meter-accuracy", type=float, metavar="PERCENT", help="Its limits of error in % [its sampler's].")
@click.option("--meter-step", type=float, metavar="W", help="Its least step [default: its sampler's, or as typed].")
@click.option("--boundary", metavar="SCOPE", help="What it sees: board, node, wall, ... [its sampler's; typed: wall].")
@click.option("--power", multiple=True, metavar="SAMPLER", help="The sensor to calibrate [default: auto].")
@click.option("--load", "-l", metavar="MODEL/SHAPE", help="What draws the power; see `bench list loads`.")
@click.option("--backend", "-b", metavar="NAME", help="What executes it [default: torch].")
@click.option("--device", "-d", metavar="NAME", help="Whose sensor: cpu, cuda, cuda:1, ... [default: the best].")
@click.option("--precision", "-p", metavar="NAME", help="float32, bfloat16, ... [default: the device's own].")
@click.option("--batch", type=int, metavar="N", help="Requests per batch: more draw more.")
@click.option("--threads", type=int, metavar="N", help="CPU threads of the engine.")
@click.option("--tuning", metavar="LEVEL", help="eager, compiled, ... [default: the cheapest to prepare].")
@click.option("--settle", "settle_s", type=float, default=10.0, metavar="S", help="Before each window [default: 10].")
@click.option("--level", "level_s", type=float, default=20.0, metavar="S", help="Each window [default: 20].")
@click.option("--show", is_flag=True, help="Show what is stored; measure nothing.")
@click.option("--forget", "gone", metavar="DEVICE", help="Delete what is stored of a device, or of all; see --show.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")
def command(
    meter: str | None,
    typed: str | None,
    meter_name: str | None,
    meter_accuracy: float | None,
    meter_step: float | None,
    boundary: str | None,
    power: tuple[str, ...],
    load: str | None,
    backend: str | None,
    device: str | None,
    precision: str | None,
    batch: int | None,
    threads: int | None,
    tuning: str | None,
    settle_s: float,
    level_s: float,
    show: bool,
    gone: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Hold the device's power sensor against a trusted meter at five levels of load, and keep the result.

    Later runs correct their joules by it and state a smaller uncertainty (docs/calibration.md).
    """
    knobs: dict[str, object] = {name: value for name, value in locals().items() if name in KNOBS}
    knobs["power"] = power or None
    if show or gone is not None:
        records = forget(gone) if gone is not None else every_calibration()
        _print(records, as_json, "forgotten" if gone is not None else "")
        return 0
    for limits, value in ((STEP, meter_step), (SETTLE, settle_s), (LEVEL, level_s)):
        limits.check(value)
    facts = MeterFacts(
        identity=meter_name,
        accuracy_rel=_accuracy_rel(meter_accuracy),
        boundary=_scope(boundary),
        resolution_w=meter_step,
    )
    times = Times(settle_s=settle_s, level_s=level_s)
    check_text("--meter-name", meter_name)
    record = _calibrated(_opener(meter, typed, facts), times, knobs, quiet)
    path = keep(record)
    _print((record,), as_json, f"kept in {path}")
    return 0


def _calibrated(opener: Callable[[], Meter], times: Times, knobs: dict[str, object], quiet: bool) -> CalibrationRecord:
    resolved = resolve(make_request(knobs, "bench calibrate: wrong option"))
    meter = opener()
    try:
        power = PowerSession.open(resolved.plan, resolved.covers, corrected=False)
        try:
            return calibrate(resolved, power, meter, times, ConsoleReporter(quiet=quiet))
        except KeyboardInterrupt:
            raise InterruptedRunError("Interrupted", "the calibration was not finished; nothing was stored") from None
        finally:
            power.close()
    finally:
        meter.close()


def _opener(meter: str | None, typed: str | None, facts: MeterFacts) -> Callable[[], Meter]:
    """Return what opens the meter that the options name; wrong ones are refused before anything is opened."""
    if (meter is None) == (typed is None):
        why = "a sensor is calibrated against exactly one meter"
        raise UsageError(
            "No meter is named" if meter is None else "Two meters are named", why, "Use --meter or --typed."
        )
    if meter is not None:
        check_text("--meter", meter)
        return lambda: open_meter(meter, facts)
    ask = _prompt if typed == PROMPT else _lines_of(Path(str(typed)))
    return lambda: TypedMeter(ask, facts)


def _prompt(text: str) -> str:
    answer: str = click.prompt(text, err=True, prompt_suffix=": ")
    return answer


def _lines_of(path: Path) -> Callable[[str], str]:
    """Return what answers prompts from a file of readings, one a line; the file is checked at once."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(
            f"Cannot read the readings in {path}", str(exc), "Give a text file, one reading a line."
        ) from exc
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != len(SHARES):
        why = f"it has {len(lines)} readings, the levels are {', '.join(f'{share:.0%}' for share in SHARES)}"
        raise UsageError(f"The readings in {path} do not fit", why, "Give one reading a level, in this order.")
    for number, line in enumerate(lines, 1):
        parse_reading(line, f"level {number} in {path}")
    rows = iter(lines)
    return lambda _: next(rows)


def _accuracy_rel(percent: float | None) -> float | None:
    """Return the standard uncertainty of limits of error: a rectangular bound (GUM 4.3.7)."""
    Range(flag="--meter-accuracy", low=0, high=100, unit=" %", above_zero=True).check(percent)
    return None if percent is None else percent / 100 / math.sqrt(3)


def _scope(word: str | None) -> Scope | None:
    for scope in get_args(Scope):
        if scope == word:
            return scope  # type: ignore[no-any-return]  # get_args has no types
    if word is not None:
        raise UsageError(f"Unknown --boundary {word!r}", f"known are {', '.join(get_args(Scope))}", "Name one of them.")
    return None


def _print(records: Sequence[CalibrationRecord], as_json: bool, ending: str) -> None:
    if as_json:
        print_json(records)
        return
    if not records:
        print_lines(["No calibration is stored. docs/calibration.md shows how to make one."])
    for record in records:
        print_lines([*calibration_lines(record, datetime.now(tz=UTC)), *([ending] if ending else []), ""])


def calibration_lines(record: CalibrationRecord, now: datetime) -> Iterator[str]:
    """Return a calibration as lines: whose, against what, the line with its intervals, the levels, its age."""
    name = f" ({record.device_name})" if record.device_name else ""
    yield f"device     {record.device}{name}"
    yield f"sensor     {record.group}, {record.scope}; driver {record.driver or 'unknown'}"
    meter = record.meter
    yield f"meter      {meter.identity}, {meter.source}, {100 * meter.accuracy_rel:.3g} % (k=1): {meter.accuracy_basis}"
    low, high = record.gain_interval
    yield f"gain       {record.gain:.4f}  [{low:.4f} .. {high:.4f}]  (95 %)"
    low, high = record.offset_interval_w
    yield f"offset     {record.offset_w:+.2f} W  [{low:+.2f} .. {high:+.2f}]  (95 %)"
    yield f"residual   {record.residual_rms_w:.3f} W (root mean square)"
    yield from _boundary_lines(record)
    yield f"{'level':>10} {'busy':>6} {'sensor W':>10} {'meter W':>10} {'off the line W':>15}"
    for level in record.levels:
        off_w = level.sensor_w - record.gain * level.meter_w - record.offset_w
        figures = f"{level.sensor_w:>10.2f} {level.meter_w:>10.2f} {off_w:>+15.3f}"
        yield f"{level.name:>10} {100 * level.busy_share:>5.0f}% {figures}"
    age = age_of(record, now)
    old = f"; older than {CALIBRATION_AGE.days} days: calibrate again" if age > CALIBRATION_AGE else ""
    yield f"made       {record.calibrated_at}, {age.days} days ago{old}"


def _boundary_lines(record: CalibrationRecord) -> Iterator[str]:
    if record.boundary == record.scope:
        yield f"boundary   {record.boundary}: joules of this sensor are corrected"
        return
    yield f"boundary   {record.boundary}, the sensor sees the {record.scope}: the offset holds what else drew there,"
    yield "           taken as constant; results give the joules there beside the sensor's own, which stay as they are"
