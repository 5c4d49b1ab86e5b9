"""Rank 0 of a load that several ranks execute together: starts the others, leads them, and answers for all."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy
import torch

from wattbench.backends.child_process import ChildProcess
from wattbench.backends.contract import Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.cpu_threads import threads_for
from wattbench.backends.lines import Failure, known_error
from wattbench.backends.torch.compile import CompileError
from wattbench.backends.torch.orders import (
    Done,
    Leave,
    Outbox,
    Peak,
    Ready,
    Report,
    TakeSeat,
    from_line,
    to_line,
)
from wattbench.backends.torch.ranks import COLLECTIVE_TIMEOUT_S, PREPARE_TIMEOUT_S, join, leave
from wattbench.backends.torch.session import Session, rank_record
from wattbench.models.shards import Share
from wattbench.results.errors import DeviceError, WattbenchError, WorkerError
from wattbench.results.subject import BackendRecord

__all__ = ["Team", "rank_preparation"]

T = TypeVar("T")

CAUSE_WAIT_S = 5.0
"""How long a rank that has ended may take to show it, after the others have lost it."""

GRACE_S = 10.0
"""How long rank 0 may go on after another rank has ended: then it hangs in a collective that will never be whole."""

LEAVE_TIMEOUT_S = 20.0


class Team:
    """The ranks of one prepared load; this process is rank 0. It has the calls of a `Session`.

    The first failure ends all ranks, since those that are left wait for one that does not come.
    """

    def __init__(self, preparation: Preparation) -> None:
        self._p = preparation
        self._ranks = len(preparation.devices)
        self._folder: TemporaryDirectory[str] | None = None
        self._followers: list[ChildProcess] = []
        self._ending = threading.Event()
        self._outbox = Outbox()
        self._session = Session(rank_preparation(preparation, 0))

    def prepare(self) -> Prepared:
        """Prepare every rank at the level asked for, or at the first lower one that can be had."""
        self._session.check()
        return self._session.prepare_falling_back(self._prepare_level, self.close)

    def run(self, batch: Batch) -> Completion:
        """Execute a batch on all ranks.

        It starts before the others are told, and ends when the last rank has ended. The tokens' stamps are rank 0's: no
        rank can have a token before all have given their part of it. Raises DeviceError when the ranks wrote different
        tokens.
        """
        start_ns = time.perf_counter_ns()
        with self._together("Execute"):
            self._tell(to_line(self._outbox.execute(batch, outputs=False, forced_tokens=None)))
            done = self._session.run(batch)
            others = self._answers(Done, COLLECTIVE_TIMEOUT_S)
            checksum = self._session.tokens_checksum()
            if any(other.tokens != checksum for other in others):
                why = "each chooses its tokens from the same logits, so one of them computes wrong"
                raise DeviceError("The ranks wrote different tokens", why, "Report this as a bug.")
        return replace(done, start_ns=start_ns, end_ns=max(done.end_ns, *(other.end_ns for other in others)))

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers for request 0 that all ranks have computed together."""
        with self._together("Execute"):
            self._tell(to_line(self._outbox.execute(batch, outputs=True, forced_tokens=forced_tokens)))
            found = self._session.outputs(batch, forced_tokens)
            self._answers(Done, COLLECTIVE_TIMEOUT_S)
        return found

    def memory_peak_bytes(self) -> int | None:
        """Return the sum of the ranks' peaks in bytes, None when one of them is unknown."""
        with self._together("Report"):
            self._tell(to_line(Report()))
            others = self._answers(Peak, COLLECTIVE_TIMEOUT_S)
        return _sum([self._session.memory_peak_bytes(), *(other.memory_bytes for other in others)])

    def close(self) -> None:
        """Let every rank end; safe to call twice and after a failure."""
        if self._followers and not self._ending.is_set():
            self._ending.set()
            with contextlib.suppress(WattbenchError):
                self._tell(to_line(Leave()))
                self._session.close()
                leave()
                self._answers(Leave, LEAVE_TIMEOUT_S)
        self._session.close()
        self._end()

    def _prepare_level(self, level: str, reason: str | None) -> Prepared:
        """Start the ranks anew and prepare each at a level. Raises CompileError when one of them cannot have it."""
        self._ending = threading.Event()
        self._folder = TemporaryDirectory(prefix="wattbench-ranks-")
        p = replace(self._p, tuning=level)
        with self._together("TakeSeat"):
            for rank in range(1, self._ranks):
                self._start(TakeSeat(rank=rank, ranks=self._ranks, folder=self._folder.name, preparation=p))
            own = rank_preparation(p, 0)
            share = Share(rank=0, ranks=self._ranks)
            ranks = join(Path(self._folder.name), share, torch.device(own.device))
            self._session = Session(own, ranks)
            prepared = self._session.prepare_at(level, reason)
            others = self._answers(Ready, PREPARE_TIMEOUT_S)
            ranks.limit_waiting()
        own_record = rank_record(0, prepared.backend, self._session.power_covers)
        record = _joint_record(self._p, prepared.backend, own_record.rank, others)
        record = replace(record, ranks=(own_record, *(other.record for other in others)))
        return replace(
            prepared, backend=replace(record, tuning=f"{record.tuning}; {_words(self._ranks, ranks.library)}")
        )

    def _start(self, seat: TakeSeat) -> None:
        own = rank_preparation(seat.preparation, seat.rank)
        name = f"The process of rank {seat.rank} of {self._ranks} ({own.device})"
        follower = ChildProcess("wattbench.backends.torch.follower", name)
        self._followers.append(follower)
        threading.Thread(target=_watch, args=(follower, self._ending), name=f"rank {seat.rank}", daemon=True).start()
        follower.write(to_line(replace(seat, preparation=own)))

    def _tell(self, line: bytes) -> None:
        for follower in self._followers:
            follower.write(line)

    def _answers(self, expected: type[T], timeout_s: float) -> list[T]:
        """Return every other rank's answer. Raises what a rank raised, or the error that says how it died."""
        found = []
        for follower in self._followers:
            answer = from_line(follower.read_line(timeout_s, expected.__name__))
            if isinstance(answer, Failure):
                raise _as_error(answer, follower.name)
            if not isinstance(answer, expected):
                raise WorkerError(f"{follower.name} answered something else", repr(answer)[:200])
            found.append(answer)
        return found

    @contextmanager
    def _together(self, what: str) -> Iterator[None]:
        """Do something on all ranks; whatever goes wrong ends them, and what ended another rank first is told."""
        if not self._followers and what != "TakeSeat":
            raise DeviceError("The ranks are not prepared", "they were closed, or one of them has failed")
        try:
            yield
        except (WattbenchError, CompileError):
            self._end()
            raise
        except Exception as exc:
            cause = self._cause()
            self._end()
            if cause is None and not _is_lost(exc):
                raise
            raise cause or _hanging(exc, what) from exc

    def _cause(self) -> Exception | None:
        """Return why another rank has ended, or None when all are there; one that ends now is waited for."""
        until_s = time.monotonic() + CAUSE_WAIT_S
        while time.monotonic() < until_s:
            for follower in self._followers:
                if not follower.alive:
                    return _last_answer(follower)
            time.sleep(0.05)
        return None

    def _end(self) -> None:
        """End every other rank at once and forget it; safe to call twice."""
        self._ending.set()
        for follower in self._followers:
            follower.kill()
            follower.close_log()
        self._followers = []
        with contextlib.suppress(RuntimeError):  # of a group that has lost a rank
            leave()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def rank_preparation(p: Preparation, rank: int) -> Preparation:
    """Return what one rank prepares: its device, and on a CPU its part of the threads and processors."""
    device, ranks = p.devices[rank], len(p.devices)
    if device.partition(":")[0] != "cpu":
        return replace(p, device=device)
    every = p.affinity
    part = None if every is None else every[len(every) * rank // ranks : len(every) * (rank + 1) // ranks]
    return replace(p, device=device, affinity=part, threads=max(1, threads_for(p.threads, every) // ranks))


def _watch(follower: ChildProcess, ending: threading.Event) -> None:
    """End this process, with last words, when a rank has ended and rank 0 does not notice: it waits in a collective."""
    follower.wait()
    if not ending.wait(GRACE_S):
        sys.stderr.write(f"{follower.log_tail()}\n{_last_answer(follower)}\n".replace("\n\n", "\n"))
        sys.stderr.flush()
        os._exit(1)


def _last_answer(follower: ChildProcess) -> Exception:
    """Return what a rank that has ended said last, or how it died."""
    try:
        while True:
            answer = from_line(follower.read_line(1.0, "its last order"))
            if isinstance(answer, Failure):
                return _as_error(answer, follower.name)
    except WattbenchError as exc:
        return exc


def _as_error(failure: Failure, who: str) -> Exception:
    """Return another rank's failure as the error that it was, with the rank's name in it."""
    if failure.kind == CompileError.__name__:
        return CompileError(failure.what)
    known = known_error(failure.kind)
    if known is not None:
        return known(f"{who} failed: {failure.what}", failure.why, failure.remedy)
    return WorkerError(f"{who} failed", f"{failure.kind}: {failure.what}", "Run again with --debug to see its output.")


def _is_lost(exc: Exception) -> bool:
    """Return whether an exception is a collective's: gloo's are plain RuntimeErrors that name its source files."""
    return isinstance(exc, torch.distributed.DistError) or (isinstance(exc, RuntimeError) and "gloo" in str(exc))


def _hanging(exc: Exception, what: str) -> WorkerError:
    lines = str(exc).strip().splitlines()
    why = f"all of them live, and one did not take part in {what}: {lines[0] if lines else type(exc).__name__}"
    return WorkerError("The ranks have lost each other", why[:500], "Is one of the devices hung?")


def _joint_record(p: Preparation, own: BackendRecord, rank: int, others: list[Ready]) -> BackendRecord:
    """Return rank 0's record as that of all ranks together: sums of what each has, its own words of what is alike."""
    cpu = own.threads is not None
    peak = _sum([own.memory_peak_bytes, *(other.record.memory_peak_bytes for other in others)])
    return replace(
        own,
        threads=own.threads * (1 + len(others)) if own.threads is not None else None,
        affinity=tuple(sorted(p.affinity)) if cpu and p.affinity is not None else own.affinity,
        weight_bytes=_sum([own.weight_bytes, *(other.step_bytes for other in others)]),
        kv_bytes_per_token=_sum([own.kv_bytes_per_token, *(other.kv_bytes for other in others)]),
        memory_peak_bytes=peak,
        memory_source=f"{own.memory_source}, added over the ranks",
        placement=f"{own.placement} of rank {rank}; the same was checked on every rank",
        synchronisation=f"{own.synchronisation}; an execution ends when the last rank has ended",
    )


def _words(ranks: int, library: str) -> str:
    return f"tensor parallel over {ranks} ranks, sums by {library}"


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
