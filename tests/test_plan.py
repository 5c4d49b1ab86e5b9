"""Requests become plans: defaults filled in, contradictions and unknown names refused before anything starts."""

import pytest

from wattbench.backends.contract import DeviceInfo
from wattbench.harness.memory import refuse_if_too_big
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.models.find import find_load
from wattbench.results.errors import OutOfMemoryError, UsageError

TINY = {"load": "tiny-decoder/tiny", "backend": "mock"}


def test_a_bare_request_follows_the_protocol() -> None:
    """Without time flags windows are 60 s, repeats 5 to 10, idle and warm-up at least 30 s."""
    plan = resolve(RunRequest(**TINY)).plan

    assert (60.0, 5, 10, 30.0, 30.0) == (
        plan.window_s,
        plan.repeats_min,
        plan.repeats_max,
        plan.idle_s,
        plan.warmup_min_s,
    )


def test_quick_is_short_and_says_so() -> None:
    """--quick shortens every time and marks the plan."""
    plan = resolve(RunRequest(**TINY, quick=True)).plan

    assert plan.quick
    assert plan.window_s < 10
    assert 3 == plan.repeats_max


def test_repeats_asked_for_are_exact() -> None:
    """--repeats N means N, no more and no fewer."""
    plan = resolve(RunRequest(**TINY, repeats=2)).plan

    assert (2, 2) == (plan.repeats_min, plan.repeats_max)


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"load": "bert-bas/classify-128"}, "bert-base"),
        ({"backend": "mok"}, "Did you mean 'mock'?"),
        ({"scenario": "ofline"}, "Did you mean 'offline'?"),
        ({"device": "nowhere"}, "nowhere"),
        ({"precision": "float31"}, "Did you mean 'float32'?"),
        ({"scenario": "single-stream", "batch": 4}, "contradicts"),
        ({"threads": 4, "affinity": (0, 1)}, "contradicts"),
        ({"repeats": 5, "repeats_max": 2}, "contradicts"),
        ({"warmup_min_s": 9.0, "warmup_max_s": 3.0}, "contradicts"),
        ({"batch": 0}, "at least 1"),
        ({"repeats": 0}, "at least 1"),
        ({"threads": 0}, "at least 1"),
        ({"window_s": 0.0}, "positive"),
        ({"window_s": float("nan")}, "positive"),
        ({"idle_s": -1.0}, "negative"),
        ({"power_rate_hz": -20.0}, "positive"),
    ],
)
def test_wrong_knobs_are_refused(knobs: dict[str, object], says: str) -> None:
    """Unknown names list the nearest known one; contradictions and impossible values say what is wrong."""
    with pytest.raises(UsageError) as caught:
        resolve(RunRequest(**{**TINY, **knobs}))

    assert says in str(caught.value)


def test_a_load_that_cannot_fit_is_refused_with_both_figures() -> None:
    """Llama-2-70B in bfloat16 on 24 GB is refused, with what it needs and what is free."""
    with pytest.raises(OutOfMemoryError) as caught:
        refuse_if_too_big(find_load("llama-2-70b/chat"), 1, "bfloat16", 24_000_000_000)

    assert "24.0 GB are free" in str(caught.value)
    assert "it needs about 1" in str(caught.value)  # 138 GB of weights and more


def test_an_unknown_memory_refuses_nothing() -> None:
    """A device that cannot tell its memory is given the benefit of the doubt."""
    refuse_if_too_big(find_load("llama-2-70b/chat"), 1, "bfloat16", None)


def test_the_device_info_of_the_mock_is_complete() -> None:
    """The mock names one device with its precisions."""
    device = resolve(RunRequest(**TINY)).device

    assert isinstance(device, DeviceInfo)
    assert device.precision_default in device.precisions
