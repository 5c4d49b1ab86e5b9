"""The power of an imported MLPerf run, integrated by our own method: channel, samples on one clock, energy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from wattbench.harness.power.budget import BUDGET_VERSION
from wattbench.harness.power.energy import channel_energy
from wattbench.results.energy import ChannelEnergy, ChannelRecord, Polls, PowerRecord, RecorderHealth, SamplerRecord
from wattbench.results.exchange.meter import MeterRecording, utc_text
from wattbench.results.exchange.mlperf_log import DetailLog
from wattbench.results.exchange.mlperf_official import SAMPLE_PERIOD_S
from wattbench.results.exchange.mlperf_session import Meter, Session
from wattbench.results.imported import ImportedClock
from wattbench.results.measurement import Window

__all__ = ["BOUNDARY", "CHANNEL", "ImportedPower", "imported_power", "no_power", "window_energy"]

CHANNEL = "mlperf:wall"
BOUNDARY = "whole system at the wall socket, as MLPerf's rules ask; not: cooling of the room"
"""MLPerf power_measurement.adoc: full AC power of the system under test, host, fans and power supplies included."""

KEEP_S = 60.0
"""Samples this long before and after the window are kept with the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPower:
    """The window, its clock, our energy of it, and the record of the meter's samples."""

    window: Window
    clock: ImportedClock
    energy: ChannelEnergy
    record: PowerRecord


def no_power(reason: str) -> PowerRecord:
    """Return the record of a run without power, with the reason."""
    return PowerRecord(samplers=(), channels=(), health=(), polls=(), unavailable_reason=reason)


def imported_power(log: DetailLog, recording: MeterRecording, session: Session) -> ImportedPower:
    """Return the energy of the log's power window, the meter's times being moved onto the measured system's clock.

    The log must have its window (`power_begin_ns`, `power_end_ns`), the end after the beginning.
    """
    assert log.power_begin_ns is not None, "the caller looks for the window first"
    assert log.power_end_ns is not None, "the caller looks for the window first"
    offset_s = session.clock.offset_s if session.clock else None
    channel = _channel(session.meter)
    polls = _polls(recording, log.power_begin_ns - round((offset_s or 0.0) * 1e9), log.power_end_ns)
    window = Window(start_ns=0, end_ns=log.power_end_ns - log.power_begin_ns)
    clock = ImportedClock(
        origin_utc=utc_text(log.power_begin_ns), meter_offset_s=offset_s, basis=_clock_basis(recording, session)
    )
    energy = window_energy(channel, (polls,), window)
    sampler = SamplerRecord(name="mlperf", used=True, reason=f"spl.txt: {recording.time_reference}", remedy="")
    record = PowerRecord(
        samplers=(sampler,),
        channels=(channel,),
        health=(_health(recording),),
        polls=(polls,),
        unavailable_reason=None,
        budget_version=BUDGET_VERSION,
    )
    return ImportedPower(window=window, clock=clock, energy=energy, record=record)


def window_energy(channel: ChannelRecord, polls: Sequence[Polls], window: Window) -> ChannelEnergy:
    """Return the energy of a window by our own method, at the rate that MLPerf samples at."""
    return channel_energy((channel,), polls, window, rate_hz=1 / SAMPLE_PERIOD_S)


def _channel(meter: Meter | None) -> ChannelRecord:
    u = meter.u_mean if meter else None
    if u is None:
        basis = "unknown: the session does not state the meter's uncertainty"
    else:
        basis = f"PTDaemon: mean uncertainty of its samples {100 * u:.3g} %, as a rectangular bound"
    return ChannelRecord(
        id=CHANNEL,
        sampler="mlperf",
        group=CHANNEL,
        scope="wall",
        kind="power",
        provenance="measured",
        unit="W",
        covers=None,
        resolution=None,
        update_period_s=SAMPLE_PERIOD_S,
        averaging_window_s=None,
        lag_s=None,
        seen_share=None,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=None if u is None else u / math.sqrt(3),
        accuracy_basis=basis,
    )


def _polls(recording: MeterRecording, origin_ns: int, end_ns: int) -> Polls:
    """Return the samples around the window as polls that took no time; `origin_ns` is on the meter's clock."""
    reach_ns = round(KEEP_S * 1e9)
    near = [i for i, t in enumerate(recording.times_ns) if origin_ns - reach_ns <= t <= end_ns + reach_ns]
    times_ns = tuple(recording.times_ns[i] - origin_ns for i in near)
    return Polls(
        channel=CHANNEL,
        before_ns=times_ns,
        after_ns=times_ns,
        value=tuple(recording.values[i] for i in near),
        sensor_ns=None,
        errors={str(row): recording.errors[i] for row, i in enumerate(near) if i in recording.errors},
    )


def _health(recording: MeterRecording) -> RecorderHealth:
    times_ns = recording.times_ns
    span_s = (times_ns[-1] - times_ns[0]) / 1e9
    gaps_ns = [b - a for a, b in pairwise(times_ns)]
    return RecorderHealth(
        sampler="mlperf",
        asked_rate_hz=1 / SAMPLE_PERIOD_S,
        reached_rate_hz=(len(times_ns) - 1) / span_s if span_s > 0 else None,
        polls=len(times_ns),
        failed=sum(value is None for value in recording.values),
        max_gap_s=max(gaps_ns) / 1e9 if gaps_ns else None,
        cpu_share=None,
        silent=False,
    )


def _clock_basis(recording: MeterRecording, session: Session) -> str:
    clock = session.clock
    if clock is None:
        return f"{recording.time_reference}; no session file tells how far the two machines' clocks were apart"
    found = f"{clock.exchanges} exchanges of client and director, which differ by {1000 * clock.spread_s:.0f} ms"
    return f"{recording.time_reference}; median of {found}"
