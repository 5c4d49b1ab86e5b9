"""Measured against measured: like with like, and what is said where it is not."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.compare import Comparison, ComparisonOptions, Row, compare
from wattbench.results.compare_sides import Side, side_of
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.figures import figure
from wattbench.results.traffic_plan import TrafficPlan

BOARD = "GPU-00000000"


def real_result(factories: ModuleType, **changes: object) -> Result:
    """Return a run that is not a mock's, with energies of a board."""
    backend = replace(factories.make_backend(), mock=False, device="cuda:0", device_name="NVIDIA L4")
    power = replace(factories.make_power(), covers=BOARD)
    found: Result = factories.make_result(**{"backend": backend, "doubts": (), "power": power, **changes})
    return found


def side(factories: ModuleType, name: str = "a", **changes: object) -> Side:
    """Return a run as a side; another name is another result."""
    return side_of(real_result(factories, **changes), f"sha256:{name}", name)


def scaled(original: Side, name: str, factor: float, *only: str) -> Side:
    """Return a side whose figures (or only the named ones) are so many times those of another."""
    metrics = tuple(
        figure(
            metric.name,
            metric.unit,
            [sample * factor for sample in metric.samples],
            metric.method,
            reason=metric.reason or "-",
            scope=metric.scope,
            boundary=metric.boundary,
            u_absolute_rel=None if metric.scope is None else 0.03,
            u_comparison_rel=None if metric.scope is None else 0.004,
        )
        if not only or metric.name in only
        else metric
        for metric in original.metrics
    )
    return replace(original, name=name, result_id=f"sha256:{name}", metrics=metrics)


def row(found: Comparison, metric: str, result: str = "b") -> Row:
    """Return one row of a comparison."""
    return next(each for each in found.rows if (each.metric, each.result) == (metric, result))


def options(**changes: object) -> ComparisonOptions:
    """Return the default options with changes."""
    return ComparisonOptions(**changes)  # type: ignore[arg-type] # values of any field


def test_equal_runs_are_equal(factories: ModuleType) -> None:
    """A copy of a run has ratios of 1 and no better figure than the original."""
    first = side(factories)
    found = compare([first, scaled(first, "b", 1.0)], options())

    assert {1.0} == {each.ratio for each in found.rows}
    assert {"equal", "inconclusive"} >= {each.outcome for each in found.rows}
    assert "equal" == row(found, "throughput.requests").outcome


def test_the_direction_decides_what_is_better(factories: ModuleType) -> None:
    """Half as much again of everything: better rates, worse latencies, powers and energies."""
    first = side(factories)
    found = compare([first, scaled(first, "b", 1.5)], options())
    outcomes = {each.metric: each.outcome for each in found.rows}

    assert "better" == outcomes["throughput.output_tokens"] == outcomes["efficiency.tokens_per_j"]
    assert "worse" == outcomes["latency.request"] == outcomes["energy.per_request"] == outcomes["power.mean"]
    assert 1.5 == pytest.approx(row(found, "throughput.requests").ratio)


def test_more_than_two_stand_against_the_first(factories: ModuleType) -> None:
    """Each of the others has its own rows."""
    first = side(factories)
    found = compare([first, scaled(first, "b", 2.0), scaled(first, "c", 0.5)], options())

    assert ("better", "worse") == tuple(row(found, "throughput.requests", name).outcome for name in "bc")
    assert ("sha256:a", "sha256:b", "sha256:c") == found.result_ids


def test_one_board_cancels_its_gain(factories: ModuleType) -> None:
    """A board that both runs name has narrower ratios of energy than two boards; `same_board` says so by hand."""
    first = side(factories)
    other = scaled(first, "b", 1.01)

    def width(sides: list[Side], **changes: object) -> float:
        found = row(compare(sides, options(**changes)), "energy.per_request")
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    known = width([first, other])
    unknown = width([first, replace(other, board=None)])

    assert known < unknown / 2
    assert known == width([first, replace(other, board=None)], same_board=True)


