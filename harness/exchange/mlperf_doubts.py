"""The doubts about an imported MLPerf run: pure functions from what the logs say to reasons for distrust."""

from collections.abc import Iterator
from dataclasses import dataclass

from wattbench.results.doubts import Doubt, Severity
from wattbench.results.energy import ChannelEnergy
from wattbench.results.exchange.meter import MeterRecording
from wattbench.results.exchange.mlperf_log import DetailLog
from wattbench.results.exchange.mlperf_official import OfficialPower
from wattbench.results.exchange.mlperf_session import Session

__all__ = ["MlperfEvidence", "mlperf_doubts"]

COVERAGE_FLOOR = 0.99
OFFICIAL_DOUBT = 0.01
"""A larger difference between the official mean and our integral is worth a word: SPEC's limit for a meter is 1 %."""

CLOCK_LIMIT_S = 0.8
"""power-dev's compliance check tolerates 800 ms between client and director (TIME_DELTA_TOLERANCE)."""

RANGING_FLOOR = 0.95
"""The tested run's mean power must be above the ranging run's less 5 % (MLPerf power rules)."""

WINDOW_PROTOCOL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfEvidence:
    """Everything that doubts about an imported run are drawn from; None where the folder has no such thing.

    `ranging_w` is the official mean of the ranging run, `altered` the files that differ from the digests that the
    session noted, `complaints` how many warnings and errors the daemon logged within the window.
    """

    log: DetailLog
    summary_validity: str | None
    recording: MeterRecording | None
    session: Session
    official: OfficialPower | None
    official_reason: str | None
    energy: ChannelEnergy | None
    ranging_w: float | None
    altered: tuple[str, ...]
    complaints: int | None
    published: str | None


def mlperf_doubts(evidence: MlperfEvidence) -> tuple[Doubt, ...]:
    """Return every doubt that the evidence supports, the severe ones first."""
    order: dict[Severity, int] = {"severe": 0, "doubt": 1, "note": 2}
    rules = (_tool, _logs, _samples, _integral, _clock, _meter, _scope)
    return tuple(sorted((d for rule in rules for d in rule(evidence)), key=lambda d: order[d.severity]))


def _tool(e: MlperfEvidence) -> Iterator[Doubt]:
    said = e.log.text("result_validity")
    if said is not None and said != "VALID":
        reason = e.log.text("result_invalid_reason")
        facts = f"LoadGen called the run {said}" + (f": {reason.strip()}" if reason else "")
        yield _severe("imported_invalid", facts, "Import a run that it called VALID.")
    if e.summary_validity is not None and said is not None and e.summary_validity != said:
        facts = f"the summary says {e.summary_validity}, the detail log {said}"
        yield _severe("altered_log", facts, "Take the files as LoadGen wrote them.")
    if e.log.errors:
        facts = f"LoadGen noted {len(e.log.errors)} errors, the first being {e.log.errors[0]:.200}"
        yield _doubt("imported_invalid", facts, "Read the detail log.")
    yield _note("few_repeats", "MLPerf runs once: the spread between runs is unknown", "Import further runs beside it.")
    ran = e.log.text("effective_scenario")
    if e.published is not None and ran is not None and e.published != ran and (ran, e.published) != INTERACTIVE:
        facts = f"published under {e.published}, but {ran} is what ran; MLPerf infers the one from the other"
        yield _note("inferred_scenario", facts, "Compare it with what ran: our metrics are those of that scenario.")


INTERACTIVE = ("Server", "Interactive")
"""Interactive is LoadGen's Server with tighter limits, not another scenario (MLPerf inference rules)."""


def _logs(e: MlperfEvidence) -> Iterator[Doubt]:
    if e.log.cut is not None:
        yield _severe("truncated_log", f"the detail log is not whole: {e.log.cut}", "Take the original file.")
    if e.altered:
        facts = f"not the files whose digests the session noted: {', '.join(e.altered)}"
        yield _doubt("altered_log", facts, "Take the files as the director's client wrote them.")
    if e.recording is None:
        return
    short_s = 0.0 if e.log.power_end_ns is None else (e.log.power_end_ns - e.recording.times_ns[-1]) / 1e9
    late_s = 0.0 if e.log.power_begin_ns is None else (e.recording.times_ns[0] - e.log.power_begin_ns) / 1e9
    breaks = [e.recording.cut] if e.recording.cut is not None else []
    breaks += [f"its last sample lies {short_s:.1f} s before the end of the run"] if short_s > EDGE_S else []
    breaks += [f"its first sample lies {late_s:.1f} s after the start of the run"] if late_s > EDGE_S else []
    if breaks:
        yield _severe("truncated_log", f"the power log is not whole: {'; '.join(breaks)}", "Take the original file.")


EDGE_S = 2.0
"""A log that ends this long before its run, at one sample a second, has lost some."""


