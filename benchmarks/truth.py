"""Is the meter inside? Real sensor logs through sampler, recorder and budget, beside a real external meter.

Run: python benchmarks/truth.py [--traces DIR] [--rate HZ] [--json]
Replays what NVML showed of each trace on a hand-turned clock through the sampler interface and the recorder, derives
the energy as a run does, and compares it with the 4.8 kHz meter: once with the board as it comes, once with its known
gain and offset. Beside it what a naive trapezoid over the polls and a trapezoid over deduplicated polls would say.
DIR holds one folder a trace: gpudata.csv (nvidia-smi), PMD_data.bin (ElmorLabs PMD), PMD_start_ts.txt, timestamps.csv,
each also as .xz; without it the four traces in tests/data/oxford_traces are taken (arXiv 2312.02741).
Goal: the meter within k=2 of every figure; calibrated steps within 1 % (Kepler 2 %); the square wave raises `alias`.
"""

import argparse
import csv
import json
import lzma
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import fsum
from pathlib import Path

import numpy

from wattbench.harness.power.alias import rhythms
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading
from wattbench.harness.power.curve import integrate_j
from wattbench.harness.power.derive import source_energies
from wattbench.harness.power.nvml_table import accuracy_of, behaviour_of
from wattbench.harness.power.recorder import Recorder
from wattbench.results.energy import ChannelEnergy
from wattbench.results.measurement import Completions, Window

TRACES = Path(__file__).resolve().parents[1] / "tests" / "data" / "oxford_traces"
SECOND = 1_000_000_000
FIELDS = ("power.draw.instant [W]", "power.draw [W]")

TICKS_PER_S = 2_933_500.0
VOLT_PER_COUNT, AMPERE_PER_COUNT = 0.007568, 0.0488
METER_LATE_US = 50_000
"""How the meter's file is read: plotting/figure_plotting.py of github.com/JimZeyuYang/GPU_Power_Benchmark. 9 words of
16 bits a sample: ticks, then voltage and current of four rails, 12 bits in the upper part; a negative current counts
as none; the meter began 50 ms before the time in its file."""

CALIBRATED_REL = 0.008
"""What is left of a board's gain after one calibration (k=1): the worst board of the same data set."""


@dataclass(frozen=True)
class Board:
    """What is known of a board: its architecture, and reading = gain x watts + offset_w against the meter."""

    architecture: str
    gain: float | None = None
    offset_w: float = 0.0


BOARDS = {
    "A100": Board("ga100", 0.954, -1.18),
    "3090": Board("ampere", 0.948, 1.4),
    "4090": Board("ada", 1.044, -22.6),
    "A5000": Board("ampere", 0.908, 6.3),
    "K40m": Board("kepler", 1.024, 0.81),
}
"""By the first word of a trace's folder; Overall_Results.xlsx and figure_plotting.py of the same repository."""


@dataclass(frozen=True)
class Log:
    """What nvidia-smi showed and what the load did, in ns from the log's first line; the meter on the same clock."""

    name: str
    field: str
    times_ns: tuple[int, ...]
    watts: tuple[float, ...]
    edges_ns: tuple[int, ...]
    meter_ns: tuple[int, ...]
    meter_w: tuple[float, ...]


@dataclass(frozen=True)
class Verdict:
    """One energy against the meter: its error and both uncertainties (k=2), all relative; alias facts or None."""

    error: float
    absolute: float
    comparison: float
    inside: bool
    alias: str | None


@dataclass(frozen=True)
class Row:
    """One trace: the meter's joules, our two verdicts (None: gain unknown), and the errors of two simpler methods."""

    trace: str
    field: str
    window_s: float
    meter_j: float
    as_it_comes: Verdict
    calibrated: Verdict | None
    naive_error: float
    deduplicated_error: float


class TurnedClock:
    """Jumps to every deadline at once until its end, then waits for the stop."""

    def __init__(self, end_ns: int) -> None:
        self.ns, self.end_ns, self.ended = 0, end_ns, threading.Event()

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Turn the dial to the deadline, or wait for the stop at the log's end."""
        if deadline_ns > self.end_ns:
            self.ended.set()
            return stop.wait(30)
        self.ns = deadline_ns
        return stop.is_set()


