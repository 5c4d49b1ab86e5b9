"""Limits are read from words or names; what was served is held against them."""

import math
from typing import get_args

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served_case import make_served

from wattbench.harness.traffic.judging import judge_served, query_latencies_s, request_times
from wattbench.results.errors import UsageError
from wattbench.results.goodput import RequestTimes, judge_slo
from wattbench.results.slo import LatencyKind, Limit, Slo, named_slos, parse_slo
from wattbench.results.stats import early_stopping_minimum

KINDS: tuple[LatencyKind, ...] = get_args(LatencyKind)


def times(latency_s: float | None, ttft_s: float | None = 0.1, tpot_s: float | None = 0.01) -> RequestTimes:
    """Return the times of one request; None: it failed."""
    if latency_s is None:
        return RequestTimes(failed=True, latency_s=None, ttft_s=None, tpot_s=None)
    return RequestTimes(failed=False, latency_s=latency_s, ttft_s=ttft_s, tpot_s=tpot_s)


def test_words() -> None:
    """Several limits hold together, each with its own unit and percentile."""
    slo = parse_slo("ttft.p99=2s, tpot.p99=200ms,latency.p99.9=1.5m,itl.p50=500us")

    assert [("ttft", 0.99, 2), ("tpot", 0.99, 0.2), ("latency", 0.999, 90), ("itl", 0.5, 0.0005)] == [
        (limit.kind, pytest.approx(limit.q), pytest.approx(limit.limit_s)) for limit in slo.limits
    ]
    assert (2, None) == (slo.limit_s("ttft"), slo.name)


def test_a_limit_in_words() -> None:
    """A limit is printed as people say it, whole, with a space before its unit."""
    slo = parse_slo("ttft.p99=0.04s,tpot.p50=1234us,latency.p99.9=1.5m,itl.p90=1.0625s")

    assert [
        "ttft.p99 of at most 40 ms",
        "tpot.p50 of at most 1.234 ms",
        "latency.p99.9 of at most 90 s",
        "itl.p90 of at most 1.0625 s",
    ] == [limit.words for limit in slo.limits]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ttft.p100=2s", "below 100"),
        ("ttft.p0=2s", "above 0"),
        ("tpot.p250=2s", "below 100"),
        ("latency.p99.9999=2s", "three digits"),
    ],
)
def test_a_percentile_that_cannot_be_says_so(text: str, why: str) -> None:
    """The message names the percentile and its range, not the whole grammar."""
    with pytest.raises(UsageError, match=r"asks for p\d") as caught:
        parse_slo(text)

    assert why in caught.value.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ttft",
        "ttft=2s",
        "ttft.p99=2",
        "ttft.p100=2s",
        "ttft.p0=2s",
        "ttft.p99=-2s",
        "ttft.p99=0s",
        "ttft.p99=nans",
        "speed.p99=2s",
        "ttft.p99=2s,",
        "ttft.p99=2s,ttft.p99=3s",
        "ttft.p99=" + "9" * 5000 + "s",
        ",".join(f"ttft.p{n}=1s" for n in range(1, 30)),
        "mlperf:llama9/server",
        "mlperf:llama2-70b",
    ],
)
def test_words_that_mean_nothing(text: str) -> None:
    """Other words are refused with what they must be."""
    with pytest.raises(UsageError, match=r"."):
        parse_slo(text)


def test_names() -> None:
    """MLPerf's limits have names; a name that is nearly right is helped."""
    slo = parse_slo("mlperf:llama2-70b/server")

    assert [("ttft", 0.99, 2.0), ("tpot", 0.99, 0.2)] == [(x.kind, x.q, x.limit_s) for x in slo.limits]
    assert "mlperf.conf" in (slo.source or "")
    assert [0.015] == [limit.limit_s for limit in named_slos()["mlperf:resnet50/server"].limits]
    with pytest.raises(UsageError, match="mlperf:llama2-70b/server"):
        parse_slo("mlperf:llama2-70b/serve")


def test_every_name_has_limits() -> None:
    """No name stands for nothing: interactive limits are tighter than those of server."""
    known = named_slos()
    for name, slo in known.items():
        if name.endswith("/interactive"):
            server = known[name.replace("/interactive", "/server")]

            assert all(limit.limit_s < (server.limit_s(limit.kind) or 0) for limit in slo.limits)
    assert len(known) >= 18