def _samples(e: MlperfEvidence) -> Iterator[Doubt]:
    if e.official_reason is not None:
        grave = _note if e.recording is None else _doubt
        yield grave("unmeasured_scope", e.official_reason, "Import the folder with spl.txt and power markers.")
    if e.official is None:
        return
    share = e.official.samples / e.official.expected if e.official.expected else 0.0
    if share < COVERAGE_FLOOR:
        facts = f"{e.official.samples} of {e.official.expected} samples are there: {100 * share:.1f} %"
        yield _doubt("low_coverage", facts, "The official formula does not look; the mean may miss what was lost.")
    if e.official.bad:
        facts = f"{e.official.bad} samples of the window are no valid reading; the official mean leaves them out"
        yield _doubt("sensor_failed", facts, "Ask why the meter gave none.")
    if e.ranging_w is not None and e.official.mean_w is not None and e.official.mean_w < RANGING_FLOOR * e.ranging_w:
        facts = f"{e.official.mean_w:.1f} W, but {e.ranging_w:.1f} W in the ranging run"
        yield _doubt("official_differs", facts, "MLPerf asks for at least 95 % of the ranging run's power.")
    duration_s = e.log.duration_s()
    if duration_s is not None and duration_s < WINDOW_PROTOCOL_S:
        facts = f"the window is {duration_s:.1f} s; our protocol asks for {WINDOW_PROTOCOL_S:g} s"
        yield _doubt("short_window", facts, "Edges weigh more in short windows; the budget has the term.")


def _integral(e: MlperfEvidence) -> Iterator[Doubt]:
    if e.energy is None:
        return
    if e.energy.reason is not None:
        facts = f"no integral: {e.energy.reason}"
        yield _doubt("sampling_gap", facts, "The official mean does not see the gap; treat it as unknown there.")
    elif e.energy.coverage is not None and e.energy.coverage < COVERAGE_FLOOR:
        facts = f"{100 * e.energy.coverage:.1f} % of the window lies between samples close enough"
        yield _doubt("low_coverage", facts, "Part of the curve is unknown.")
    ours_w, theirs_w = e.energy.mean_power_w, e.official.mean_w if e.official else None
    if ours_w is not None and theirs_w is not None:
        apart = theirs_w / ours_w - 1
        offset = f", and takes both clocks for one ({e.session.clock.offset_s:+.3f} s)" if e.session.clock else ""
        why = f"the official mean weighs every sample alike, ends at its last one{offset}"
        facts = f"official {theirs_w:.4f} W, our integral {ours_w:.4f} W: {100 * apart:+.2f} %; {why}"
        grave = _doubt if abs(apart) > OFFICIAL_DOUBT else _note
        yield grave("official_differs", facts, "Both stand in the document; ours has the uncertainty.")


def _clock(e: MlperfEvidence) -> Iterator[Doubt]:
    if e.recording is None:
        return
    clock = e.session.clock
    if clock is None:
        facts = "no session file tells how far the director's clock was from the system's"
        yield _note("clock_unsynchronised", facts, "Import the folder with power/client.json.")
    elif abs(clock.offset_s) + clock.spread_s / 2 > CLOCK_LIMIT_S:
        facts = f"the system's clock was {clock.offset_s:+.3f} s off the director's; MLPerf allows {CLOCK_LIMIT_S:g} s"
        yield _doubt("clock_unsynchronised", facts, "Our integral is corrected by that, the official mean is not.")
    span = e.session.testing_ns
    if span is not None:
        outside_s = max(span[0] - e.recording.times_ns[-1], e.recording.times_ns[0] - span[1]) / 1e9
        if outside_s > 0:
            facts = f"the power log lies {outside_s:.0f} s outside the session's own tested run"
            yield _severe("clock_unsynchronised", facts, "Its times may be local ones; state the zone of the log.")


def _meter(e: MlperfEvidence) -> Iterator[Doubt]:
    meter = e.session.meter
    if e.recording is None:
        return
    if meter is None or meter.u_mean is None:
        facts = "the uncertainty of the meter is unknown: no session file states it"
        yield _note("meter_uncertainty", facts, "Only runs with the same meter can be compared closely.")
    elif meter.over_limit:
        facts = f"{meter.over_limit} of {meter.judged} samples are above SPEC's limit of 1 % or were not judged"
        yield _doubt("meter_uncertainty", facts, "The budget takes PTDaemon's mean uncertainty of all samples.")
    if e.complaints:
        facts = f"PTDaemon logged {e.complaints} warnings and errors within the window"
        yield _note("sensor_failed", facts, "Read power/ptd_logs.txt.")


def _scope(e: MlperfEvidence) -> Iterator[Doubt]:
    if e.log.text("effective_test_mode") not in (None, "PerformanceOnly"):
        facts = f"the run's mode was {e.log.text('effective_test_mode')}, not PerformanceOnly"
        yield _severe("imported_invalid", facts, "Import the performance run.")


def _severe(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="severe", facts=facts, advice=advice)


def _doubt(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="doubt", facts=facts, advice=advice)


def _note(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="note", facts=facts, advice=advice)
