"""A guided calibration: five levels of load through a backend, sensor and meter compared over the same windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wattbench.harness.clock import RunClock
from wattbench.harness.commands import PREPARE_TIMEOUT_S, prepare_command
from wattbench.harness.driving import Driven
from wattbench.harness.messages import Drive, PreparedReply
from wattbench.harness.meters import Meter, SampledMeter
from wattbench.harness.plan import Resolved
from wattbench.harness.power.budget import own_share_rel
from wattbench.harness.power.calibration import fit_line, refuse_meter, refuse_poor_fit
from wattbench.harness.power.identity import board_facts, device_of, facts_of
from wattbench.harness.reporter import Reporter
from wattbench.harness.watts import PowerSession
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import SensorError, UsageError
from wattbench.results.measurement import Window

__all__ = ["SHARES", "Times", "calibrate", "calibration_of"]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The levels: the shares of the time that the load runs."""

TAIL_S = 0.3
"""The level goes on for this long beyond what the slower of both lags, so that its window ends within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long a level settles before its window, and the window, in seconds."""

    settle_s: float
    level_s: float


def calibrate(
    resolved: Resolved, power: PowerSession, meter: Meter, times: Times, reporter: Reporter
) -> CalibrationRecord:
    """Return the calibration of the sensor that sees the plan's device, measured now.

    `power` is open, not started, and uncorrected. Raises SensorError when there is no such sensor, when meter or
    levels do not serve (nothing is returned then), and whatever backend, sensor or meter raise.
    """
    if not power.active:
        raise SensorError("There is nothing to calibrate", power.unavailable_reason or "", "See bench doctor --power.")
    _refuse_mixture(power, meter)
    clock = RunClock()
    with WorkerClient() as worker:
        reporter.note(f"preparing {resolved.plan.load} on {resolved.plan.device}")
        worker.ask(prepare_command(resolved.plan, clock.origin_ns), PreparedReply, PREPARE_TIMEOUT_S)
        power.start(clock)
        meter.start(clock)
        compared = []
        for index, share in enumerate(SHARES):
            name = f"level {index + 1} of {len(SHARES)} ({share:.0%})"
            reporter.note(f"{name}: {times.settle_s:g} s to settle, {times.level_s:g} s to compare")
            compared.append(_level(worker, power, meter, times, clock, (name, share, index)))
    return calibration_of([level for level, _ in compared], compared[-1][1], power, meter)


def calibration_of(
    levels: Sequence[CalibrationLevel], energy: ChannelEnergy, power: PowerSession, meter: Meter
) -> CalibrationRecord:
    """Return the calibration that compared levels make of the sensor which `energy` came from.

    Raises SensorError when the meter is too coarse, or the levels do not make a line.
    """
    channel = next(c for c in power.record().channels if c.id == energy.channel)
    line = fit_line(levels)
    refuse_meter(meter.record, channel.accuracy_rel, levels)
    refuse_poor_fit(line, levels)
    device = device_of(channel)
    name, driver = facts_of(device, board_facts())
    return CalibrationRecord(
        device=device,
        device_name=name,
        driver=driver,
        sampler=channel.sampler,
        group=channel.group,
        scope=channel.scope,
        boundary=meter.record.scope,
        calibrated_at=datetime.now(tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        meter=meter.record,
        gain=line.gain,
        u_gain=line.u_gain,
        gain_interval=line.gain_interval,
        offset_w=line.offset_w,
        u_offset_w=line.u_offset_w,
        offset_interval_w=line.offset_interval_w,
        covariance_w=line.covariance_w,
        residual_rms_w=line.residual_rms_w,
        levels=tuple(levels),
    )


def _level(
    worker: WorkerClient,
    power: PowerSession,
    meter: Meter,
    times: Times,
    clock: RunClock,
    asked: tuple[str, float, int],
) -> tuple[CalibrationLevel, ChannelEnergy]:
    """Drive one level and compare both over its window."""
    name, share, seed = asked
    tail_s = max(power.lag_s, meter.lag_s) + TAIL_S
    command = Drive(share=share, seconds=times.settle_s + times.level_s + tail_s, seed=seed)
    driven = worker.ask(command, Driven, 10 * command.seconds + PREPARE_TIMEOUT_S)
    start_ns = driven.start_ns - clock.origin_ns + round(times.settle_s * 1e9)
    window = Window(start_ns=start_ns, end_ns=start_ns + round(times.level_s * 1e9))
    energy = _own_energy(power, window)
    reading = meter.reading(name, window)
    assert energy.mean_power_w is not None, "_own_energy raises without one"
    level = CalibrationLevel(
        name=f"{share:.0%}",
        busy_share=min(driven.busy_share, 1.0),
        duration_s=window.duration_s,
        sensor_w=energy.mean_power_w,
        u_sensor_w=energy.mean_power_w * own_share_rel(energy.budget),
        meter_w=reading.power_w,
        u_meter_w=reading.u_w,
    )
    return level, energy


def _own_energy(power: PowerSession, window: Window) -> ChannelEnergy:
    """Return the energy of the one sensor that sees the device. Raises SensorError when it is none or several."""
    energies = power.energies(window, None)
    rung = power.rungs(energies)[0]
    if len(rung.channels) > 1:
        why = f"{rung.name} is the sum of {', '.join(rung.channels)}, and one meter cannot tell their gains apart"
        raise SensorError("Several sensors make up the device's power", why, "Name one with --power.")
    found = [energy for energy in energies if energy.channel in rung.channels]
    if not found or found[0].mean_power_w is None:
        raise SensorError("The sensor gave no power for a level", rung.reason or "", "See bench doctor --power.")
    return found[0]


def _refuse_mixture(power: PowerSession, meter: Meter) -> None:
    """Refuse to hold a recording against something that measures, or the other way round."""
    kinds = {c.provenance for c in power.stated_channels()}
    if meter.provenance != "typed" and ("replayed" in kinds) != (meter.provenance == "replayed"):
        why = f"the sensor is {' and '.join(sorted(kinds))}, the meter {meter.provenance}"
        raise UsageError("Sensor and meter do not measure the same thing", why, "Replay both, or measure with both.")
    if isinstance(meter, SampledMeter) and meter.views & {(c.id, c.accuracy_basis) for c in power.stated_channels()}:
        why = f"{meter.record.identity} is read on both sides, and agrees with itself however far it is off"
        raise UsageError("A sensor is no meter for itself", why, "Name another --meter, or another sensor by --power.")
    if "modelled" in kinds:
        raise UsageError("A model is no sensor", "its watts are an estimate", "Name a sensor with --power.")
