"""Attaching a meter's recording to a finished result: its clock, its energies, the ladder, and the new document."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from wattbench.harness.exchange.attach_judge import attached_doubts
from wattbench.harness.exchange.attached_energy import derive_attached, with_meter
from wattbench.harness.exchange.clock_fit import OffsetFit, fit_offset
from wattbench.harness.power.derive import Derived
from wattbench.harness.version import harness_record
from wattbench.results.attachment import AttachmentRecord
from wattbench.results.document import Result
from wattbench.results.doubts import judge
from wattbench.results.energy import ChannelRecord, Polls, PowerRecord, RecorderHealth, SamplerRecord, Scope
from wattbench.results.errors import UsageError
from wattbench.results.exchange.meter import MeterRecording, utc_ns, utc_text
from wattbench.results.summarise import summarise

__all__ = ["CLOCK_UNCERTAINTY_S", "AttachOptions", "Attached", "attach", "device_of"]

CLOCK_UNCERTAINTY_S = 0.8 / math.sqrt(3)
"""Unless stated: two clocks kept by NTP are within 0.8 s, the bound of MLPerf's power-dev, as a rectangle (k=1)."""

KEEP_S = 60.0
"""Samples this long before and after the run are kept; a meter may have recorded for days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachOptions:
    """What the user states of a recording.

    `clock_offset_s` is added to its times (None: nothing is stated, so nothing is added); with `fit_clock` the fitted
    offset is. `accuracy_rel` is the relative standard
    uncertainty (k=1) of the meter's gain, None when unknown, and `accuracy_basis` where it comes from.
    """

    name: str
    scope: Scope
    covers: str | None
    clock_offset_s: float | None
    fit_clock: bool
    clock_uncertainty_s: float | None
    accuracy_rel: float | None
    accuracy_basis: str
    file: str
    file_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """The new document, and the offset that the load's edges suggest (None: they do not tell)."""

    result: Result
    fit: OffsetFit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    offset_s: float
    uncertainty_s: float
    basis: str