def test_one_board_is_not_one_meter(factories: ModuleType) -> None:
    """At the wall two meters may have measured the same board: their gains do not cancel."""
    first = side(factories)
    walls = [
        replace(each, metrics=tuple(replace(m, scope="wall") if m.scope else m for m in each.metrics))
        for each in (first, scaled(first, "b", 1.01))
    ]
    known, stated = (row(compare(walls, options(same_board=flag)), "energy.per_request") for flag in (False, True))
    assert known.low is not None
    assert stated.low is not None

    assert known.low < stated.low


@pytest.mark.parametrize(
    ("covers", "board"),
    [(BOARD, BOARD), (None, BOARD), ("cpu", None), ("soc", None), ("pci:0000:01:00.0", None), ("neuron:0", None)],
)
def test_a_board_is_one_by_its_uuid(factories: ModuleType, covers: str | None, board: str | None) -> None:
    """Names that another machine has too do not make two boards one; a file that does not say has its one channel."""
    power = replace(factories.make_power(), covers=covers)

    assert board == side(factories, power=power).board


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda f: {"load": replace(f.make_load(), name="other/load")}, "load"),
        (lambda f: {"load": replace(f.make_load(), version=2)}, "load version"),
        (lambda f: {"load": replace(f.make_load(), digest="sha256:" + "9" * 64)}, "load version"),
        (lambda f: {"plan": replace(f.make_plan(), scenario="single-stream", batch=1)}, "scenario"),
        (lambda f: {"weights": replace(f.make_result().weights, origin="real")}, "weights"),
        (
            lambda f: {
                "backend": replace(
                    f.make_backend(), mock=False, device_name="NVIDIA L4", precision_effective="bfloat16"
                )
            },
            "precision",
        ),
        (
            lambda f: {
                "backend": replace(f.make_backend(), mock=False, device_name="NVIDIA L4", compute_precision="bfloat16")
            },
            "precision",
        ),
    ],
)
def test_unlike_things_are_refused(
    factories: ModuleType, change: Callable[[ModuleType], dict[str, object]], field: str
) -> None:
    """The fields that differ are named; with force they stand as warnings instead."""
    sides = [side(factories), side(factories, "b", **change(factories))]
    with pytest.raises(UsageError, match="not of the same thing") as caught:
        compare(sides, options())
    forced = compare(sides, options(force=True))

    assert f"{field}: " in caught.value.why
    assert "--force" in caught.value.remedy
    assert any(f"not of the same thing: {field}" in text for text in forced.warnings)


def test_another_scope_is_another_thing(factories: ModuleType) -> None:
    """A board's energy is not compared with a wall's, unless forced, and then both scopes are told."""
    first = side(factories)
    metrics = tuple(replace(m, scope="wall") if m.scope else m for m in first.metrics)
    other = replace(first, name="b", result_id="sha256:b", metrics=metrics)
    with pytest.raises(UsageError, match=r"scope of power: board \| wall"):
        compare([first, other], options())

    assert "board | wall" == row(compare([first, other], options(force=True)), "energy.per_request").scope


def test_what_may_differ_is_told(factories: ModuleType) -> None:
    """Another batch is no other load: it is compared, and said."""
    plan = replace(factories.make_plan(), batch=4)
    found = compare([side(factories), side(factories, "b", plan=plan)], options())

    assert ("batch", "2", "4") == next(
        (d.field, d.first, d.other) for d in found.differences if d.field == "batch" and not d.blocking
    )
    assert () == found.warnings


def test_traffic_that_arrives_otherwise_is_told(factories: ModuleType) -> None:
    """Ratios of an open loop at 20 and at 120 requests/s say that these rates were asked for."""
    plans = [
        replace(
            factories.make_plan(),
            scenario="server",
            traffic=TrafficPlan(arrival="poisson", rate_per_s=rate, in_flight_max=4, slo=slo),
        )
        for rate, slo in ((20.0, None), (120.0, "ttft.p99=1s"))
    ]
    found = compare([side(factories, name, plan=plan) for name, plan in zip("ab", plans, strict=True)], options())

    assert {
        ("arrivals", "20 requests/s, poisson", "120 requests/s, poisson", False),
        ("limits", "not stated", "ttft.p99=1s", False),
    } == {(d.field, d.first, d.other, d.blocking) for d in found.differences}


