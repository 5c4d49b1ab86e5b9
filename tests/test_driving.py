"""A load at part of its rate runs for that share of the time, and never beats in a fixed rhythm."""

import pytest

from wattbench.backends.contract import Completion
from wattbench.backends.execution import Executed
from wattbench.harness.driving import drive

MS = 1_000_000


class Stage:
    """A clock that executions and sleeps move on; it notes the busy spans."""

    def __init__(self, execution_ms: float) -> None:
        self.now = 0
        self.execution_ns = round(execution_ms * MS)
        self.pauses: list[float] = []

    def now_ns(self) -> int:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let a pause pass."""
        self.pauses.append(seconds)
        self.now += round(seconds * 1e9)

    def execute(self) -> Executed:
        """Work for one execution."""
        before = self.now
        self.now += self.execution_ns
        done = Completion(
            start_ns=before,
            first_output_ns=None,
            step_end_ns=(),
            end_ns=self.now,
            requests=1,
            input_tokens=1,
            output_tokens=0,
        )
        return Executed(before_ns=before, completion=done, after_ns=self.now)


@pytest.mark.parametrize("execution_ms", [1.0, 40.0, 700.0])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_the_share_is_kept(share: float, execution_ms: float) -> None:
    """Over a minute the load runs for its share, however long one execution takes."""
    stage = Stage(execution_ms)
    done = drive(stage.execute, share, 60.0, 1, now_ns=stage.now_ns, sleep=stage.sleep)

    assert share == pytest.approx(done.busy_share, abs=0.03)
    assert 60.0 <= (done.end_ns - done.start_ns) / 1e9 <= 60.0 + execution_ms / 1000 + 0.2
    assert done.executions > 0


def test_idle_executes_nothing() -> None:
    """A share of 0 sleeps the whole span."""
    stage = Stage(1.0)
    done = drive(stage.execute, 0.0, 5.0, 1, now_ns=stage.now_ns, sleep=stage.sleep)

    assert (0, 0.0, [5.0]) == (done.executions, done.busy_share, stage.pauses)


def test_full_load_never_pauses() -> None:
    """A share of 1 leaves no gap."""
    stage = Stage(1.0)
    drive(stage.execute, 1.0, 5.0, 1, now_ns=stage.now_ns, sleep=stage.sleep)

    assert [] == stage.pauses


def test_pauses_have_no_rhythm() -> None:
    """No two neighbouring pauses are equal: a part-time sensor has nothing to lock onto."""
    stage = Stage(0.1)
    drive(stage.execute, 0.5, 20.0, 1, now_ns=stage.now_ns, sleep=stage.sleep)

    assert len(stage.pauses) > 50
    assert len({round(p, 3) for p in stage.pauses}) > len(stage.pauses) / 2
