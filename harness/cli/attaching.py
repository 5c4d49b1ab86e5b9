"""`bench attach-power`: an external meter's recording, attached to a finished result."""

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import click

from wattbench.harness.cli.figures import labelled, result_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.exchange.attach import Attached, AttachOptions, attach, device_of
from wattbench.harness.exchange.recordings import (
    RecordingFile,
    parse_zone,
    read_csv_file,
    read_spl_file,
    session_offset_s,
)
from wattbench.harness.knobs import check_text, user_path
from wattbench.harness.storage import import_path
from wattbench.results.document import Result
from wattbench.results.energy import Scope
from wattbench.results.errors import UsageError
from wattbench.results.exchange.meter_csv import UNITS, CsvOptions
from wattbench.results.files import read_result, stored_id
from wattbench.results.sidecar import with_polls, write_with_files

__all__ = ["command"]

AUTO = "auto"
OWN = "device"
DAY_S = 86400.0
WHOLE = ("wall", "node", "psys")
"""Scopes that take in the whole machine, so that nothing has to be said of what they cover."""


@click.command("attach-power")
@click.argument("result", metavar="RESULT")
@click.option("--csv", "csv_file", metavar="FILE", help="A CSV file of times and watts (or joules of a counter).")
@click.option("--spl", "spl_file", metavar="FILE", help="An spl.txt of MLPerf's power director (PTDaemon).")
@click.option("--time-column", metavar="NAME", help="The CSV's column of times [default: time, timestamp].")
@click.option("--watts-column", metavar="NAME", help="Its column of power [default: power_w, watts, power].")
@click.option("--joules-column", metavar="NAME", help="Its column of a counter [default: energy_j, joules].")
@click.option("--unit", type=click.Choice(list(UNITS)), help="The unit of that column [default: W or J].")
@click.option("--time-zone", metavar="OFFSET", help="What times without a zone are in: UTC, +01:00 [--spl: UTC].")
@click.option("--clock-offset", metavar="S", help="Seconds to add to its times, or auto: fit the load's edges [0].")
@click.option("--clock-uncertainty", type=float, metavar="S", help="How well that is known, k=1 [default: 0.46].")
@click.option("--scope", type=click.Choice(get_args(Scope)), default="wall", help="What the meter sees [wall].")
@click.option("--covers", metavar="DEVICE", help="The device that it sees: cpu:0, a UUID, device (the run's own).")
@click.option("--accuracy", type=float, metavar="PERCENT", help="The meter's limits of error in % [unknown].")
@click.option("--accuracy-basis", metavar="TEXT", help="Where that comes from: a data sheet, a calibration.")
@click.option("--name", default="meter", metavar="NAME", help="What to call the meter [default: meter].")
@click.option("--out", "-o", metavar="PATH", help="The new result file (.json) or a folder.")
@click.option("--json", "as_json", is_flag=True, help="The new document on standard output, for machines.")
def command(
    result: str,
    csv_file: str | None,
    spl_file: str | None,
    time_column: str | None,
    watts_column: str | None,
    joules_column: str | None,
    unit: str | None,
    time_zone: str | None,
    clock_offset: str | None,
    clock_uncertainty: float | None,
    scope: Scope,
    covers: str | None,
    accuracy: float | None,
    accuracy_basis: str | None,
    name: str,
    out: str | None,
    as_json: bool,
) -> int:
    """Attach the recording that an external meter made during a run; RESULT stays as it is, a new file is written."""
    path = user_path("RESULT", result)
    assert path is not None
    columns = CsvOptions(
        time_column=time_column,
        watts_column=watts_column,
        joules_column=joules_column,
        unit=unit,
        zone=parse_zone(time_zone),
    )
    original = with_polls(read_result(path), path)
    file = _recording(user_path("--csv", csv_file), user_path("--spl", spl_file), columns)
    options = AttachOptions(
        name=_sampler_name(name),
        scope=scope,
        covers=_covered(original, scope, covers),
        clock_offset_s=_offset_s(clock_offset),
        fit_clock=clock_offset == AUTO,
        clock_uncertainty_s=_not_negative("--clock-uncertainty", clock_uncertainty),
        accuracy_rel=_accuracy_rel(accuracy),
        accuracy_basis=_accuracy_basis(accuracy, accuracy_basis),
        file=file.name,
        file_sha256=file.sha256,
    )
    done = attach(original, stored_id(path), file.recording, options)
    target = import_path(user_path("--out", out) or path.parent, f"{path.stem}_{name}")
    done = replace(done, result=write_with_files(done.result, target))
    _print(done, target, None if spl_file is None else session_offset_s(Path(spl_file)), as_json)
    return 3 if done.result.verdict is not None and done.result.verdict.standing == "invalid" else 0


