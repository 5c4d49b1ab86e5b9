"""The gates one by one: what passes, what fails, and what cannot be told; and the page that describes them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from trust_case import BOARD_FACTS, NOW, make_case, only_power, rederived, with_values

from wattbench.harness.trust.known import harness_check, load_check
from wattbench.harness.trust.rejudging import demanded_doubts, doubt_check
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.document import HarnessRecord, Result
from wattbench.results.doubts import Doubt, judge
from wattbench.results.trust.devices import count_check, memory_check
from wattbench.results.trust.gates import gates_of
from wattbench.results.trust.power_gates import best_flops_per_j, coverage_check, floor_check, limit_check
from wattbench.results.trust.ranking import barriers_of
from wattbench.results.trust.verification import BARRIERS, CHECKS, Check, conclude, failed, judged, ok, unknown
from wattbench.results.trust.work_gates import ceiling_check, roofline_check, start_check, token_check

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "trust.md").read_text()


def gate(result: Result, code: str) -> Check:
    """Return what one gate says of a result."""
    return next(c for c in gates_of(result, result.power.polls, now=NOW) if c.code == code)


def doubting(result: Result, doubt: Doubt) -> Result:
    """Return the result with one more doubt, and the verdict that follows."""
    doubts = (*result.doubts, doubt)
    return replace(result, doubts=doubts, verdict=judge(doubts, finished=True))


def on_processor(result: Result) -> Result:
    """Return the result as one of a processor, which has no claims and no board."""
    assert result.backend is not None
    backend = replace(result.backend, device="cpu", device_name="Some CPU")
    power = replace(result.power, covers="cpu", channels=(), polls=(), health=(), unavailable_reason="no sensor")
    repeats = tuple(replace(repeat, energy=()) for repeat in result.repeats)
    return rederived(replace(result, backend=backend, power=power, repeats=repeats, idle=()))


@pytest.mark.parametrize(
    "code", ["power_limit", "power_floor", "energy_floor", "coverage", "poll_values", "poll_times", "roofline"]
)
def test_without_a_sensor_or_a_claim_gates_are_unknown(code: str) -> None:
    """A processor without a sensor and without vendor's peaks leaves these gates unknown, never ok."""
    assert "unknown" == gate(on_processor(make_case()), code).standing


def test_without_a_backend_devices_are_unknown() -> None:
    """A run that did not get as far as its backend has no devices to count."""
    result = replace(make_case(), backend=None)

    assert ("unknown", "unknown") == (count_check(result, ()).standing, memory_check(result).standing)


def test_unknown_memory_is_unknown() -> None:
    """A board whose memory is not stated cannot be too small."""
    board = replace(BOARD_FACTS, memory_bytes=None)
    result = make_case()

    assert (
        "unknown"
        == memory_check(replace(result, environment=replace(result.environment, accelerators=(board,)))).standing
    )


def test_a_board_that_is_not_in_the_environment_is_told_apart() -> None:
    """Power of a board that the environment does not list is of another machine."""
    board = replace(BOARD_FACTS, uuid="GPU-77777777-2222-3333-4444-555555555555")
    result = make_case()
    moved = replace(result, environment=replace(result.environment, accelerators=(board,)))

    assert "failed" == count_check(moved, moved.power.polls).standing


def test_polls_of_a_foreign_channel_are_told_apart() -> None:
    """A log of a channel that the document does not have, or a channel without a log, is named."""
    result = make_case()
    one, two = result.power.polls
    stranger = replace(two, channel="nvml:other")

    assert "which is no channel of the document" in count_check(result, (one, stranger)).detail
    assert "has no polls" in count_check(result, (one,)).detail


@pytest.mark.parametrize(("factor", "standing"), [(1.1, "ok"), (1.4, "failed")])
def test_the_limit_has_a_margin(factor: float, standing: str) -> None:
    """60 W pass under a limit of 72 W, 66 W too, 84 W do not."""
    moved = rederived(with_values(only_power(make_case()), lambda _, value: factor * value))

    assert standing == limit_check(moved).standing


