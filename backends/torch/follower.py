"""A rank above 0: prepares its part of a load, and executes what rank 0 executes, each order once.

Started by rank 0 as `python -m wattbench.backends.torch.follower`; it ends with it.
"""

import gc
import os
import sys
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

import numpy
import torch

from wattbench.backends.lines import Failure, failure_of
from wattbench.backends.serving import become_child, private_answers, read_lines
from wattbench.backends.torch.orders import (
    Done,
    Execute,
    Inputs,
    Leave,
    Peak,
    Ready,
    Report,
    TakeSeat,
    from_line,
    to_line,
)
from wattbench.backends.torch.ranks import join, leave
from wattbench.backends.torch.session import Session, rank_record
from wattbench.models.shards import Share
from wattbench.results.errors import WattbenchError, WorkerError

__all__ = ["main"]


def main() -> int:
    """Follow rank 0 until it says Leave, or is gone; return the exit code."""
    become_child()
    return Follower(read_lines(0), private_answers()).follow()


class Follower:
    """Executes orders one by one and answers each exactly once; after a failure it ends, for the ranks are apart."""

    def __init__(self, orders: "SimpleQueue[bytes]", answers: BinaryIO) -> None:
        self._orders = orders
        self._answers = answers
        self._inputs = Inputs()
        self._session: Session | None = None

    def follow(self) -> int:
        """Follow to the end; return the exit code."""
        while True:
            order = from_line(self._orders.get())
            try:
                answer = self._obey(order)
            except Exception as exc:  # noqa: BLE001 (rank 0 must hear of every failure)
                traceback.print_exc()
                self._answers.write(to_line(_failure(exc)))
                os._exit(1)  # at once: the libraries' own endings may wait for other ranks
            self._answers.write(to_line(answer))
            if isinstance(order, Leave):
                return 0

    def _obey(self, order: object) -> object:
        match order:
            case TakeSeat():
                return self._take_seat(order)
            case Execute():
                return self._execute(order)
            case Report():
                gc.collect()  # between windows; within them it is off, as on rank 0
                return Peak(memory_bytes=self._ready().memory_peak_bytes())
            case Leave():
                if self._session is not None:
                    self._session.close()
                leave()
                return Leave()
            case _:
                raise WorkerError(f"Unknown order {order!r}")

    def _take_seat(self, order: TakeSeat) -> Ready:
        p = order.preparation
        ranks = join(Path(order.folder), Share(rank=order.rank, ranks=order.ranks), torch.device(p.device))
        self._session = Session(p, ranks)
        prepared = self._session.prepare_at(p.tuning, None)
        ranks.limit_waiting()
        gc.collect()
        gc.disable()
        record = prepared.backend
        return Ready(
            record=rank_record(order.rank, record, self._session.power_covers),
            step_bytes=record.weight_bytes,
            kv_bytes=record.kv_bytes_per_token,
        )

    def _execute(self, order: Execute) -> Done:
        session, batch = self._ready(), self._inputs.batch(order)
        if order.outputs:
            forced = order.forced_tokens
            session.outputs(batch, None if forced is None else numpy.array(forced, dtype=numpy.int64))
            return Done(end_ns=time.perf_counter_ns(), tokens=None)
        done = session.run(batch)
        return Done(end_ns=done.end_ns, tokens=session.tokens_checksum())

    def _ready(self) -> Session:
        if self._session is None:
            raise WorkerError("A rank was asked to execute before it had its seat")
        return self._session


def _failure(exc: Exception) -> Failure:
    if isinstance(exc, WattbenchError):
        return failure_of(exc)
    lines = str(exc).strip().splitlines()
    return Failure(kind=type(exc).__name__, what=lines[0] if lines else type(exc).__name__, why="", remedy="")


if __name__ == "__main__":
    sys.exit(main())