class TraceSampler:
    """Shows at each instant what the log held then, corrected by a known gain and offset if told so."""

    name = "trace"

    def __init__(self, log: Log, clock: TurnedClock, channel: ChannelRecord, board: Board | None) -> None:
        self.channels = (channel,)
        self._log, self._clock, self._board = log, clock, board

    def probe(self) -> Availability:
        """Be there."""
        return Availability(state="present", reason="a trace")

    def read(self) -> tuple[Reading, ...]:
        """Return the last logged reading."""
        row = int(numpy.searchsorted(self._log.times_ns, self._clock.ns, side="right")) - 1
        watts = self._log.watts[row]
        if self._board is not None and self._board.gain is not None:
            watts = (watts - self._board.offset_w) / self._board.gain
        return (Reading(channel=self.channels[0].id, value=watts),)

    def close(self) -> None:
        """Do nothing."""


def main() -> None:
    """Print the table, or the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, default=TRACES, metavar="DIR", help="a folder of traces")
    parser.add_argument("--rate", type=float, default=20.0, metavar="HZ", help="polls per second [default: 20]")
    parser.add_argument("--json", action="store_true", help="for machines")
    asked = parser.parse_args()
    rows = rows_of(asked.traces, asked.rate)
    if asked.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        print("\n".join(table_lines(rows)))


def rows_of(folder: Path, rate_hz: float = 20.0) -> list[Row]:
    """Return one row for each trace in a folder. Ends the program with a sentence when there is none."""
    traces = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not traces:
        raise SystemExit(f"{folder} holds no trace: give a folder of folders with gpudata.csv and PMD_data.bin.")
    return [row_of(read_log(path), rate_hz) for path in traces]


def row_of(log: Log, rate_hz: float) -> Row:
    """Return what the pipeline and the simpler methods make of one trace, between the load's first and last edge."""
    window = Window(start_ns=log.edges_ns[0], end_ns=log.edges_ns[-1])
    meter_j = integrate_j(log.meter_ns, log.meter_w, window.start_ns, window.end_ns, SECOND)
    board = BOARDS.get(log.name.split("_")[0], Board("unknown"))
    inside = [n for n, t in enumerate(log.times_ns) if window.start_ns <= t < window.end_ns]
    changed = [n for n in inside if n == inside[0] or log.watts[n] != log.watts[n - 1]]
    return Row(
        trace=log.name,
        field=log.field,
        window_s=window.duration_s,
        meter_j=meter_j,
        as_it_comes=verdict_of(replayed(log, board, window, rate_hz, calibrated=False), meter_j),
        calibrated=verdict_of(replayed(log, board, window, rate_hz, calibrated=True), meter_j) if board.gain else None,
        naive_error=trapezoid_j(log, inside) / meter_j - 1,
        deduplicated_error=trapezoid_j(log, changed) / meter_j - 1,
    )


def replayed(log: Log, board: Board, window: Window, rate_hz: float, *, calibrated: bool) -> ChannelEnergy:
    """Return the energy of a window through sampler, recorder and budget."""
    behaviour, accuracy = behaviour_of(board.architecture, "instant"), accuracy_of(board.architecture)
    channel = ChannelRecord(
        id=f"trace:{log.name}",
        sampler="trace",
        group=log.name,
        scope="board",
        kind="power",
        provenance="replayed",
        unit="W",
        covers=None,
        resolution=0.01,
        update_period_s=behaviour.update_period_s,
        averaging_window_s=behaviour.averaging_window_s,
        lag_s=behaviour.lag_s,
        seen_share=behaviour.seen_share,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=CALIBRATED_REL if calibrated else accuracy.rel,
        accuracy_basis="calibrated against the meter" if calibrated else accuracy.basis,
        offset_u_w=None if calibrated else accuracy.offset_u_w,
        offset_at_w=None if calibrated else accuracy.offset_at_w,
    )
    clock = TurnedClock(log.times_ns[-1])
    sampler = TraceSampler(log, clock, channel, board if calibrated else None)
    recorder = Recorder([sampler], rate_hz, clock=clock)
    recorder.start()
    clock.ended.wait(60)
    recorder.stop(60)
    load = rhythms(cycles_of(log), window)
    (energy,) = source_energies(recorder.channels, recorder.polls(), window, rate_hz=rate_hz, load=load)
    return energy


def cycles_of(log: Log) -> Completions:
    """Return the load as executions, each from one edge to the next."""
    start, end = log.edges_ns[:-1], log.edges_ns[1:]
    zeros = (0,) * len(start)
    return Completions(
        planned_start_ns=start,
        start_ns=start,
        first_output_ns=(None,) * len(start),
        step_end_ns=((),) * len(start),
        end_ns=end,
        requests=(1,) * len(start),
        input_tokens=zeros,
        output_tokens=zeros,
        error=(None,) * len(start),
    )


