"""A backend's context without a model: opened where there is one, and named where there is none."""

from pathlib import Path

import pytest

from wattbench.backends.contract import ContextOpener
from wattbench.harness.context import open_context
from wattbench.harness.messages import ContextReply, OpenContext
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.errors import DeviceError, UsageError


def test_a_backend_without_the_ability_says_so() -> None:
    """The mock has no context apart from its load."""
    reply = open_context(OpenContext(backend="mock", device="mock"))

    assert reply.created is None
    assert "none apart from the model" in (reply.reason or "")


def test_the_cpu_has_no_context() -> None:
    """On the CPU there is nothing to create, in the worker too."""
    with WorkerClient() as worker:
        reply = worker.ask(OpenContext(backend="torch", device="cpu"), ContextReply, 60.0)

    assert reply == ContextReply(created=None, reason="cpu has none: work on it needs no context")


def test_torch_opens_contexts() -> None:
    """The ability is found by its protocol."""
    from wattbench.backends.torch.backend import TorchBackend

    assert isinstance(TorchBackend(), ContextOpener)


def test_a_device_that_is_not_there_is_refused() -> None:
    """An unknown device is named with the known ones."""
    from wattbench.backends.torch.device import open_context as open_torch

    with pytest.raises(UsageError, match="no device"):
        open_torch("cuda:9")


def test_a_device_that_refuses_is_a_device_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever torch says when the context cannot be created comes back as our error."""
    import torch

    from wattbench.backends.torch.device import open_context as open_torch

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable\nmore")

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(DeviceError, match="busy or unavailable"):
        open_torch("cpu")
