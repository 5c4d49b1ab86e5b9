"""What a run in progress has to show: its summary so far, and the evidence that its doubts are drawn from."""

from wattbench.harness.draft import Draft
from wattbench.harness.judgement import Evidence
from wattbench.harness.messages import TruthReply
from wattbench.harness.power.derive import Derived
from wattbench.harness.surroundings import Surroundings
from wattbench.harness.watts import PowerSession
from wattbench.models.work import load_record
from wattbench.results.document import ErrorRecord
from wattbench.results.energy import PowerRecord
from wattbench.results.errors import WattbenchError
from wattbench.results.metrics import Summary
from wattbench.results.summarise import summarise

__all__ = ["error_record", "gather_evidence", "summarise_draft"]

OUTSIDE_SHARE_MAX = 0.05
"""More of a window's calls than this outside the reported times: the stamps leave work out."""


def summarise_draft(draft: Draft, power: PowerSession, derived: Derived | None = None) -> Summary:
    """Return the summary of the repeats so far, with their energies added up by scope.

    `derived` are the energies of the whole log, at a run's end; until then those of the moment are taken, and phases
    are not told apart.
    """
    return summarise(
        load_record(draft.resolved.load, draft.resolved.plan.precision),
        tuple(draft.repeats),
        rung_energies=derived.rung_energies if derived else [power.rungs(repeat.energy) for repeat in draft.repeats],
        idle_power_w=derived.idle_power_w if derived else power.idle_w(draft.idle),
        phases=derived.phases if derived else (),
        memory_peak_bytes=draft.backend.memory_peak_bytes if draft.backend else None,
        no_energy_reason=power.unavailable_reason,
        backend=draft.backend,
        ceilings=draft.ceilings,
        traffic=draft.resolved.plan.traffic,
    )


def gather_evidence(
    draft: Draft,
    power: PowerSession,
    surroundings: Surroundings,
    *,
    power_record: PowerRecord,
    summary: Summary | None,
    truth: TruthReply | None,
    outside_share: float,
    moved_because: str | None,
    error: ErrorRecord | None,
) -> Evidence:
    """Return everything that doubts are drawn from, as far as the run went.

    `outside_share` is the largest share of a window's calls that lay outside the times that the backend reported.
    """
    mock = draft.backend is not None and draft.backend.mock
    outside = f"{100 * outside_share:.1f} % of the calls' time lies outside the times that the backend reported"
    return Evidence(
        plan=draft.resolved.plan,
        environment=draft.environment,
        backend=draft.backend,
        quality=draft.quality,
        quality_expected=draft.preparation is not None and not mock,
        completion_truthful=None if truth is None else truth.truthful and outside_share <= OUTSIDE_SHARE_MAX,
        completion_facts=f"{truth.facts if truth else ''}; {outside}",
        power=power_record,
        idle=tuple(draft.idle),
        warmup=draft.warmup,
        repeats=tuple(draft.repeats),
        summary=summary,
        clock_offset_s=draft.clock.offset_s(),
        throttle_reasons=surroundings.throttle_reasons,
        foreign_gpu_processes=surroundings.foreign_gpu_processes,
        power_limit_changed=surroundings.power_limit_changed,
        covers=draft.resolved.covers,
        moved_because=moved_because,
        aliases=power.aliases(draft.repeats),
        error=error,
        started_at=draft.started_at,
        power_drifts=power.drifts(draft.repeats),
        output_tokens=draft.resolved.load.shape.output_tokens,
    )


def error_record(error: WattbenchError, kind: str | None, phase: str, last_words: str | None) -> ErrorRecord:
    """Return the record of what ended a run early; `kind` is the error's own unless given."""
    return ErrorRecord(
        kind=kind or type(error).__name__,
        what=error.what,
        why=error.why,
        remedy=error.remedy,
        phase=phase,
        worker_log_tail=last_words,
    )
