"""What tests do within a window of the endpoint client, however long its preparation takes."""

import threading
from collections.abc import Callable

import pytest

from wattbench.backends.endpoint.loop import Loop


def within_a_window(monkeypatch: pytest.MonkeyPatch, after_s: float, act: Callable[[], None]) -> None:
    """Do something so long after the loop of the next window is ready."""
    make_ready = Loop.make_ready

    def then_act(loop: Loop) -> None:
        make_ready(loop)
        threading.Timer(after_s, act).start()

    monkeypatch.setattr(Loop, "make_ready", then_act)
