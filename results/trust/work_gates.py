"""What a run's work cannot be: other tokens than the load has, rates above the hardware's, windows outside the run."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from wattbench.results.document import Result
from wattbench.results.measurement import Repeat
from wattbench.results.rates import succeeded
from wattbench.results.trust.verification import Check, judged, ok, unknown
from wattbench.results.utilisation import PARTS, Limit, Part, ceiling_of, claim_of, reached

__all__ = [
    "CEILING_MARGIN",
    "CLAIM_MARGIN",
    "SKEW",
    "ceiling_check",
    "quality_check",
    "roofline_check",
    "start_check",
    "token_check",
    "window_check",
]

CLAIM_MARGIN = 1.1
"""Vendors multiply with a stated clock, above which a cool board runs by some per cent (our choice)."""

CEILING_MARGIN = 1.5
"""A ceiling is measured within seconds and may be disturbed; half as much again is no disturbance (our choice)."""

SKEW = timedelta(minutes=5)
"""What two clocks that somebody looks after may be apart (our choice)."""

ORIGIN = timedelta(minutes=1)
"""The clock of a run is read when it starts."""

TOLERANCE_NS = 1_000_000
"""What the two ends of a window may be apart from those of its executions, which are stamped by another process."""


def token_check(result: Result) -> Check:
    """Hold every execution's tokens and steps against the load's shape and the plan's batch."""
    rows = sum(len(repeat.completions) for repeat in result.repeats)
    if not rows:
        return unknown("token_counts", "no execution was measured")
    problems = (problem for repeat in result.repeats for problem in _token_problems(result, repeat))
    return judged("token_counts", problems, f"{rows} executions have the load's tokens")


def roofline_check(result: Result) -> Check:
    """Hold the rates that were reached against what the vendor states of the devices, by this version's database."""
    limits: dict[Part, Limit] = {part: claim_of(part, result.backend) for part in PARTS}
    return _within("roofline", result, limits, CLAIM_MARGIN)


def ceiling_check(result: Result) -> Check:
    """Hold the rates that were reached against the ceilings that the document has of the same device."""
    limits: dict[Part, Limit] = {part: ceiling_of(part, result.backend, result.ceilings) for part in PARTS}
    return _within("ceiling", result, limits, CEILING_MARGIN)


def window_check(result: Result) -> Check:
    """Hold windows against each other, against their executions and against the length of the run."""
    if result.run.duration_s is None:
        return unknown("windows", "the run did not end")
    return judged("windows", _window_problems(result, result.run.duration_s), f"{len(result.repeats)} windows in order")


def start_check(result: Result, now: datetime, logged_at: datetime | None = None) -> Check:
    """Hold the start of a run against now, against its clock's origin and, in a store, against when it was logged."""
    try:
        started = _instant(result.run.started_at)
        origin = _instant(result.run.clock.origin_utc)
    except ValueError as exc:
        return judged("started_at", [f"no instant: {exc}"], "")
    return judged(
        "started_at", _start_problems(result, started, origin, now, logged_at), f"{started:%Y-%m-%d %H:%M} UTC"
    )


def quality_check(result: Result) -> Check:
    """Hold the quality gate's verdict against its own figures."""
    gate = result.quality
    if gate is None:
        return unknown("quality", "the outputs were not compared with a reference")
    within = gate.relative_error <= gate.tolerance_relative_error and gate.cosine_min >= gate.tolerance_cosine
    if gate.passed and not within:
        figures = f"relative error {gate.relative_error:.2e} of {gate.tolerance_relative_error:.2e}"
        return judged("quality", [f"it passed with {figures}, cosine {gate.cosine_min:.6f}"], "")
    return ok("quality", "passed within its tolerance" if gate.passed else "not passed, as the document says")


