"""A load at part of its rate: executions and pauses in turns, so that the mean power lies between idle and full."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from wattbench.backends.execution import Executed

__all__ = ["Driven", "drive"]

BUSY_S = (0.05, 0.15)
"""How long the load runs between two pauses, drawn anew each time: no rhythm for a part-time sensor to beat against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What a driven span was: start and end in ns of `time.perf_counter_ns`, the share of it that the load ran."""

    start_ns: int
    end_ns: int
    busy_share: float
    executions: int


def drive(
    execute: Callable[[], Executed],
    share: float,
    seconds: float,
    seed: int,
    *,
    now_ns: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Driven:
    """Let a load run for a share of the time, 0 to 1, over about `seconds`.

    Executions are never cut: where one takes longer than the busy time drawn for it, its pause grows with it. The
    last pause ends with the span.
    """
    drawn = random.Random(seed)
    start_ns = now_ns()
    until_ns = start_ns + round(seconds * 1e9)
    busy_ns = executions = 0
    while (at_ns := now_ns()) < until_ns:
        if share <= 0:
            sleep((until_ns - at_ns) / 1e9)
            continue
        enough_ns = at_ns + round(drawn.uniform(*BUSY_S) * 1e9)
        while True:
            execute()
            executions += 1
            done_ns = now_ns()
            if done_ns >= min(enough_ns, until_ns):
                break
        busy_ns += done_ns - at_ns
        pause_ns = min(round((done_ns - at_ns) * (1 - share) / share), until_ns - done_ns)
        if pause_ns > 0:
            sleep(pause_ns / 1e9)
    end_ns = now_ns()
    return Driven(start_ns=start_ns, end_ns=end_ns, busy_share=busy_ns / (end_ns - start_ns), executions=executions)