def verdict_of(energy: ChannelEnergy, meter_j: float) -> Verdict:
    """Return an energy's error against the meter, and whether the meter lies within k=2 of it."""
    assert energy.energy_j is not None, energy.reason
    assert energy.u_absolute_rel is not None
    assert energy.u_comparison_rel is not None
    absolute = 2 * energy.u_absolute_rel
    return Verdict(
        error=energy.energy_j / meter_j - 1,
        absolute=absolute,
        comparison=2 * energy.u_comparison_rel,
        inside=abs(energy.energy_j - meter_j) <= absolute * energy.energy_j,
        alias=next((term.basis for term in energy.budget if term.name == "alias"), None),
    )


def trapezoid_j(log: Log, rows: list[int]) -> float:
    """Return the trapezoids between some rows of the log: no lag, nothing beyond the first and last."""
    return fsum(
        (log.watts[a] + log.watts[b]) / 2 * (log.times_ns[b] - log.times_ns[a]) / 1e9 for a, b in pairwise(rows)
    )


def read_log(folder: Path) -> Log:
    """Return a trace; nvidia-smi's local times are moved by the whole hours that bring them to the meter's."""
    began_us = int(text_of(folder, "PMD_start_ts.txt"))
    rows = list(csv.reader(text_of(folder, "gpudata.csv").splitlines(), skipinitialspace=True))
    column = next(rows[0].index(field) for field in FIELDS if field in rows[0])
    stamps = [datetime.strptime(row[0], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp() for row in rows[1:]]
    hours_s = 3600 * round((stamps[0] - began_us / 1e6) / 3600)
    origin_us = round(1e6 * (stamps[0] - hours_s))
    edges_us = {int(line) for line in text_of(folder, "timestamps.csv").split()[1:]} - {began_us}
    words = numpy.frombuffer(bytes_of(folder, "PMD_data.bin"), dtype="<u2").reshape(-1, 9).astype(numpy.int64)
    ticks = numpy.concatenate([[0], numpy.cumsum(numpy.diff(words[:, 0]) % 65536)])
    counts = words[:, 1:] >> 4
    counts[counts >= 2048] = 0
    powers = (counts[:, 0::2] * VOLT_PER_COUNT * counts[:, 1::2] * AMPERE_PER_COUNT).sum(axis=1)
    meter_ns = 1000 * (began_us - METER_LATE_US - origin_us) + (ticks / TICKS_PER_S * 1e9).round().astype(numpy.int64)
    return Log(
        name=folder.name,
        field=rows[0][column].removesuffix(" [W]").removeprefix("power."),
        times_ns=tuple(round(1e9 * (stamp - stamps[0])) for stamp in stamps),
        watts=tuple(float(row[column]) for row in rows[1:]),
        edges_ns=tuple(1000 * (edge - origin_us) for edge in sorted(edges_us)),
        meter_ns=tuple(meter_ns.tolist()),
        meter_w=tuple(powers.tolist()),
    )


def bytes_of(folder: Path, name: str) -> bytes:
    """Return a file of a trace, packed or not."""
    packed = folder / f"{name}.xz"
    return lzma.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()


def text_of(folder: Path, name: str) -> str:
    """Return a text file of a trace."""
    return bytes_of(folder, name).decode()


def table_lines(rows: list[Row]) -> list[str]:
    """Return the rows as a table in Markdown; uncertainties are k=2."""
    head = "trace | meter | as it comes | stated absolute, comparison | calibrated | stated absolute, comparison"
    head += " | meter inside | `alias` | naive | deduplicated"
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    for row in rows:
        cells = [f"{row.trace} ({row.field}, {row.window_s:.1f} s)", f"{row.meter_j:.1f} J"]
        for verdict in (row.as_it_comes, row.calibrated):
            cells += ["-", "-"] if verdict is None else [percent(verdict.error), spans(verdict)]
        verdicts = [v for v in (row.as_it_comes, row.calibrated) if v is not None]
        cells.append(", ".join("yes" if v.inside else "NO" for v in verdicts))
        cells.append("yes" if any(v.alias for v in verdicts) else "no")
        cells += [percent(row.naive_error), percent(row.deduplicated_error)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def percent(share: float) -> str:
    """Return a share as a signed percentage."""
    return f"{100 * share:+.2f} %"


def spans(verdict: Verdict) -> str:
    """Return both uncertainties."""
    return f"±{100 * verdict.absolute:.1f} %, ±{100 * verdict.comparison:.1f} %"


if __name__ == "__main__":
    main()