def _recording(csv_file: Path | None, spl_file: Path | None, columns: CsvOptions) -> RecordingFile:
    """Return the one recording that is named. Raises UsageError for none, two, and options that do not go with it."""
    if csv_file is not None and spl_file is None:
        return read_csv_file(csv_file, columns)
    if spl_file is not None and csv_file is None:
        if columns != CsvOptions(zone=columns.zone):
            raise UsageError("Only a CSV file has columns to name", "--spl is given", "Leave out columns and --unit.")
        return read_spl_file(spl_file, columns.zone)
    count = "neither" if csv_file is None else "both"
    raise UsageError("One recording is attached at a time", f"{count} of --csv and --spl are given", "Name one file.")


def _sampler_name(name: str) -> str:
    """Return the meter's name. Raises UsageError for one that could not stand in a channel's id."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", name):
        raise UsageError("--name is no name of a meter", f"got {name!r}", "Use letters, digits, - and _.")
    return name


def _covered(original: Result, scope: Scope, covers: str | None) -> str | None:
    """Return the device that the meter sees. Raises UsageError for a scope that is a device's without one."""
    check_text("--covers", covers)
    if covers is None and scope not in WHOLE:
        why = f"scope {scope} is that of one device"
        raise UsageError("It is not known what the meter sees", why, "Name the device: --covers cpu:0, a UUID, device")
    if covers != OWN:
        return covers
    own = device_of(original)
    if own is None:
        raise UsageError("--covers device cannot be resolved", "the result names no device", "Name its UUID.")
    return own


def _offset_s(text: str | None) -> float | None:
    """Return the offset that is stated, in seconds; None for none, and for auto."""
    if text is None or text == AUTO:
        return None
    try:
        offset_s = float(text)
    except ValueError:
        offset_s = math.nan
    if not abs(offset_s) <= DAY_S:
        raise UsageError("--clock-offset is no offset", f"got {text!r}", "Give seconds, up to a day, or auto.")
    return offset_s


def _not_negative(flag: str, value: float | None) -> float | None:
    if value is not None and not 0 <= value <= DAY_S:
        raise UsageError(f"{flag} is out of range", f"got {value}", "Give a number from 0 up.")
    return value


def _accuracy_rel(percent: float | None) -> float | None:
    """Return the standard uncertainty of limits of error: a rectangular bound (GUM 4.3.7)."""
    if percent is not None and not 0 <= percent <= 100:
        raise UsageError("--accuracy is out of range", f"got {percent}", "Give per cent, from 0 to 100.")
    return None if percent is None else percent / 100 / math.sqrt(3)


def _accuracy_basis(percent: float | None, text: str | None) -> str:
    check_text("--accuracy-basis", text)
    if percent is None:
        return text or "unknown: nobody stated the accuracy of the meter"
    return f"limits of error +-{percent:g} % as a rectangular bound; {text or 'as stated by the user'}"


def _print(done: Attached, target: Path, session_s: float | None, as_json: bool) -> None:
    if as_json:
        print_json(done.result)
        return
    after = ["", f"result          {target}", f"look again      bench show {shlex.quote(str(target))}"]
    print_lines([*_attached_lines(done, session_s), "", *result_lines(done.result), *after])


def _attached_lines(done: Attached, session_s: float | None) -> Iterator[str]:
    """Yield what was attached, how its clock was laid over the run's, and what each window got of it."""
    record = done.result.attachments[-1]
    yield labelled(
        "attached", f"{record.channel} from {record.file}, {record.samples} samples; {record.time_reference}"
    )
    moved = f"moved by {record.clock_offset_s:+.3f} s +/- {record.clock_uncertainty_s:.2g} s (k=1)"
    yield labelled("clock", f"{moved}: {record.clock_basis}")
    if done.fit is not None and record.clock_offset_s != done.fit.offset_s:
        found = f"{done.fit.offset_s:+.2f} s +/- {done.fit.uncertainty_s:.2g} s"
        yield labelled("", f"the load's edges fit at {found} (correlation {done.fit.correlation:.3f}; not applied)")
    elif done.fit is None:
        yield labelled("", "the load's edges could not be found in it, so the clock is not checked")
    if session_s is not None:
        yield labelled("", f"power/client.json beside it says {session_s:+.3f} s (not applied by itself)")
    for repeat in done.result.repeats:
        energy = repeat.energy[-1]
        seen = f"{100 * (energy.coverage or 0.0):.1f} % covered, largest gap {energy.max_gap_s or 0.0:.3g} s"
        joules = f"{energy.energy_j:.6g} J" if energy.energy_j is not None else f"unknown: {energy.reason}"
        yield labelled(f"  window {repeat.index + 1}", f"{joules}  ({seen})")
