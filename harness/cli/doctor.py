"""`bench doctor`: what can be measured here, and for everything else why not and what to do."""

from collections.abc import Iterable, Iterator

import click

from wattbench.backends.contract import DeviceFinding, DeviceInfo
from wattbench.harness.cli.doctor_power import power_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.progress import ConsoleReporter
from wattbench.harness.doctor import Report, examine
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.harness.sensor_check import PowerReport, check_sensors
from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord
from wattbench.results.environment import Environment
from wattbench.results.errors import InterruptedRunError, UsageError

__all__ = ["command", "report_lines"]

WATCH_S = 10.0
WATCH_MAX_S = 3600.0

MARKS = {"present": "ok", "absent": "--", "broken": "XX"}


@click.command("doctor")
@click.option(
    "--power", is_flag=False, flag_value="auto", metavar="[SAMPLER]", help="Watch the power sensors, or the named one."
)
@click.option("--seconds", type=float, metavar="S", help="With --power: how long to watch [default: 10].")
@click.option("--probe-load", is_flag=True, help="With --power: run a load in steps; measure windows and lags (30 s).")
@click.option("--load", "-l", metavar="MODEL/SHAPE", help="With --probe-load: what runs.")
@click.option("--backend", "-b", metavar="NAME", help="With --probe-load: what executes it.")
@click.option("--device", "-d", metavar="NAME", help="With --probe-load: where.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(
    power: str | None,
    seconds: float | None,
    probe_load: bool,
    load: str | None,
    backend: str | None,
    device: str | None,
    as_json: bool,
) -> int:
    """Say what can be measured here: the machine, backends with devices, power sensors.

    For each thing that cannot be used: why, and the exact remedy. With --power: how the sensors really behave.
    """
    probe = RunRequest(load=load, backend=backend, device=device)
    if power is not None:
        report = _power_report(power, seconds, probe if probe_load else None)
        _print(report, power_lines(report), as_json)
        return 0
    if seconds is not None or probe_load or probe != RunRequest():
        why = "--seconds, --probe-load and what it runs belong to --power"
        raise UsageError("Nothing to watch", why, "Use bench doctor --power.")
    whole = examine()
    _print(whole, report_lines(whole), as_json)
    return 0


def _print(report: object, lines: Iterable[str], as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        print_lines(lines)


def _power_report(power: str, seconds: float | None, probe: RunRequest | None) -> PowerReport:
    """Return how the sensors behave. Raises UsageError for wrong options, before anything is started."""
    watch_s = WATCH_S if seconds is None else seconds
    if not 0 < watch_s <= WATCH_MAX_S:
        why = f"got {watch_s:g}, it must be more than 0 and at most {WATCH_MAX_S:g} s"
        raise UsageError("--seconds is out of range", why, "Choose a value in that range.")
    if power == "none":
        raise UsageError("There is nothing to watch", "--power none reads no sensor", "Leave out none.")
    resolved = resolve(probe) if probe is not None else None
    try:
        return check_sensors(power, watch_s, resolved, ConsoleReporter())
    except KeyboardInterrupt:
        raise InterruptedRunError("Interrupted", "the sensors were not watched to the end") from None


def report_lines(report: Report) -> Iterator[str]:
    """Return the report as lines of text."""
    yield "machine"
    yield from _machine_lines(report.environment)
    yield "\nbackends"
    for backend in report.backends:
        yield from _availability_lines(backend.name, backend.availability)
        for device in backend.devices:
            yield f"       {_device_text(device)}"
        yield from _finding_lines(backend.findings)
    yield "\npower sensors"
    for sampler in report.samplers:
        yield from _availability_lines(sampler.name, sampler.availability)
        for channel in sampler.channels:
            yield f"       {_channel_text(channel)}"
    yield from _sensorless_lines(report)
    yield "\nnext"
    yield from _advice_lines(report)


def _machine_lines(environment: Environment) -> Iterator[str]:
    cpu, host = environment.cpu, environment.host
    cores = f"{cpu.cores_logical} logical cores, {cpu.cores_usable:g} usable"
    yield f"  cpu       {cpu.model or 'unknown model'} ({cpu.architecture}; {cores})"
    yield f"  features  {', '.join(cpu.features or ()) or 'none that matter'}"
    limit = f", limited to {host.memory_limit_bytes / 1e9:.1f} GB" if host.memory_limit_bytes else ""
    yield f"  memory    {host.memory_bytes / 1e9:.1f} GB{limit}"
    where = " in ".join(x for x in (host.container, host.virtualization) if x)
    yield f"  system    {host.os}, kernel {host.kernel}{', ' + where if where else ''}"
    for gpu in environment.accelerators:
        size = f", {gpu.memory_bytes / 1e9:.0f} GB" if gpu.memory_bytes else ""
        limit = f", limit {gpu.power_limit_w:.0f} W" if gpu.power_limit_w else ""
        yield f"  device    {gpu.vendor} {gpu.name}{size}{limit}, driver {gpu.driver or 'unknown'}"


def _availability_lines(name: str, availability: Availability) -> Iterator[str]:
    yield f"  {MARKS[availability.state]} {name:<10} {availability.reason}"
    if not availability.usable and availability.remedy:
        yield f"                {availability.remedy}"


def _finding_lines(findings: tuple[DeviceFinding, ...]) -> Iterator[str]:
    """Yield a line for each kind of device that is broken, and one for all that are not here."""
    for finding in findings:
        if finding.availability.state == "broken":
            yield f"       {MARKS['broken']} {finding.name} ({finding.label}): {finding.availability.reason}"
            yield f"                {finding.availability.remedy}"
    absent = ", ".join(finding.name for finding in findings if finding.availability.state == "absent")
    if absent:
        yield f"       not here: {absent} (`bench run --device NAME` says how to get each)"


def _sensorless_lines(report: Report) -> Iterator[str]:
    for row in report.sensorless:
        if row.here:
            yield f"  -- {row.about.device:<10} has no power sensor: {row.about.why}"
            yield f"                instead: {row.about.instead}"
    names = ", ".join(row.about.device for row in report.sensorless if not row.here)
    yield f"  without a sensor anywhere (docs/power.md#devices-without-a-sensor): {names}"


def _device_text(device: DeviceInfo) -> str:
    size = f", {device.memory_bytes / 1e9:.1f} GB" if device.memory_bytes else ""
    emulated = f" [EMULATED on {device.emulated_on}]" if device.emulated_on is not None else ""
    precisions = f"{', '.join(device.precisions)} [{device.precision_default}]"
    return f"{device.name}: {device.description}{emulated}{size}; {precisions}"


def _channel_text(channel: ChannelRecord) -> str:
    period = f"every {1000 * channel.update_period_s:g} ms" if channel.update_period_s else "period unknown"
    accuracy = f"u = {100 * channel.accuracy_rel:.1f} %" if channel.accuracy_rel is not None else "accuracy unknown"
    return f"{channel.id}: {channel.scope}, {channel.kind} in {channel.unit}, {period}, {accuracy} (k=1)"


def _advice_lines(report: Report) -> Iterator[str]:
    usable = [b.name for b in report.backends if b.availability.usable and b.name != "mock"]
    sensors = [s.name for s in report.samplers if s.availability.usable and s.name not in ("model", "replay")]
    if usable:
        yield "  bench run --quick     a first number in one to two minutes"
    else:
        yield "  pip install 'wattbench[torch]'     to run loads"
    if not sensors:
        yield "  No power sensor can be read here: energy will be null, with this reason, never 0."
