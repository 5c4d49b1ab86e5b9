"""Candidates: what a request leaves open becomes one plan each."""

from dataclasses import replace
from pathlib import Path

import pytest

from wattbench.backends.torch.backend import TorchBackend
from wattbench.harness.candidates import candidates
from wattbench.harness.request import RunRequest
from wattbench.results.errors import DeviceError, UsageError

TINY = "tiny-encoder/tiny-encode"


def test_a_backend_with_one_way_gives_one_candidate() -> None:
    """A backend that lists no levels has the single candidate `eager`."""
    found = candidates(RunRequest(load=TINY, backend="mock"))

    assert ["eager"] == [r.plan.tuning for r in found.resolved]


def test_open_levels_are_all_candidates_cheapest_first() -> None:
    """Without --tuning every level of the torch backend is a candidate, `eager` first."""
    found = candidates(RunRequest(load=TINY, backend="torch", device="cpu"))
    names = [r.plan.tuning for r in found.resolved]

    assert "eager" == names[0]
    assert len(set(names)) == len(names)


def test_a_named_level_is_the_only_candidate() -> None:
    """--tuning names the one level that runs."""
    found = candidates(RunRequest(load=TINY, backend="torch", device="cpu", tuning="eager"))

    assert ["eager"] == [r.plan.tuning for r in found.resolved]


def test_slots_open_the_levels_that_batch_continuously() -> None:
    """--slots leaves the levels whose requests follow one another, which no other request is offered."""
    pytest.importorskip("transformers", reason="continuous batching is transformers' own")
    request = RunRequest(load="smollm2-135m/chat", backend="torch", device="cpu", precision="bfloat16", batch=8)
    plain, slotted = candidates(request), candidates(replace(request, slots=3))
    named = candidates(replace(request, tuning="continuous"))

    assert "continuous" not in {r.plan.tuning for r in plain.resolved}
    assert [("continuous", 3)] == [(r.plan.tuning, r.plan.slots) for r in slotted.resolved]
    assert [("continuous", 2)] == [(r.plan.tuning, r.plan.slots) for r in named.resolved]


@pytest.mark.parametrize(
    ("knobs", "says"),
    [({"tuning": "eager"}, "--slots contradicts --tuning"), ({"load": TINY}, "torch has no --slots")],
)
def test_slots_without_an_engine_for_them_are_refused(knobs: dict[str, str], says: str) -> None:
    """Encoders, and levels in which requests go in step, have no slots."""
    request = RunRequest(load="smollm2-135m/chat", backend="torch", device="cpu", precision="bfloat16", slots=2)

    with pytest.raises(UsageError, match=says):
        candidates(replace(request, **knobs))


def test_fastest_opens_the_precisions() -> None:
    """--precision fastest tries every precision that load and device declare."""
    found = candidates(RunRequest(load=TINY, backend="torch", device="cpu", tuning="eager", precision="fastest"))

    assert {"float32", "bfloat16"} <= {r.plan.precision for r in found.resolved}


def test_auto_leaves_out_what_computes_nothing() -> None:
    """--backend auto never chooses a mock."""
    found = candidates(RunRequest(load=TINY, backend="auto", device="cpu"))

    assert "mock" not in {r.plan.backend for r in found.resolved}
    assert "torch" in {r.plan.backend for r in found.resolved}


def test_the_default_backend_is_tried_first() -> None:
    """The first candidate of --backend auto, which --quick takes, is torch's whatever else is installed."""
    found = candidates(RunRequest(load=TINY, backend="auto", device="cpu"))
    backends = list(dict.fromkeys(r.plan.backend for r in found.resolved))

    assert ["torch", *sorted(set(backends) - {"torch"})] == backends
    assert len(backends) > 1


def test_auto_takes_a_type_of_device_for_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--backend auto --device cuda` means cuda:0, as it does for a backend that is named."""
    gpus = [replace(TorchBackend().devices()[-1], name=f"cuda:{index}", power_covers=None) for index in (0, 1)]
    monkeypatch.setattr(TorchBackend, "devices", lambda _: tuple(gpus))
    found = candidates(RunRequest(load=TINY, backend="auto", device="cuda", tuning="eager"))

    assert ["cuda:0"] == [r.plan.device for r in found.resolved]


def test_auto_names_a_device_that_no_backend_has() -> None:
    """With --backend auto a device that none of them has is what the error speaks of."""
    with pytest.raises(DeviceError, match="No backend can use the device 'warp' here"):
        candidates(RunRequest(load=TINY, backend="auto", device="warp"))


def test_fastest_goes_on_where_one_device_lacks_its_default_precision() -> None:
    """--backend auto --precision fastest leaves out what one device cannot do and keeps what the others can."""
    pytest.importorskip("transformers", reason="the decoder is transformers' own")
    found = candidates(RunRequest(load="smollm2-135m/chat", backend="auto", device="auto", precision="fastest"))

    assert {"torch", "onnxruntime"} <= {r.plan.backend for r in found.resolved}
    assert {"float32", "bfloat16"} <= {r.plan.precision for r in found.resolved}


def test_an_impossible_request_raises_its_own_error(tmp_path: Path) -> None:
    """When no candidate is possible the reason of the first one is raised."""
    with pytest.raises(UsageError, match="tuning"):
        candidates(RunRequest(load=TINY, backend="torch", device="cpu", tuning="warp"))
