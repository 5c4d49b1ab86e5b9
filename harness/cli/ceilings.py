"""`bench ceilings`: what a device can do at most, by micro-benchmarks, as a table."""

from collections.abc import Iterator, Sequence

import click

from wattbench.harness.ceilings import fresh_ceilings
from wattbench.harness.ceilings_cache import newest
from wattbench.harness.ceilings_target import Target, device_target, powered
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.progress import ConsoleReporter
from wattbench.harness.cli.run import parse_affinity
from wattbench.harness.clock import RunClock
from wattbench.harness.request import RunRequest
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.errors import DeviceError, InterruptedRunError
from wattbench.results.stats import median

__all__ = ["ceiling_lines", "command"]

KINDS = {
    "matmul": "product",
    "memory_read": "memory read",
    "memory_copy": "memory copy",
    "host_to_device": "host to device",
}

SCALE = {"FLOP/s": (1e12, "TFLOP/s", "pJ/FLOP"), "By/s": (1e9, "GB/s", "pJ/B")}
"""By unit of the record: the divisor of its rates, what they are printed in, and their energy's unit."""

PICO = 1e12


@click.command("ceilings")
@click.option("--backend", "-b", metavar="NAME", help="What measures [default: torch]; a CPU's others check it.")
@click.option(
    "--device", "-d", metavar="NAME", help="What is measured: cpu, cuda, cuda:1, ... [default: the best there is]."
)
@click.option("--threads", type=int, metavar="N", help="CPU threads [default: the framework's own choice].")
@click.option("--affinity", metavar="CPUS", help="Processors to run on, e.g. 0,2-5 [default: all allowed].")
@click.option("--power", multiple=True, metavar="SAMPLER", help="auto, none, nvml, rapl, hwmon, battery, replay:FILE.")
@click.option("--cached", is_flag=True, help="Show what was measured within a day; measure nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(
    backend: str | None,
    device: str | None,
    threads: int | None,
    affinity: str | None,
    power: tuple[str, ...],
    cached: bool,
    as_json: bool,
) -> int:
    """Measure what a device can do at most: matrix products, memory, copies (about 40 seconds).

    Utilisation in results is counted from these figures; runs measure them on their own, at the load's shapes too.
    """
    request = RunRequest(
        backend=backend, device=device, threads=threads, affinity=parse_affinity(affinity), power=power or None
    )
    target = device_target(request)
    record = _remembered(target) if cached else _measured(target)
    if as_json:
        print_json(record)
    else:
        print_lines(ceiling_lines(record))
    return 0


def _remembered(target: Target) -> CeilingsRecord:
    record = newest(target)
    if record is None:
        what = f"No ceilings of {target.device.name} through {target.backend} are remembered"
        raise DeviceError(what, "none were measured within a day in this state", "Leave out --cached to measure them.")
    return record


def _measured(target: Target) -> CeilingsRecord:
    power, clock, reporter = powered(target), RunClock(), ConsoleReporter()
    try:
        power.start(clock)
        return fresh_ceilings(target, power, clock, reporter)
    except KeyboardInterrupt:
        raise InterruptedRunError("Interrupted", "the ceilings were not measured to the end") from None
    finally:
        power.close()


def ceiling_lines(record: CeilingsRecord) -> Iterator[str]:
    """Return the record as lines: every micro-benchmark, the ceiling of each kind, and what is missing."""
    yield f"{record.device}: {record.device_name or 'unnamed'}"
    cache = f"{record.cache_bytes / 2**20:.0f} MiB" if record.cache_bytes else "unknown"
    when = "remembered from" if record.cached else "measured at"
    yield f"{when} {record.measured_at} in {record.duration_s:.0f} s; last-level cache {cache}\n"
    figures = f"{'best':>9}{'median':>9} {'unit':<8}{'spread':>7}  {'energy':<15} library"
    yield f"{'what':<15}{'precision':<10}{'shape':<17}{figures}"
    yield from (_entry_line(entry) for entry in record.entries)
    yield from _energy_lines(record.entries)
    yield "\nceilings (the fastest of each kind)"
    for entry in _ceilings(record):
        divisor, unit, _ = SCALE[entry.unit]
        yield f"  {_what(entry):<24}{entry.rate / divisor:>9.4g} {unit:<8} {entry.shape}, {entry.library}"
    if record.skipped:
        yield "\nnot measured"
        yield from (f"  {text}" for text in record.skipped)


def _entry_line(entry: CeilingEntry) -> str:
    divisor, unit, energy_unit = SCALE[entry.unit]
    middle = median(entry.samples)
    spread = 100 * (entry.rate - min(entry.samples)) / middle if middle else 0.0
    joules = entry.energy_per_unit_j
    energy = "-" if joules is None else f"{joules * PICO:.3g} {energy_unit}"
    figures = f"{entry.rate / divisor:>9.4g}{middle / divisor:>9.4g} {unit:<8}{spread:>5.0f} %"
    name = f"{KINDS[entry.kind]:<15}{entry.precision or '':<10}{entry.shape:<17}"
    return f"{name}{figures}  {energy:<15} {entry.library}"


def _energy_lines(entries: Sequence[CeilingEntry]) -> Iterator[str]:
    """Return the scope of the energies, and every reason why there is none, each once."""
    for scope in dict.fromkeys(e.energy_scope for e in entries if e.energy_scope is not None):
        yield f"energy: of the scope {scope}, idle power included"
    for reason in dict.fromkeys(e.energy_reason for e in entries if e.energy_reason is not None):
        yield f"energy: not measured: {reason}"


def _ceilings(record: CeilingsRecord) -> Iterator[CeilingEntry]:
    """Yield the entries that are the fastest of their kind and precision."""
    yield from (entry for entry in record.entries if record.best(entry.kind, entry.precision) is entry)


def _what(entry: CeilingEntry) -> str:
    return f"{KINDS[entry.kind]} {entry.precision or ''}".strip()