def test_without_a_stated_limit_the_vendor_s_counts() -> None:
    """A board that does not tell its limit is held against its nameplate (an L4: 72 W), an unlisted one not."""
    result = only_power(make_case())
    board = replace(BOARD_FACTS, power_limit_w=None, power_limit_enforced_w=None)
    channels = tuple(replace(channel, limit_w=None) for channel in result.power.channels)
    bare = replace(
        result,
        environment=replace(result.environment, accelerators=(board,)),
        power=replace(result.power, channels=channels),
    )
    unlisted = replace(bare.environment, accelerators=(replace(board, name="No such board"),))

    assert "ok" == limit_check(bare).standing
    assert "failed" == limit_check(rederived(with_values(bare, lambda _, value: 1.5 * value))).standing
    assert "unknown" == limit_check(replace(bare, environment=unlisted)).standing


def test_a_whole_machine_has_no_floor() -> None:
    """At the wall other things may have stopped meanwhile, so less than at rest is unknown there."""
    result = only_power(make_case())
    repeats = tuple(
        replace(r, energy=tuple(replace(e, scope="wall", mean_power_w=1.0) for e in r.energy)) for r in result.repeats
    )

    assert "unknown" == floor_check(replace(result, repeats=repeats)).standing


def test_gaps_are_no_forgery() -> None:
    """Samples that cover half of a window leave its power unknown, and keep it out of rankings."""
    result = make_case()
    repeats = tuple(replace(r, energy=tuple(replace(e, coverage=0.5) for e in r.energy)) for r in result.repeats)
    half = replace(result, repeats=repeats)

    assert "unknown" == coverage_check(half).standing
    assert ["low_coverage"] == [barrier.code for barrier in barriers_of(half)]


def test_a_sensor_that_is_said_to_be_frozen_is_no_lie() -> None:
    """A document that doubts its own sensor is not inconsistent for it."""
    frozen = rederived(with_values(only_power(make_case()), lambda _, __: 50.0))
    doubt = Doubt(code="sensor_frozen", severity="doubt", facts="it stood still", advice="")

    assert "failed" == gate(frozen, "poll_values").standing
    assert (
        "unknown"
        == gate(replace(frozen, doubts=(*frozen.doubts, doubt), verdict=None, status="started"), "poll_values").standing
    )


def test_the_best_hardware_is_the_vendors_best() -> None:
    """The floor of energy rests on the database: more than an H100 (990 TFLOP/s at 700 W), and finite."""
    best = best_flops_per_j("bfloat16")
    assert best is not None

    assert 1.4e12 < best < 1e14
    assert best_flops_per_j("no precision") is None


def ceilings(rate: float) -> CeilingsRecord:
    """Return the ceilings of a device whose products in bfloat16 reached a rate."""
    entry = CeilingEntry(
        kind="matmul",
        precision="bfloat16",
        shape="8x8x8",
        unit="FLOP/s",
        samples=(rate,),
        library="torch",
        threads=None,
    )
    return CeilingsRecord(
        device="cuda:0",
        device_name="NVIDIA L4",
        measured_at="2026-02-03T04:05:06Z",
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=None,
        entries=(entry,),
    )


@pytest.mark.parametrize(("rate", "standing"), [(1e14, "ok"), (1e11, "failed")])
def test_ceilings_bound_rates(rate: float, standing: str) -> None:
    """A rate far above what the same device reached in a plain product is a contradiction."""
    assert standing == ceiling_check(replace(make_case(), ceilings=ceilings(rate))).standing


def test_the_roofline_names_both_parts() -> None:
    """Arithmetic and traffic are both held against the vendor's peaks."""
    found = roofline_check(make_case())

    assert ("ok", True) == (found.standing, "flops at" in found.detail and "bandwidth at" in found.detail)


