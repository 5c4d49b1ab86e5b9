"""What records refuse because it can never be true."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from wattbench.results.doubts import Doubt, judge
from wattbench.results.metrics import Quantile
from wattbench.results.tuning import TrialOutcome, TrialRecord

MOCK = Doubt(code="mock", severity="severe", facts="made up", advice="")
EMULATED = Doubt(code="emulated", severity="severe", facts="not there", advice="")


def _backend(factories: ModuleType, *, mock: bool = False, emulated: bool = False) -> Any:  # any: the module is untyped
    return replace(factories.make_backend(), mock=mock, emulated=emulated, true_device="cpu")


@pytest.mark.parametrize("status", ["complete", "partial"])
def test_a_verdict_follows(factories: ModuleType, status: str) -> None:
    """The verdict of an ended run is the one that its doubts and its status give, and no other."""
    wrong = judge((), finished=True)
    with pytest.raises(ValueError, match="the verdict that follows from the doubts is invalid"):
        factories.make_result(status=status, verdict=wrong)


def test_no_verdict_before_the_end(factories: ModuleType) -> None:
    """A run that is under way has no verdict."""
    with pytest.raises(ValueError, match="has no verdict"):
        factories.make_result(status="started", verdict=judge((), finished=False))


@pytest.mark.parametrize(
    ("flags", "doubts", "why"),
    [
        ({"mock": True}, (), "severe doubt `mock`"),
        ({"mock": True}, (replace(MOCK, severity="note"),), "severe doubt `mock`"),
        ({"emulated": True}, (MOCK,), "an emulated device"),
    ],
)
def test_a_mock_says_so(factories: ModuleType, flags: dict[str, bool], doubts: tuple[Doubt, ...], why: str) -> None:
    """An ended run on a mock backend or an emulated device carries the severe doubt of that name."""
    with pytest.raises(ValueError, match=why):
        factories.make_result(backend=_backend(factories, **flags), doubts=doubts)


def test_a_real_backend_needs_no_doubt(factories: ModuleType) -> None:
    """A run on a real backend without doubts is valid."""
    assert "valid" == factories.make_result(backend=_backend(factories), doubts=()).verdict.standing


def test_doubts_come_at_the_end(factories: ModuleType) -> None:
    """A run under way needs no doubts yet: they are drawn when it ends."""
    backend = _backend(factories, mock=True, emulated=True)

    assert () == factories.make_result(status="started", backend=backend, doubts=()).doubts


@pytest.mark.parametrize(
    "changes",
    [
        {"planned_start_ns": (2,)},
        {"first_output_ns": (0,)},
        {"first_output_ns": (7,)},
        {"step_end_ns": ((6, 5),)},
        {"step_end_ns": ((3, 6),)},
        {"step_end_ns": ((6, 11),)},
        {"end_ns": (5,)},
    ],
)
def test_times_ascend(factories: ModuleType, changes: dict[str, Any]) -> None:  # any: columns of several kinds
    """The times of an execution that succeeded ascend, from the planned start over every token to the end."""
    times = {
        "planned_start_ns": (0,),
        "start_ns": (1,),
        "first_output_ns": (4,),
        "step_end_ns": ((5, 6),),
        "end_ns": (10,),
    }
    one = replace(factories.make_completions(executions=1), **times)
    with pytest.raises(ValueError, match="do not ascend"):
        replace(one, **changes)


def test_times_of_a_failure(factories: ModuleType) -> None:
    """A failed execution may have stamps in any order: only its end is needed."""
    failed = factories.make_completions(executions=1, errors=["broken"])

    assert (-1,) == replace(failed, first_output_ns=(-1,)).first_output_ns


@pytest.mark.parametrize("name", ["requests", "input_tokens", "output_tokens"])
def test_counts_of_completions(factories: ModuleType, name: str) -> None:
    """No count of an execution is negative."""
    with pytest.raises(ValueError, match=f"{name} cannot be negative"):
        replace(factories.make_completions(executions=1), **{name: (-1,)})


@pytest.mark.parametrize("changes", [{"value": -0.1}, {"bound": -0.1}, {"q": 0.0}, {"q": 1.0}])
def test_quantiles(changes: dict[str, float]) -> None:
    """A latency quantile and its bound are not negative, and lie within the distribution."""
    with pytest.raises(ValueError, match=r"negative|within"):
        replace(Quantile(q=0.5, value=1.0, bound=2.0), **changes)  # type: ignore[arg-type]  # floats all


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("summary", {"requests": -1}),
        ("summary", {"failed_requests": 101}),
        ("summary", {"repeats": -1}),
        ("load", {"input_tokens": -1}),
        ("load", {"parameters": -1}),
        ("load", {"turns": 0}),
        ("backend", {"memory_peak_bytes": -1}),
    ],
)
def test_counts_of_records(factories: ModuleType, path: str, change: dict[str, int]) -> None:
    """No count of a record is negative, and no part larger than its whole."""
    with pytest.raises(ValueError, match=r"negative|within|at least"):
        replace(getattr(factories.make_result(), path), **change)


@pytest.mark.parametrize("name", ["weight_bytes", "prefill_flops"])
def test_work_is_not_negative(factories: ModuleType, name: str) -> None:
    """Arithmetic and traffic are not negative."""
    with pytest.raises(ValueError, match=f"{name} cannot be negative"):
        replace(factories.make_load().work, **{name: -1})


@pytest.mark.parametrize("name", ["polls", "updates", "coverage", "max_gap_s"])
def test_counts_of_energies(factories: ModuleType, name: str) -> None:
    """No count of polls, share or gap is negative."""
    with pytest.raises(ValueError, match=f"{name} cannot be negative"):
        replace(factories.make_channel_energy(), **{name: -1})


@pytest.mark.parametrize("change", [{"failed": 4}, {"failed": -1}, {"max_gap_s": -0.1}])
def test_counts_of_the_recorder(factories: ModuleType, change: dict[str, float]) -> None:
    """A recorder does not fail more often than it polls."""
    with pytest.raises(ValueError, match=r"negative|within"):
        replace(factories.make_power().health[0], **change)


@pytest.mark.parametrize(("outcome", "executions_per_s"), [("too_slow", None), ("failed", 0.1), ("too_slow", -0.1)])
def test_the_executions_of_a_trial(outcome: TrialOutcome, executions_per_s: float | None) -> None:
    """A trial that was given up as too slow says how slow it was, and no other one does."""
    with pytest.raises(ValueError, match=r"says how slow|cannot be negative"):
        TrialRecord(
            backend="torch",
            device="cpu",
            precision="float32",
            tuning="eager",
            outcome=outcome,
            requests_per_s=None,
            prefill_tokens_per_s=None,
            decode_tokens_per_s=None,
            relative_error=None,
            prepare_s=None,
            reason="behind",
            executions_per_s=executions_per_s,
        )
