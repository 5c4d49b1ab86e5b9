"""The two log files by which MLPerf's power director can measure a run of ours: when its load began and ended.

What the director reads (mlcommons/power-dev, ptd_client_server/lib/client.py and compliance/check.py): in
mlperf_log_detail.txt the first lines with power_begin and power_end, each with an instant MM-DD-YYYY HH:MM:SS.mmm in
UTC that lies within the time that its command ran; mlperf_log_summary.txt has to be there and may hold anything.
Nothing else is written: these are no logs of LoadGen, and say so.
"""

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wattbench.harness.version import harness_record
from wattbench.results.document import Result
from wattbench.results.errors import UsageError
from wattbench.results.exchange.mlperf_log import MARKER
from wattbench.results.files import put_file

__all__ = ["DETAIL", "OWN_MARKER", "SUMMARY", "check_marker_folder", "marker_texts", "write_markers"]

DETAIL, SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
FLAG = "--mlperf-markers"
OWN_MARKER = "wattbench_run"
"""The key by which our markers are known from a log of LoadGen."""


def check_marker_folder(folder: Path) -> None:
    """Make the folder, or raise UsageError before anything is measured when the logs could not lie there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as exc:
        raise UsageError(f"{FLAG} cannot use {folder}", exc.strerror or str(exc), "Name a new folder.") from exc
    except ValueError as exc:
        raise UsageError(f"{FLAG} cannot use {str(folder)!r}", str(exc), "Name a new folder.") from exc
    if not usable:
        raise UsageError(f"{FLAG} cannot use {folder}", "it may not be written to", "Name another folder.")


def write_markers(result: Result, folder: Path) -> bool:
    """Write both logs, each all or nothing, the summary first; return whether there was a window to mark.

    A run that ended early has the windows that it measured. Raises StorageError when the place cannot take them.
    """
    texts = marker_texts(result)
    if texts is None:
        return False
    for name in (SUMMARY, DETAIL):  # who finds the markers finds the summary too
        put_file(folder / name, texts[name].encode())
    return True


def marker_texts(result: Result) -> dict[str, str] | None:
    """Return the texts of both logs by name, or None for a run without a measured window.

    The span reaches from the start of the first window to the end of the last, rounded inwards to the millisecond;
    between the windows the load pauses for at most the plan's jitter. The instants are those of the run's own clock
    pair, as LoadGen takes the wall clock at the start and its steady clock from there.
    """
    if not result.repeats:
        return None
    begin_ns, end_ns = result.repeats[0].window.start_ns, result.repeats[-1].window.end_ns
    origin = datetime.fromisoformat(result.run.clock.origin_utc).astimezone(UTC)
    about = (
        f"written by wattbench {harness_record().version}, not by LoadGen: markers for a power meter, no MLPerf result"
    )
    begin, end = _instant(origin, begin_ns, up=True), _instant(origin, end_ns, up=False)
    lines = [
        _line("generic_message", about, 0),
        _line(OWN_MARKER, result.run.id, 0),
        _line("power_begin", begin, begin_ns),
        _line("power_end", end, end_ns),
    ]
    summary = [
        f"Power markers of a wattbench run ({about}).",
        f"run: {result.run.id}",
        f"load: {result.load.name}, {result.plan.scenario}, status {result.status}",
        f"windows: {len(result.repeats)}, {begin} to {end} UTC",
    ]
    return {DETAIL: "".join(f"{line}\n" for line in lines), SUMMARY: "".join(f"{line}\n" for line in summary)}


def _instant(origin: datetime, offset_ns: int, *, up: bool) -> str:
    """Return an instant as MM-DD-YYYY HH:MM:SS.mmm in UTC, rounded to a whole millisecond."""
    micros = origin.microsecond + offset_ns // 1000
    millis = -(-micros // 1000) if up else micros // 1000
    moment = origin.replace(microsecond=0) + timedelta(milliseconds=millis)
    return f"{moment:%m-%d-%Y %H:%M:%S}.{moment.microsecond // 1000:03d}"


def _line(key: str, value: str, time_ns: int) -> str:
    """Return one line in LoadGen's format, so that parsers of its log can read it."""
    record = {
        "key": key,
        "value": value,
        "time_ms": time_ns / 1e6,
        "namespace": "mlperf::logging",
        "event_type": "POINT_IN_TIME",
        "metadata": {
            "is_error": False,
            "is_warning": False,
            "file": "wattbench",
            "line_no": 0,
            "pid": os.getpid(),
            "tid": threading.get_ident(),
        },
    }
    return f"{MARKER} {json.dumps(record)}"
