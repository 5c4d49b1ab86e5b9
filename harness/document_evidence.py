"""The evidence that a finished document holds, from which its doubts can be drawn again."""

from datetime import datetime

from wattbench.harness.judgement import Evidence
from wattbench.results.document import Result

__all__ = ["evidence_in"]


def evidence_in(result: Result, *, covers: str | None, quality_expected: bool) -> Evidence:
    """Return what a document tells of its run; what only the run saw is left empty.

    `covers` is what power channels must see to count as the device's own.
    """
    return Evidence(
        plan=result.plan,
        environment=result.environment,
        backend=result.backend,
        quality=result.quality,
        quality_expected=quality_expected,
        completion_truthful=None,
        completion_facts="",
        power=result.power,
        idle=result.idle,
        warmup=result.warmup,
        repeats=result.repeats,
        summary=result.summary,
        clock_offset_s=result.run.clock.end_offset_s or 0.0,
        throttle_reasons=(),
        foreign_gpu_processes=0,
        power_limit_changed=None,
        covers=covers,
        moved_because=None,
        aliases=(),
        error=result.error,
        started_at=datetime.fromisoformat(result.run.started_at),
        output_tokens=result.load.output_tokens,
    )
