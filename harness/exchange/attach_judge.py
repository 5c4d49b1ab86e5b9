"""The doubts of a result with an attached meter: those of its energies drawn anew, all others as the run left them."""

from wattbench.harness.document_evidence import evidence_in
from wattbench.harness.judgement import POWER_RULES, doubts_of
from wattbench.results.attachment import AttachmentRecord
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt, Severity
from wattbench.results.exchange.meter import MeterRecording

__all__ = ["REDRAWN", "attached_doubts"]

REDRAWN = frozenset(
    {
        "wide_interval",
        "unmeasured_scope",
        "replayed_power",
        "modelled_power",
        "declared_power",
        "sensor_failed",
        "sensor_absurd",
        "sensor_frozen",
        "scope_contradiction",
        "sampling_gap",
        "counter_residual",
        "low_coverage",
        "idle_drift",
    }
)
"""Codes that follow from the document's own energies. Those that only the run could see (alias, throttled) stay."""

CLOCK_DOUBT_S = 1.0


def attached_doubts(
    result: Result, attachment: AttachmentRecord, recording: MeterRecording, covers: str | None
) -> tuple[Doubt, ...]:
    """Return the doubts of a result whose energies, summary and power record have the attached meter in them."""
    kept = [doubt for doubt in result.doubts if doubt.code not in REDRAWN]
    evidence = evidence_in(result, covers=covers, quality_expected=False)
    drawn = [doubt for doubt in doubts_of(evidence, POWER_RULES) if doubt.code in REDRAWN]
    order: dict[Severity, int] = {"severe": 0, "doubt": 1, "note": 2}
    every = [*kept, *drawn, *_about(attachment, recording)]
    return tuple(sorted(every, key=lambda doubt: order[doubt.severity]))


def _about(attachment: AttachmentRecord, recording: MeterRecording) -> list[Doubt]:
    facts = f"{attachment.channel} is from {attachment.file}, moved by {attachment.clock_offset_s:+.3f} s"
    advice = "Its clock is another one; the budget has a line for that (docs/power.md)."
    found = [Doubt(code="attached_power", severity="note", facts=facts, advice=advice)]
    fitted, u_s = attachment.fitted_offset_s, attachment.fitted_uncertainty_s or 0.0
    if fitted is not None and abs(fitted - attachment.clock_offset_s) > CLOCK_DOUBT_S + 2 * u_s:
        facts = f"the edges of the load fit {attachment.file} best when it is moved by {fitted:+.1f} s"
        facts += f", not by {attachment.clock_offset_s:+.1f} s"
        advice = f"If the clocks were apart, apply it: --clock-offset {fitted:g}, or auto."
        found.append(Doubt(code="clock_unsynchronised", severity="doubt", facts=facts, advice=advice))
    if recording.cut is not None:
        facts = f"{attachment.file} is not whole: {recording.cut}"
        found.append(Doubt(code="truncated_log", severity="doubt", facts=facts, advice="Take the original file."))
    return found
