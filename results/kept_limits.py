"""How the requests of a run kept the limits that were promised: goodput, and whether each quantile holds."""

from collections.abc import Sequence
from itertools import pairwise

from wattbench.results.figures import figure
from wattbench.results.goodput import RequestTimes, SloVerdict, judge_slo
from wattbench.results.measurement import Completions, Repeat
from wattbench.results.metrics import Metric
from wattbench.results.slo import parse_slo
from wattbench.results.traffic_plan import TrafficPlan

__all__ = ["goodput_metrics", "kept_limits", "request_times"]

NO_LIMIT = "no limit was given (--slo)"


def goodput_metrics(repeats: Sequence[Repeat], plan: TrafficPlan | None) -> tuple[Metric, ...]:
    """Return traffic.goodput and .goodput_share, one sample a repeat; nothing for a run that served no traffic."""
    if plan is None or not any(repeat.traffic is not None for repeat in repeats):
        return ()
    slo = parse_slo(plan.slo) if plan.slo is not None else None
    verdicts = [judge_slo(slo, request_times(r.completions), r.window.duration_s) for r in repeats] if slo else []
    rate = "requests that succeeded and kept every limit, each for itself / window duration"
    share = "requests that succeeded and kept every limit, each for itself / all requests, failed ones included"
    return (
        figure("traffic.goodput", "{request}/s", [v.goodput_per_s for v in verdicts], rate, reason=NO_LIMIT),
        figure("traffic.goodput_share", "1", [v.good_share for v in verdicts], share, reason=NO_LIMIT),
    )


def kept_limits(repeats: Sequence[Repeat], plan: TrafficPlan | None) -> SloVerdict | None:
    """Return how all repeats together kept the limits; None where none were given or nothing was served."""
    if plan is None or plan.slo is None or not repeats:
        return None
    times = [each for repeat in repeats for each in request_times(repeat.completions)]
    return judge_slo(parse_slo(plan.slo), times, sum(repeat.window.duration_s for repeat in repeats))


def request_times(done: Completions) -> list[RequestTimes]:
    """Return the times of each request, from its planned start."""
    return [_times(done, row) for row in range(len(done))]


def _times(done: Completions, row: int) -> RequestTimes:
    if done.error[row] is not None:
        return RequestTimes(failed=True, latency_s=None, ttft_s=None, tpot_s=None)
    planned, end, first = done.planned_start_ns[row], done.end_ns[row], done.first_output_ns[row]
    later = done.output_tokens[row] - 1
    stamps = () if first is None else (first, *done.step_end_ns[row])
    return RequestTimes(
        failed=False,
        latency_s=(end - planned) / 1e9,
        ttft_s=None if first is None else (first - planned) / 1e9,
        tpot_s=(end - first) / 1e9 / later if first is not None and later > 0 else None,
        gaps_s=[(b - a) / 1e9 for a, b in pairwise(stamps)],
    )