def test_failed_executions_need_no_tokens() -> None:
    """Only executions that succeeded are counted; a run without any is unknown."""
    result = make_case()
    first, *rest = result.repeats
    done = first.completions
    broken = replace(
        done,
        output_tokens=(0, *done.output_tokens[1:]),
        error=("out of memory", *done.error[1:]),
    )

    assert "ok" == token_check(replace(result, repeats=(replace(first, completions=broken), *rest))).standing
    assert "unknown" == token_check(replace(result, repeats=())).standing


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        (lambda run: run, "ok"),
        (lambda run: replace(run, started_at="yesterday"), "failed"),
        (lambda run: replace(run, started_at="2026-02-03T04:05:06"), "failed"),
        (lambda run: replace(run, clock=replace(run.clock, origin_utc="2026-02-03T14:05:06Z")), "failed"),
    ],
)
def test_the_start_is_an_instant(change: Callable[..., object], standing: str) -> None:
    """A start without a time zone, no time at all, and clocks that disagree fail."""
    result = make_case()
    moved = replace(result, run=change(result.run))  # type: ignore[arg-type]  # a run's record

    assert standing == start_check(moved, NOW).standing


def test_an_upload_before_the_end_is_told_apart() -> None:
    """A run cannot end after a store took it in."""
    early = NOW - timedelta(days=300)

    assert ("failed", "ok") == (
        start_check(make_case(), NOW, early).standing,
        start_check(make_case(), NOW, NOW).standing,
    )


def test_more_doubts_are_no_lie() -> None:
    """A document may doubt itself more than its facts ask for, never less."""
    result = make_case()
    demanded = demanded_doubts(result, result.power.polls)
    more = Doubt(code="throttled", severity="doubt", facts="it was hot", advice="")
    grave = Doubt(code="throttled", severity="severe", facts="it was hot", advice="")

    assert (
        "ok"
        == doubt_check(
            replace(result, doubts=(*result.doubts, more), verdict=None, status="started"), demanded
        ).standing
    )
    assert "failed" == doubt_check(result, (*demanded, grave)).standing


def test_a_load_of_another_catalogue_is_unknown() -> None:
    """A load that is not in this catalogue, or is defined otherwise there, cannot be held against it."""
    result = make_case()
    foreign = replace(result.load, name="no-such-model/chat")
    other = replace(result.load, digest="sha256:" + "0" * 64)

    assert "ok" == load_check(result).standing
    assert {"unknown"} == {load_check(replace(result, load=load)).standing for load in (foreign, other)}


def test_another_source_is_unknown() -> None:
    """A document measured by this very source is known, one by another source of the same version is not."""
    own = make_case().harness

    assert ("ok", "unknown") == (
        harness_check(own).standing,
        harness_check(HarnessRecord(name="wattbench", version=own.version, source_sha256="0" * 64)).standing,
    )


def test_what_is_needed_decides() -> None:
    """One failed check makes a document inconsistent; an unknown one matters where the figures rest on it."""
    checks = [ok("digest", ""), ok("schema", ""), ok("energy", ""), ok("rates", "")]

    assert "consistent" == conclude("x", [*checks, unknown("roofline", "")]).standing
    assert "unverifiable" == conclude("x", [*checks, unknown("energy", "no polls")]).standing
    assert "inconsistent" == conclude("x", [*checks, unknown("energy", ""), failed("roofline", "")]).standing


def test_many_problems_are_counted() -> None:
    """A check names its first three problems and says how many more there are."""
    assert "a; b; c (and 2 more)" == judged("windows", "abcde", "").detail


@pytest.mark.parametrize("code", [*CHECKS, *BARRIERS])
def test_every_code_is_documented(code: str) -> None:
    """docs/trust.md describes each check and each barrier."""
    assert f"`{code}`" in PAGE