def _token_problems(result: Result, repeat: Repeat) -> Iterator[str]:
    load, done = result.load, repeat.completions
    steps = load.output_tokens - 1 if load.turns == 1 and load.output_tokens else None
    for i in succeeded(done):
        where, requests = f"{repeat.name}, execution {i + 1}", done.requests[i]
        least, wanted = requests * load.input_tokens, requests * load.output_tokens * load.turns
        if done.input_tokens[i] < least or (load.turns == 1 and done.input_tokens[i] != least):
            yield f"{where}: {done.input_tokens[i]} tokens in, the load has {least}"
        if done.output_tokens[i] != wanted:
            yield f"{where}: {done.output_tokens[i]} tokens out, the load has {wanted}"
        if done.step_end_ns[i] and steps is not None and len(done.step_end_ns[i]) != steps:
            yield f"{where}: {len(done.step_end_ns[i])} steps, the load has {steps}"
        most = result.plan.batch * (1 if repeat.tool is None else repeat.tool.executions)
        if not 0 < requests <= most:
            yield f"{where}: {requests} requests, the plan's batch allows {most}"


def _within(code: str, result: Result, limits: dict[Part, Limit], margin: float) -> Check:
    problems, held, missing = [], [], []
    for part, limit in limits.items():
        found = reached(part, result.load, result.repeats, result.backend, result.ceilings)
        rates = [rate for rate in found.rates if rate is not None]
        if limit.rate is None or not rates:
            missing.append(limit.words if limit.rate is None else found.reason)
            continue
        share = max(rates) / limit.rate
        held.append(f"{part} at {100 * share:.0f} %")
        if share > margin:
            problems.append(f"{part} reached {100 * share:.0f} % of {limit.words}; at most {100 * margin:.0f} % can be")
    if not held:
        return unknown(code, missing[0])
    return judged(code, problems, ", ".join(held))


def _window_problems(result: Result, duration_s: float) -> Iterator[str]:
    end_ns = round(duration_s * 1e9) + TOLERANCE_NS
    spans = [(r.name, r.window) for r in result.repeats]
    spans += [(f"idle window {n + 1} ({i.state})", i.window) for n, i in enumerate(result.idle)]
    for name, window in [*spans, *((p.name, p.window) for p in result.phases)]:
        if window.start_ns < 0 or window.end_ns > end_ns:
            yield f"{name} ends at {window.end_ns / 1e9:.3f} s, the run after {duration_s:.3f} s"
    ordered = sorted(spans, key=lambda span: span[1].start_ns)
    for (one, before), (two, after) in pairwise(ordered):
        if after.start_ns < before.end_ns:
            yield f"{one} and {two} overlap"
    starts = [repeat.window.start_ns for repeat in result.repeats]
    if starts != sorted(starts) or [r.index for r in result.repeats] != list(range(len(result.repeats))):
        yield "the repeats are not in their order"
    yield from (problem for repeat in result.repeats for problem in _outside(repeat))


def _outside(repeat: Repeat) -> Iterator[str]:
    """Yield where executions lie outside their window, or where no execution fills it."""
    done, window = repeat.completions, repeat.window
    if not len(done):
        return
    first_ns, last_ns = min(done.start_ns), max(done.end_ns)
    if first_ns < window.start_ns - TOLERANCE_NS or last_ns > window.end_ns + TOLERANCE_NS:
        yield f"executions of {repeat.name} lie outside its window"


def _start_problems(
    result: Result, started: datetime, origin: datetime, now: datetime, logged_at: datetime | None
) -> Iterator[str]:
    ended = started + timedelta(seconds=result.run.duration_s or 0.0)
    if started > now + SKEW:
        yield f"it started at {started:%Y-%m-%d %H:%M} UTC, which is in the future"
    elif ended > now + SKEW:
        yield f"it ended at {ended:%Y-%m-%d %H:%M} UTC, which is in the future"
    if abs(started - origin) > ORIGIN:
        yield f"it started at {result.run.started_at}, its clock at {result.run.clock.origin_utc}"
    if logged_at is not None and ended > logged_at + SKEW:
        yield f"it ended at {ended:%Y-%m-%d %H:%M} UTC, after it was uploaded at {logged_at:%Y-%m-%d %H:%M} UTC"


def _instant(text: str) -> datetime:
    """Return an instant; raises ValueError for a text that is none, or has no zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r:.60} has no time zone")
    return found
