"""What a completion may not say: the harness refuses what contradicts the batch or the clock."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy
import pytest

from wattbench.backends.contract import Batch, Completion
from wattbench.backends.execution import executed
from wattbench.backends.mock import MockBackend
from wattbench.results.errors import DeviceError

BATCH = Batch(arrays={"input_ids": numpy.zeros((2, 3), dtype=numpy.int64)}, requests=2, input_tokens=6, output_tokens=4)


def part(start_ns: int) -> Completion:
    """Return one request's completion: 3 tokens in, 2 out."""
    return Completion(
        start_ns=start_ns,
        first_output_ns=start_ns + 10,
        step_end_ns=(start_ns + 20,),
        end_ns=start_ns + 30,
        requests=1,
        input_tokens=3,
        output_tokens=2,
    )


class Apart(MockBackend):
    """A backend whose two requests go on their own, and may be told wrongly."""

    def __init__(self, spoil: Callable[[Completion], Completion]) -> None:
        super().__init__()
        self._spoil = spoil

    def run(self, batch: Batch) -> Completion:
        """Return two overlapping completions, spoilt."""
        start_ns = time.perf_counter_ns()
        time.sleep(0.001)
        return self._spoil(
            Completion(
                start_ns=start_ns,
                first_output_ns=None,
                step_end_ns=(),
                end_ns=start_ns + 50,
                requests=2,
                input_tokens=6,
                output_tokens=4,
                parts=(part(start_ns), part(start_ns + 15)),
            )
        )


def test_requests_may_go_on_their_own() -> None:
    """Completions of single requests stand for the batch."""
    done = executed(Apart(lambda c: c), BATCH).completion

    assert 2 == len(done.parts)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: replace(c, parts=c.parts[:1]), "reports 1 on their own"),
        (lambda c: replace(c, parts=(c.parts[0], replace(c.parts[1], output_tokens=1))), "add up to"),
        (lambda c: replace(c, parts=(c.parts[0], replace(c.parts[1], step_end_ns=()))), "stamped 1 tokens"),
        (lambda c: replace(c, parts=(c.parts[0], part(c.end_ns))), "stamps are not in the order"),
    ],
)
def test_requests_on_their_own_must_add_up(spoil: Callable[[Completion], Completion], says: str) -> None:
    """A request left out, tokens that are missing, and times outside the batch are refused."""
    with pytest.raises(DeviceError, match=says):
        executed(Apart(spoil), BATCH)