def test_without_energy_the_rest_is_compared(factories: ModuleType) -> None:
    """A run without a sensor has rates and latencies to compare, and the reason stands for its energy."""
    first = side(factories)
    other = scaled(first, "b", 1.5)
    metrics = tuple(m for m in other.metrics if m.scope is None)
    found = compare([first, replace(other, metrics=metrics, no_energy_reason="no sensor here")], options())

    assert "better" == row(found, "throughput.requests").outcome
    assert (None, None) == (row(found, "energy.per_request").ratio, row(found, "energy.per_request").outcome)
    assert "b has none (no sensor here)" == row(found, "energy.per_request").reason
    assert "b has no energy: no sensor here" in found.notes


def test_no_energy_at_all_has_no_rows_of_it(factories: ModuleType) -> None:
    """Where no result has energy, the reason is told once for each and not in every row."""
    first = side(factories)
    plain = replace(first, metrics=tuple(m for m in first.metrics if m.scope is None), no_energy_reason="no sensor")
    found = compare([plain, replace(plain, name="b", result_id="sha256:b")], options())

    assert not [each for each in found.rows if each.metric.startswith(("power", "energy", "efficiency"))]


def test_zero_has_no_ratio(factories: ModuleType) -> None:
    """A throughput of zero is told as such, and nothing is concluded."""
    first = side(factories)
    found = compare([first, scaled(first, "b", 0.0, "throughput.requests")], options())
    zero = row(found, "throughput.requests")

    assert (None, None, 0.0) == (zero.ratio, zero.outcome, zero.other)
    assert "b has 0, which is no ratio's part" == zero.reason


def test_one_value_is_inconclusive(factories: ModuleType) -> None:
    """Peak memory was read once: its ratio has no interval, so nothing is concluded."""
    first = side(factories)
    memory = row(compare([first, scaled(first, "b", 3.0)], options()), "memory.peak")

    assert ("inconclusive", None) == (memory.outcome, memory.low)
    assert "has no spread" in memory.reason


def test_invalid_results_are_refused_or_marked(factories: ModuleType) -> None:
    """A mock, an emulated, an invalid or an unfinished run is compared on request only, and then marked."""
    mock = factories.make_result()
    with pytest.raises(DocumentError, match="mock: the backend is a mock"):
        side_of(mock, "sha256:m", "m")
    allowed = side_of(mock, "sha256:m", "m", allow_invalid=True)
    found = compare([allowed, replace(allowed, name="b", result_id="sha256:b", warnings=())], options())

    assert ("m: mock: the backend is a mock",) == found.warnings


def test_an_emulated_device_is_refused(factories: ModuleType) -> None:
    """An emulated device's figures say nothing of hardware."""
    doubt = Doubt(code="emulated", severity="severe", facts="emulated on cpu", advice="Use the device.")
    backend = replace(factories.make_backend(), mock=False, emulated=True, true_device="cpu")
    with pytest.raises(DocumentError, match="emulated on cpu"):
        side(factories, backend=backend, doubts=(doubt,))


def test_a_run_without_figures_is_refused(factories: ModuleType) -> None:
    """A run that never got to its summary has nothing to compare, allowed or not."""
    partial = factories.make_result(status="partial", summary=None)
    with pytest.raises(DocumentError, match="has no figures"):
        side_of(partial, "sha256:p", "p", allow_invalid=True)


def test_too_few_and_twice_the_same(factories: ModuleType) -> None:
    """One result, or one result twice, is no comparison."""
    first = side(factories)
    with pytest.raises(UsageError, match="nothing to compare"):
        compare([first], options())
    with pytest.raises(UsageError, match="given twice"):
        compare([first, replace(first, name="copy")], options())


@pytest.mark.parametrize("delta", [-0.1, 1.0, float("nan")])
def test_a_delta_is_a_share(delta: float) -> None:
    """A negative, a missing or a whole delta is refused."""
    with pytest.raises(ValueError, match="delta"):
        options(delta=delta)


def test_fewer_figures_are_judged_together(factories: ModuleType) -> None:
    """Only the named figures are shown."""
    first = side(factories)
    found = compare([first, scaled(first, "b", 1.1)], options(metrics=("latency.request",)))

    assert ["latency.request"] == [each.metric for each in found.rows]