@given(st.lists(st.one_of(st.none(), st.floats(0.001, 2)), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_goodput_counts_what_kept_the_limit(latencies: list[float | None], q: float) -> None:
    """Good requests are those within; failures are over, and the limit's standing follows its counts."""
    slo = Slo(limits=(Limit(kind="latency", q=q, limit_s=1.0),))
    verdict = judge_slo(slo, [times(x) for x in latencies], 4.0)
    good = sum(x is not None and x <= 1 for x in latencies)
    (limit,) = verdict.limits
    over = len(latencies) - good

    assert (good, good / 4, good / len(latencies)) == (verdict.good, verdict.goodput_per_s, verdict.good_share)
    assert (over, latencies.count(None)) == (limit.over, verdict.failed)
    assert (limit.standing == "broken") == (over > len(latencies) - math.ceil(round(q * len(latencies), 9)))
    assert (limit.standing == "holds") == (len(latencies) >= early_stopping_minimum(q, over))


@pytest.mark.parametrize(
    ("count", "slow", "standing"),
    [
        (458, 0, "unproven"),
        (459, 0, "holds"),
        (661, 1, "unproven"),
        (662, 1, "holds"),
        (662, 7, "broken"),
        (0, 0, "unknown"),
    ],
)
def test_early_stopping_at_p99(count: int, slow: int, standing: str) -> None:
    """MLPerf's counts: 459 requests prove a p99 with none over the limit, 662 with one."""
    requests = [times(9.0)] * slow + [times(0.5)] * (count - slow)
    verdict = judge_slo(parse_slo("latency.p99=1s"), requests, 1.0)

    assert standing == verdict.limits[0].standing
    assert (standing == "holds", standing == "broken") == (verdict.holds, verdict.broken)


def test_each_limit_counts_for_a_request() -> None:
    """A request that breaks one limit is not good although it keeps the others; what it has not, it cannot break."""
    slo = parse_slo("ttft.p50=1s,tpot.p50=20ms")
    requests = [
        times(2, 0.5, 0.01),
        times(2, 1.5, 0.01),
        times(2, 0.5, 0.03),
        times(2, 0.5, None),
        times(2, None, None),
    ]

    assert 3 == judge_slo(slo, requests, 1.0).good


def test_gaps() -> None:
    """A request keeps a limit of gaps at the limit's own quantile; over all gaps the quantile alone decides."""
    smooth = RequestTimes(failed=False, latency_s=1.0, ttft_s=0.1, tpot_s=0.01, gaps_s=(0.01,) * 99 + (5.0,))
    rough = RequestTimes(failed=False, latency_s=1.0, ttft_s=0.1, tpot_s=0.01, gaps_s=(0.01,) * 9 + (5.0,))
    verdict = judge_slo(parse_slo("itl.p99=20ms"), [smooth, rough], 1.0)
    (limit,) = verdict.limits

    assert (1, 110, 2, None) == (verdict.good, limit.count, limit.over, limit.needed)
    assert "broken" == limit.standing


def test_times_of_what_was_served() -> None:
    """Times count from the planned start; tpot leaves the first token out; failures have none."""
    served = make_served(
        planned_ns=[0, 5_000_000], start_ns=[1_000_000, 6_000_000],
        tokens_ns=[[11_000_000, 13_000_000, 15_000_000], []], end_ns=[16_000_000, 9_000_000], errors=[None, "engine"],
    )  # fmt: skip
    first, second = request_times(served)

    assert pytest.approx((0.016, 0.011, 0.0025)) == (first.latency_s, first.ttft_s, first.tpot_s)
    assert pytest.approx([0.002, 0.002]) == list(first.gaps_s)
    assert second.failed
    assert (1, 1, 2) == (lambda v: (v.good, v.failed, v.requests))(judge_served(parse_slo("ttft.p50=20ms"), served))


def test_a_querys_latency_is_that_of_its_slowest_call() -> None:
    """Multi-stream: rows of a query are taken together; a failed call makes it infinite, a partial one none."""
    served = make_served(
        planned_ns=[0, 0, 100, 100, 200], start_ns=[0, 1, 100, 101, 200], tokens_ns=[[]] * 5,
        end_ns=[50, 90, 150, 160, 230], errors=[None, None, None, "engine", None],
    )  # fmt: skip

    assert [90e-9, math.inf] == query_latencies_s(served, 2).tolist()
    assert numpy.isinf(query_latencies_s(served, 2)).any()
