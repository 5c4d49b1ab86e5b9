"""Several processes that serve one schedule together: each has its calls from the start, and they share nothing."""

import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy

from wattbench.backends.endpoint.loop import Loop
from wattbench.backends.endpoint.loop_records import Log, Peer
from wattbench.backends.endpoint.reaching import tls_context
from wattbench.backends.endpoint.target import Target
from wattbench.backends.serving import become_child, private_answers
from wattbench.backends.traffic import NONE, Schedule
from wattbench.results.errors import WorkerError

__all__ = ["Crew", "Share", "shares"]

START_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a schedule that one process has, and which calls of the whole these are."""

    schedule: Schedule
    calls: tuple[int, ...]


def shares(schedule: Schedule, workers: int) -> list[Share]:
    """Return each process's share: chain i goes to process i mod n, and so do the places of a closed loop."""
    chain: list[int] = []
    for call, after in enumerate(schedule.after.tolist()):
        chain.append(call if after == NONE else chain[after])
    numbers = {root: number for number, root in enumerate(dict.fromkeys(chain))}
    owners = numpy.array([numbers[root] for root in chain], dtype=numpy.int64)
    count = min(workers, len(numbers), schedule.in_flight_max or workers)
    return [_share(schedule, numpy.flatnonzero(owners % count == part), part, count) for part in range(count)]


def _share(schedule: Schedule, calls: numpy.ndarray, part: int, count: int) -> Share:
    place = numpy.full(len(schedule), NONE, dtype=numpy.int64)
    place[calls] = numpy.arange(len(calls))
    columns = {name: column[calls] for name, column in schedule.columns.items()}
    after = columns["after"]
    columns["after"] = numpy.where(after == NONE, NONE, place[after])
    limit = schedule.in_flight_max
    mine = None if limit is None else limit // count + (part < limit % count)
    return Share(replace(schedule, in_flight_max=mine, **columns), tuple(calls.tolist()))


class Crew:
    """The processes, started and ready; `run` lets them begin together. Use as a context."""

    def __init__(self, peer: Peer, target: Target, schedule: Schedule, requests: Sequence[bytes], workers: int) -> None:
        self._shares = shares(schedule, workers)
        command = [sys.executable, "-P", "-m", "wattbench.backends.endpoint.crew"]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in self._shares
        ]
        for process, share in zip(self._processes, self._shares, strict=True):
            mine = [requests[call] for call in share.calls]
            _put(process.stdin, (replace(peer, context=None), target, share.schedule, mine))

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *failure: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def run(self) -> list[Log]:
        """Begin together and return what each process saw, its calls numbered as in the whole schedule.

        Raises WorkerError when one of them died.
        """
        for process in self._processes:
            _take(process.stdout)
        start_ns = time.perf_counter_ns() + START_NS
        for process in self._processes:
            _put(process.stdin, start_ns)
        logs: list[Log] = []
        for process, share in zip(self._processes, self._shares, strict=True):
            log = _take(process.stdout)
            for call in log.calls:
                call.index = share.calls[call.index]
            logs.append(log)
        return logs


def _put(pipe: IO[bytes] | None, value: object) -> None:
    assert pipe is not None
    try:
        pickle.dump(value, pipe)
        pipe.flush()
    except OSError as exc:
        raise WorkerError("A process of the load generator died", exc.strerror or str(exc), "Try again.") from exc


def _take(pipe: IO[bytes] | None) -> Any:  # any: what that process pickled
    assert pipe is not None
    try:
        return pickle.load(pipe)
    except (EOFError, pickle.UnpicklingError) as exc:
        raise WorkerError("A process of the load generator died", "it ended without an answer", "Try again.") from exc


def main() -> int:
    """Serve one share: read it, say when ready, begin at the common start, answer with what was seen."""
    become_child()
    answers = private_answers()
    peer, target, schedule, requests = pickle.load(sys.stdin.buffer)
    loop = Loop(replace(peer, context=tls_context(target)), schedule, requests)
    loop.make_ready()
    pickle.dump("ready", answers)
    pickle.dump(loop.run(pickle.load(sys.stdin.buffer)), answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
