"""Several results at one service level."""

from types import ModuleType
from typing import Any

import pytest

from wattbench.results.economics.comparing import Candidate, compare, differences
from wattbench.results.economics.measured import Quantity
from wattbench.results.errors import UsageError


def _candidate(cost_case: ModuleType, rate: float, u_rel: float | None = 0.02, **changes: Any) -> Candidate:
    """Return a machine of some rate; changes go to its inputs, but for `device`."""  # any: values of any input
    device = changes.pop("device", f"machine {rate:g}")
    measured = cost_case.make_measured(queries_per_s=Quantity(value=rate, u_rel=u_rel), device=device)
    return Candidate(measured=measured, inputs=cost_case.make_inputs(**changes))


def test_the_best_first_with_a_ratio(cost_case: ModuleType) -> None:
    """Half the rate at the same hour is twice the cost, and surely worse."""
    rows = compare([_candidate(cost_case, 5.0), _candidate(cost_case, 10.0)], "usage")

    assert ["machine 10", "machine 5"] == [row.measured.device for row in rows]
    assert (1.0, pytest.approx(2.0)) == (rows[0].ratio, rows[1].ratio)
    assert ["best", "worse"] == [row.verdict for row in rows]


def test_a_difference_within_its_uncertainty_is_not_told(cost_case: ModuleType) -> None:
    """3 % apart at 2 % each is no verdict; without stated uncertainty neither."""
    near = compare([_candidate(cost_case, 9.7), _candidate(cost_case, 10.0)], "usage")
    blind = compare([_candidate(cost_case, 5.0, None), _candidate(cost_case, 10.0)], "usage")

    assert ("not told apart", "uncertainty not stated") == (near[1].verdict, blind[1].verdict)


def test_a_broken_promise_is_not_ranked(cost_case: ModuleType) -> None:
    """The cheaper machine comes last when it breaks the promise, and when nobody measured it that strictly."""
    slow = {"slo__latency_s": 1.8, "slo__late_share": 0.01}
    cheap = _candidate(cost_case, 20.0, **slow)
    dear = _candidate(cost_case, 5.0, slo__latency_s=2.5, slo__late_share=0.01)
    rows = compare([cheap, dear], "usage")
    strict = _candidate(cost_case, 20.0, slo__latency_s=9.0, slo__late_share=0.001)

    assert ["machine 5", "machine 20"] == [row.measured.device for row in rows]
    assert "breaks a promise" == rows[1].verdict
    assert "strictly" in compare([dear, strict], "usage")[1].verdict


def test_energy_and_carbon_without_watts_have_no_figure(cost_case: ModuleType) -> None:
    """A machine without watts is listed with its reason, not with zero."""
    blind = Candidate(
        measured=cost_case.make_measured(powers=(), no_power_reason="no sensor"), inputs=cost_case.make_inputs()
    )
    rows = compare([blind, _candidate(cost_case, 10.0)], "energy")

    assert 600 == pytest.approx(rows[0].figure.value if rows[0].figure else None)
    assert "no figure" in rows[1].verdict


def test_only_like_with_like(cost_case: ModuleType) -> None:
    """Another load or precision is refused with the difference; forced, the difference is shown."""
    one = _candidate(cost_case, 10.0)
    other = Candidate(
        measured=cost_case.make_measured(precision="int8", load_digest="sha256:2"), inputs=cost_case.make_inputs()
    )

    with pytest.raises(UsageError, match="int8"):
        compare([one, other], "usage")
    assert 2 == len(compare([one, other], "usage", force=True))
    assert 2 == len(differences([one.measured, other.measured]))


def test_one_result_is_no_comparison(cost_case: ModuleType) -> None:
    """Two are needed."""
    with pytest.raises(UsageError, match="two or more"):
        compare([_candidate(cost_case, 10.0)], "usage")


def test_by_carbon(cost_case: ModuleType) -> None:
    """The software carbon intensity ranks, where the making is known; else there is none."""
    known = {"carbon__grid_g_per_kwh": 400.0, "carbon__machine_kg": 5000.0}
    rows = compare([_candidate(cost_case, 5.0, **known), _candidate(cost_case, 10.0, **known)], "carbon")
    partial = compare([_candidate(cost_case, 5.0, carbon__grid_g_per_kwh=400.0)] * 2, "carbon")

    assert 2.0 == pytest.approx(rows[1].ratio)
    assert "embodied" in partial[0].verdict
