"""Finding the highest rate that holds on a warm server: what one probe is, and what the search leaves behind."""

from collections.abc import Callable

from wattbench.harness.messages import Measured, Serve
from wattbench.harness.reporter import Reporter
from wattbench.harness.traffic.searching import Found, Range, Verdict, search_rate
from wattbench.results.calls import RateProbe, RateSearch
from wattbench.results.counted import counted
from wattbench.results.errors import DeviceError
from wattbench.results.goodput import LimitVerdict, SloVerdict, judge_slo
from wattbench.results.kept_limits import request_times
from wattbench.results.measurement import WarmupRecord
from wattbench.results.plan import Plan
from wattbench.results.readable import number, time
from wattbench.results.slo import Slo, parse_slo
from wattbench.results.traffic_figures import achieved_rate

__all__ = ["find_rate"]

PROBE_SEED = 3_000_017
"""Apart from the seeds of measured windows, warm-up and lead-in."""

SEARCH_S_MAX = 3600.0


def find_rate(
    serve: Callable[[Serve], Measured], plan: Plan, warmup: WarmupRecord | None, reporter: Reporter
) -> RateSearch:
    """Return how the highest rate was found at which the plan's limits hold, each probe a window of the plan's length.

    The first rate is that of one request after the other, which the warm-up measured. Raises DeviceError when the
    limits hold at no rate.
    """
    assert plan.traffic is not None
    assert plan.traffic.slo is not None
    slo = parse_slo(plan.traffic.slo)
    tried: list[tuple[Measured, SloVerdict]] = []

    def measure(rate_per_s: float) -> Verdict:
        done = serve(
            Serve(
                window_s=plan.window_s,
                jitter_s=0.0,
                lead_in_s=0.0,
                lead_out_s=0.0,
                seed=plan.seed + PROBE_SEED + len(tried),
                rate_per_s=rate_per_s,
            )
        )
        kept = judge_slo(slo, request_times(done.completions), done.window.duration_s)
        tried.append((done, kept))
        verdict = Verdict(holds=kept.holds, reason=_reason(kept))
        reporter.note(f"{number(rate_per_s)} requests/s {'hold' if verdict.holds else 'do not hold'}: {verdict.reason}")
        return verdict

    start = warmup.rates_per_s[-1] if warmup is not None and warmup.rates_per_s else 1.0
    found = search_rate(measure, Range(start_per_s=start, seconds_max=SEARCH_S_MAX))
    if found.rate_per_s is None:
        why = f"{found.reason}; {found.probes[-1].verdict.reason}" if found.probes else found.reason
        raise DeviceError(f"No rate holds {_words(slo)}", why, "Allow more, or ask for a longer --window to prove it.")
    return _record(plan.traffic.slo, found, tried)


def _record(slo: str, found: Found, tried: list[tuple[Measured, SloVerdict]]) -> RateSearch:
    return RateSearch(
        slo=slo,
        probes=tuple(
            RateProbe(
                rate_per_s=probe.rate_per_s,
                step=probe.step,
                seconds=probe.seconds,
                requests=kept.requests,
                failed=kept.failed,
                achieved_per_s=achieved_rate(done.completions),
                held=probe.verdict.holds,
                reason=probe.verdict.reason,
            )
            for probe, (done, kept) in zip(found.probes, tried, strict=True)
        ),
        rate_per_s=found.rate_per_s,
        failed_per_s=found.failed_per_s,
        ended=found.ended,
        reason=found.reason,
        breaks=tuple((each.failed_per_s, each.held_per_s) for each in found.breaks),
    )


def _reason(kept: SloVerdict) -> str:
    return "; ".join(_limit_words(limit) for limit in kept.limits)


def _limit_words(verdict: LimitVerdict) -> str:
    value = "for ever" if verdict.value_s is None else time(verdict.value_s)
    standing = "holds" if verdict.standing == "holds" else f"is {verdict.standing}"
    needed = f", {verdict.needed} are needed" if verdict.standing == "unproven" else ""
    return f"{verdict.limit.words} {standing} with {value} over {counted(verdict.count, 'sample')}{needed}"


def _words(slo: Slo) -> str:
    return ", ".join(limit.words for limit in slo.limits)