def attach(original: Result, original_id: str, recording: MeterRecording, options: AttachOptions) -> Attached:
    """Return the result with the recording as one channel more, its figures and verdict drawn anew.

    Raises UsageError for a run that has not ended or has no window, a recording that does not reach it, a name that
    is taken, and an offset that is asked of the fit when there is none.
    """
    _require_ended(original)
    channel = _channel(original, recording, options)
    times_ns = _on_run(original, recording.times_ns)
    fit = _fit(original, recording, times_ns)
    clock = _clock(options, fit)
    shifted = tuple(t + round(clock.offset_s * 1e9) for t in times_ns)
    _require_overlap(original, recording, shifted)
    polls = _polls(original, channel, recording, shifted)
    meter = _Meter(channel=channel, polls=polls, rate_hz=_rate_hz(recording))
    record = AttachmentRecord(
        original=original_id,
        channel=channel.id,
        scope=options.scope,
        covers=options.covers,
        file=options.file,
        file_sha256=options.file_sha256,
        format=recording.format,
        samples=len(recording.times_ns),
        time_reference=recording.time_reference,
        clock_offset_s=clock.offset_s,
        clock_uncertainty_s=clock.uncertainty_s,
        clock_basis=clock.basis,
        fitted_offset_s=fit.offset_s if fit else None,
        fitted_uncertainty_s=fit.uncertainty_s if fit else None,
        fitted_correlation=fit.correlation if fit else None,
        wattbench=harness_record().version,
    )
    return Attached(result=_with_meter(original, meter, recording, record), fit=fit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meter:
    """The attached channel with its samples on the run's clock."""

    channel: ChannelRecord
    polls: Polls
    rate_hz: float


def device_of(result: Result) -> str | None:
    """Return what the run's device is called in channels ("cpu", a board's UUID), or None where it cannot be told.

    Older files do not say; there it is taken from the device's name, or is the one board that they name.
    """
    if result.power.covers is not None:
        return result.power.covers
    device = result.backend.device if result.backend else result.plan.device
    if device.split(":")[0] == "cpu":
        return "cpu" if result.backend is None or not result.backend.mock else None
    boards = {c.covers for c in result.power.channels if c.scope in ("board", "module") and c.covers is not None}
    known = boards or {a.uuid for a in result.environment.accelerators if a.uuid is not None}
    return next(iter(known)) if len(known) == 1 else None


def _with_meter(original: Result, meter: _Meter, recording: MeterRecording, attachment: AttachmentRecord) -> Result:
    power = _power(original.power, meter, recording, attachment, device_of(original))
    derived = with_meter(_as_measured(original), meter.channel, power, attachment.clock_uncertainty_s)
    summary = summarise(
        original.load,
        derived.repeats,
        rung_energies=derived.rung_energies,
        idle_power_w=derived.idle_power_w,
        phases=derived.phases,
        memory_peak_bytes=original.backend.memory_peak_bytes if original.backend else None,
        no_energy_reason=None,
        backend=original.backend,
        ceilings=original.ceilings,
        traffic=original.plan.traffic,
    )
    changed = replace(
        original,
        status="started",  # a state without a verdict, until the new one is drawn
        verdict=None,
        power=power,
        idle=derived.idle,
        repeats=derived.repeats,
        summary=summary,
        attachments=(*original.attachments, attachment),
    )
    doubts = attached_doubts(changed, attachment, recording, power.covers)
    verdict = judge(doubts, finished=original.status == "complete")
    return replace(changed, status=original.status, doubts=doubts, verdict=verdict)


def _as_measured(original: Result) -> Derived:
    """Return the energies that the result has, as they are, with the phases that it does not keep by themselves."""
    power, rate_hz = original.power, original.plan.power_rate_hz
    again = derive_attached(power, original.idle, original.repeats, original.attachments, rate_hz=rate_hz)
    return replace(again, idle=original.idle, repeats=original.repeats)


def _power(
    power: PowerRecord, meter: _Meter, recording: MeterRecording, attachment: AttachmentRecord, covers: str | None
) -> PowerRecord:
    polls = meter.polls
    gaps = [b - a for a, b in pairwise(polls.before_ns)]
    health = RecorderHealth(
        sampler=meter.channel.sampler,
        asked_rate_hz=meter.rate_hz,
        reached_rate_hz=meter.rate_hz,
        polls=len(polls.value),
        failed=sum(value is None for value in polls.value),
        max_gap_s=max(gaps) / 1e9 if gaps else None,
        cpu_share=None,
        silent=False,
    )
    reason = f"{recording.format} recording attached after the run: {attachment.file}"
    sampler = SamplerRecord(name=meter.channel.sampler, used=True, reason=reason, remedy="")
    return replace(
        power,
        samplers=(*power.samplers, sampler),
        channels=(*power.channels, meter.channel),
        health=(*power.health, health),
        polls=(*power.polls, polls),
        unavailable_reason=None,
        covers=covers,
    )


def _channel(original: Result, recording: MeterRecording, options: AttachOptions) -> ChannelRecord:
    name = f"{options.name}:{options.scope}"
    taken = [c for c in original.power.channels if c.sampler == options.name or c.id == name]
    if taken:
        why = f"it has {taken[0].id} already"
        raise UsageError(f"The result has a sampler {options.name!r}", why, "Give this meter another --name.")
    return ChannelRecord(
        id=name,
        sampler=options.name,
        group=name,
        scope=options.scope,
        kind=recording.kind,
        provenance="measured",
        unit="W" if recording.kind == "power" else "J",
        covers=options.covers,
        resolution=None,
        update_period_s=recording.spacing_s,
        averaging_window_s=None,
        lag_s=None,
        seen_share=None,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=options.accuracy_rel,
        accuracy_basis=options.accuracy_basis,
    )


def _origin_ns(original: Result) -> int:
    return utc_ns(datetime.fromisoformat(original.run.clock.origin_utc))


def _on_run(original: Result, times_ns: Sequence[int]) -> tuple[int, ...]:
    """Return wall-clock instants on the run's clock, through the pair that the run recorded at its start."""
    origin_ns = _origin_ns(original)
    return tuple(t - origin_ns for t in times_ns)


def _fit(original: Result, recording: MeterRecording, times_ns: Sequence[int]) -> OffsetFit | None:
    """Fit the load's edges; a counter is taken by its slopes, each set at the middle of its two readings."""
    good = [(t, v) for t, v in zip(times_ns, recording.values, strict=True) if v is not None]
    if recording.kind == "counter":
        steps = [(a, b) for a, b in pairwise(good) if b[0] > a[0]]
        good = [((a[0] + b[0]) // 2, (b[1] - a[1]) * 1e9 / (b[0] - a[0])) for a, b in steps]
    return fit_offset([t for t, _ in good], [v for _, v in good], original)


def _clock(options: AttachOptions, fit: OffsetFit | None) -> _Clock:
    stated_s = options.clock_uncertainty_s
    if options.fit_clock:
        if fit is None:
            why = "the recording shows no edge of the load that could be compared, or it lies too far off"
            raise UsageError("The clock offset cannot be fitted", why, "State it in seconds: --clock-offset 0.3")
        basis = f"fitted to the edges of the load, correlation {fit.correlation:.3f}"
        return _Clock(
            offset_s=fit.offset_s, uncertainty_s=fit.uncertainty_s if stated_s is None else stated_s, basis=basis
        )
    offset = "no offset stated, the two clocks taken as one" if options.clock_offset_s is None else "offset as stated"
    known = "uncertainty as stated"
    if stated_s is None:
        known = "uncertainty not stated: +-0.8 s, as MLPerf's power-dev allows two machines that use NTP"
    return _Clock(
        offset_s=options.clock_offset_s or 0.0,
        uncertainty_s=CLOCK_UNCERTAINTY_S if stated_s is None else stated_s,
        basis=f"{offset}; {known}",
    )


def _require_ended(original: Result) -> None:
    if original.status == "started":
        raise UsageError("This run has not ended", "its status is started", "Attach power to a finished result.")
    if not original.repeats:
        raise UsageError("This result has no measured window", f"its status is {original.status}", "Measure again.")


def _require_overlap(original: Result, recording: MeterRecording, times_ns: Sequence[int]) -> None:
    """Raise UsageError where the recording does not touch the windows, with a hint where a zone would mend it."""
    start_ns, end_ns = original.repeats[0].window.start_ns, original.repeats[-1].window.end_ns
    if times_ns[0] < end_ns and times_ns[-1] > start_ns:
        return
    origin_ns = _origin_ns(original)
    run = f"{utc_text(origin_ns + start_ns)} to {utc_text(origin_ns + end_ns)}"
    why = f"the windows are {run}, the recording {utc_text(origin_ns + times_ns[0])} to "
    why += utc_text(origin_ns + times_ns[-1])
    apart_s = ((start_ns + end_ns) - (times_ns[0] + times_ns[-1])) / 2e9
    hours = round(2 * apart_s / 3600) / 2
    near = abs(apart_s - 3600 * hours) <= (times_ns[-1] - times_ns[0]) / 1e9 and 0 < abs(hours) <= 14
    remedy = "Attach the recording that was made meanwhile."
    if near:
        remedy = f"They would meet if its times were moved by {hours:+g} h: state its --time-zone. {remedy}"
    raise UsageError("The recording does not reach the run", why, remedy)


def _rate_hz(recording: MeterRecording) -> float:
    spacing_s = recording.spacing_s
    if not spacing_s:
        raise UsageError("The recording cannot be used", "its samples have no time between them", "Check its times.")
    return 1 / spacing_s


def _polls(original: Result, channel: ChannelRecord, recording: MeterRecording, times_ns: Sequence[int]) -> Polls:
    """Return the samples of the run and a minute around it as polls that took no time."""
    spans = [p.window for p in original.phases] + [r.window for r in original.repeats]
    first_ns = min(w.start_ns for w in spans) - round(KEEP_S * 1e9)
    last_ns = max(w.end_ns for w in spans) + round(KEEP_S * 1e9)
    near = [i for i, t in enumerate(times_ns) if first_ns <= t <= last_ns]
    kept = tuple(times_ns[i] for i in near)
    return Polls(
        channel=channel.id,
        before_ns=kept,
        after_ns=kept,
        value=tuple(recording.values[i] for i in near),
        sensor_ns=None,
        errors={str(row): recording.errors[i] for row, i in enumerate(near) if i in recording.errors},
    )
