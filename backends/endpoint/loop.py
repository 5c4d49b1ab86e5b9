"""The client's loop: sends the calls of a schedule when they are due, stamps what arrives, and reads it when idle."""

import errno
import gc
import heapq
import select
import ssl
from array import array
from collections import deque
from collections.abc import Sequence
from time import perf_counter_ns

from wattbench.backends.client_health import cost_since, look
from wattbench.backends.endpoint.answer import Answer, read_answer
from wattbench.backends.endpoint.connection import Connection
from wattbench.backends.endpoint.loop_records import Call, Log, Peer
from wattbench.backends.endpoint.pool import Pool
from wattbench.backends.endpoint.reply import HttpError
from wattbench.backends.endpoint.stamps import align
from wattbench.backends.endpoint.timer import Timer
from wattbench.backends.traffic import NONE, Schedule
from wattbench.results.traffic import ErrorKind

__all__ = ["Loop"]

UNREAD_MAX_BYTES = 32 * 2**20
"""So much may wait for an idle moment to be read; beyond it, it is read at once."""

SPIN_NS = 100_000
"""The last stretch before a call is due is spun: waking up takes about this long."""

MISSED_S = 0.001
"""So long after its time nobody waits for the timer any more: kernels were seen to lose one that was set too late."""

EVENTS_MAX = 256
CONNECT_TIMEOUT_S = 10.0
OPENED_MAX = 4096
"""So many connections are opened before a window; the others when they are needed."""


OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
"""Reasons not to connect that lie on this side: no descriptor, port or memory is left."""


class Loop:
    """One window of one process: made ready before, then `run` once."""

    def __init__(self, peer: Peer, schedule: Schedule, requests: Sequence[bytes]) -> None:
        self._peer, self._schedule, self._requests = peer, schedule, requests
        self._due = schedule.due_ns.tolist()
        self._first = [i for i, after in enumerate(schedule.after.tolist()) if after == NONE]
        self._followers: dict[int, list[int]] = {}
        for i, after in enumerate(schedule.after.tolist()):
            if after != NONE:
                self._followers.setdefault(after, []).append(i)
        self._pauses = schedule.pause_ns.tolist()
        self._pool = Pool(peer)
        self._timer = Timer()
        if self._timer.descriptor is not None:
            self._pool.epoll.register(self._timer.descriptor, select.EPOLLIN)
        self._busy: dict[int, Call] = {}
        self._unread: deque[Call] = deque()
        self._unread_bytes = 0
        self._late: list[tuple[int, int]] = []
        self._waiting: deque[tuple[int, int]] = deque()
        self._deadlines: deque[tuple[int, int]] = deque()
        self._calls: list[Call] = []
        self._lags = array("q")
        self._next = self._peak = self._origin = self._place_free = 0
        self._stopped = self._queued = False

    def make_ready(self) -> None:
        """Do what would cost time within the window: open connections where one outlives a call, collect garbage."""
        limit = self._schedule.in_flight_max
        if limit is not None and self._peer.reuses:
            self._pool.fill(min(limit, len(self._schedule), OPENED_MAX), CONNECT_TIMEOUT_S)
        gc.collect()

    def run(self, start_ns: int) -> Log:
        """Send everything from `start_ns` on and return when all has ended; Ctrl-C ends it early with what there is."""
        cost, before = look(), align()
        gc.disable()
        try:
            self._origin = start_ns
            self._turn()
        except KeyboardInterrupt:
            self._give_up(perf_counter_ns(), "the run was interrupted")
        finally:
            gc.enable()
            end_ns = perf_counter_ns()
            self._close()
        while self._unread:
            self._read_one()
        return Log(
            calls=self._calls,
            start_ns=start_ns,
            end_ns=end_ns,
            before=before,
            after=align(),
            opened=self._pool.opened,
            peak=self._peak,
            lags=self._lags,
            cost=cost_since(cost),
        )

    def _turn(self) -> None:
        """Go round until nothing is to come: wait, stamp, send, and read answers while there is nothing else."""
        poll, timer_fd = self._pool.epoll.poll, self._timer.descriptor
        give_up = self._schedule.give_up_ns
        give_up_at = None if give_up is None else self._origin + give_up
        while self._more():
            now = perf_counter_ns()
            if give_up_at is not None and now >= give_up_at:
                self._give_up(now, "it was in progress when the window's deadline came")
                return
            self._send_due(now)
            self._time_out(now)
            wake = self._wake(now, give_up_at)
            self._timer.set(None if wake is None else wake - SPIN_NS)
            if self._unread or (wake is not None and wake - now <= SPIN_NS):
                seconds = 0.0
            elif wake is None:
                seconds = -1.0
            else:
                seconds = max(0.0, (wake - SPIN_NS - now) / 1e9) + (MISSED_S if timer_fd is not None else 0.0)
            events = poll(seconds, EVENTS_MAX)
            if not events and self._unread:
                self._read_one()
            for fd, event in events:
                if fd == timer_fd:
                    self._timer.fired()
                else:
                    self._serve(self._pool.find(fd), event)
                if wake is not None and perf_counter_ns() >= wake:
                    self._send_due(perf_counter_ns())
                    wake = None
            while self._unread_bytes > UNREAD_MAX_BYTES:
                self._read_one()

    def _more(self) -> bool:
        if self._busy:
            return True
        return not self._stopped and (self._next < len(self._first) or bool(self._late) or bool(self._waiting))

    def _wake(self, now: int, give_up_at: int | None) -> int | None:
        """Return when there will be something to do although nothing arrives; what is due and has no place can wait."""
        times = [self._deadlines[0][0]] if self._deadlines else []
        if not self._stopped:
            if self._next < len(self._first) and (due := self._origin + self._due[self._first[self._next]]) > now:
                times.append(due)
            if self._late:
                times.append(self._late[0][0])
            if (until := self._schedule.issue_until_ns) is not None:
                times.append(self._origin + until)
        if give_up_at is not None:
            times.append(give_up_at)
        return min(times, default=None)

    def _send_due(self, now: int) -> None:
        """Send what is due and has a place."""
        until = self._schedule.issue_until_ns
        if until is not None and now >= self._origin + until and not self._stopped:
            self._stopped = True
            self._waiting.clear()
            self._late.clear()
            self._next = len(self._first)
        limit = self._schedule.in_flight_max
        if self._schedule.open_loop or self._followers:
            while self._next < len(self._first) and self._origin + self._due[self._first[self._next]] <= now:
                index = self._first[self._next]
                self._waiting.append((index, self._origin + self._due[index]))
                self._next += 1
            while self._late and self._late[0][0] <= now:
                due, index = heapq.heappop(self._late)
                self._waiting.append((index, due))
            while self._waiting and (limit is None or len(self._busy) < limit):
                index, due = self._waiting.popleft()
                if not self._send(index, due, max(due, self._place_free) if self._queued else due):
                    break
            self._queued = bool(self._waiting)
            return
        while self._next < len(self._first) and (limit is None or len(self._busy) < limit):
            index = self._first[self._next]
            due = self._origin + self._due[index]
            if due > now or not self._query_fits(index):
                return
            self._next += 1
            free = max(due, self._place_free)
            if not self._send(index, free, free):
                return

    def _query_fits(self, index: int) -> bool:
        """Return whether a query has all of its places when its first call comes; its others follow at once."""
        size, limit = self._schedule.query_size, self._schedule.in_flight_max
        return limit is None or index % size > 0 or limit - len(self._busy) >= size

    def _send(self, index: int, planned_ns: int, free_ns: int) -> bool:
        """Return whether a call went out; one that could not is unread, so that the next turn follows at once."""
        call = Call(index, planned_ns, free_ns)
        self._calls.append(call)
        try:
            connection, call.fresh = self._pool.take()
            connection.reply_to = len(self._calls) - 1
            self._busy[connection.sock.fileno()] = call
            self._peak = max(self._peak, len(self._busy))
            call.start_ns = perf_counter_ns()
            self._deadlines.append((call.start_ns + self._peer.timeout_ns, len(self._calls) - 1))
            connection.write(self._requests[index])
            if connection.wants_write and connection.ready:
                self._pool.watch(connection)
        except OSError as exc:
            call.start_ns = call.start_ns or perf_counter_ns()
            self._lose(self._pool.replying_to(len(self._calls) - 1), call, _kind(exc), _words(exc))
            return False
        return True

    def _serve(self, connection: Connection | None, event: int) -> None:
        """Take what one connection has to say."""
        if connection is None:
            return
        call = self._busy.get(connection.sock.fileno())
        try:
            if connection.wants_write or not connection.ready:
                self._pool.go_on(connection, event)
                if not event & select.EPOLLIN:
                    return
            data, stamp = connection.read()
        except BlockingIOError:
            return
        except OSError as exc:
            kind: ErrorKind = (
                "truncated" if call is not None and call.reply is not None and call.reply.ends else "unreachable"
            )
            self._broken(connection, call, kind, _words(exc))
            return
        now = perf_counter_ns()
        if call is None:  # idle: the server closed it, or speaks without being asked
            self._pool.drop(connection)
            return
        assert call.reply is not None
        if not data:
            if call.reply.closed():
                self._end(connection, call)
            else:
                so_far = "in the middle of the answer" if call.reply.ends else "without an answer"
                self._broken(connection, call, "truncated", f"the server closed the connection {so_far}")
            return
        try:
            whole = call.reply.take(data, stamp, now)
        except HttpError as exc:
            self._broken(connection, call, "malformed", f"the answer is not HTTP: {exc}")
            return
        if stamp:
            self._lags.append(now - stamp)
        if whole:
            self._end(connection, call)

    def _end(self, connection: Connection, call: Call) -> None:
        """Note that an answer is whole, give its place to the next call, and read it later."""
        reply = call.reply
        assert reply is not None
        call.end_ns = reply.user_ns[-1]
        self._place(connection, reply.keeps_open)
        self._later(call, whole=True)
        self._after(call)

    def _broken(self, connection: Connection, call: Call | None, kind: ErrorKind, words: str) -> None:
        if call is None:
            self._pool.drop(connection)
            return
        self._fail(connection, call, kind, words)

    def _fail(self, connection: Connection | None, call: Call, kind: ErrorKind, words: str) -> None:
        self._lose(connection, call, kind, words)
        if not self._stopped:
            self._send_due(perf_counter_ns())

    def _lose(self, connection: Connection | None, call: Call, kind: ErrorKind, words: str) -> None:
        """Note that a call failed, and send nothing yet."""
        call.end_ns = perf_counter_ns()
        call.answer = Answer(error=words, error_kind=kind)
        if connection is not None:
            self._place(connection, False)
        self._later(call, whole=False)
        self._free(call)

    def _place(self, connection: Connection, keeps_open: bool) -> None:
        self._busy.pop(connection.sock.fileno(), None)
        connection.reply_to = -1
        if keeps_open and self._peer.reuses:
            self._pool.warm(connection)
        else:
            self._pool.drop(connection)

    def _after(self, call: Call) -> None:
        """Let the calls that wait for this one, or for its place, go out."""
        self._free(call)
        if not self._stopped:
            self._send_due(perf_counter_ns())

    def _free(self, call: Call) -> None:
        """Note that a call's place is free, and when those that wait for it are due."""
        self._place_free = call.end_ns
        if self._stopped:
            return
        for follower in self._followers.get(call.index, ()):
            due = max(self._origin + self._due[follower], call.end_ns + self._pauses[follower])
            heapq.heappush(self._late, (due, follower))

    def _time_out(self, now: int) -> None:
        """Give up the calls that took too long; deadlines are in the order of the starts."""
        while self._deadlines and (self._deadlines[0][0] <= now or self._calls[self._deadlines[0][1]].end_ns):
            _, place = self._deadlines.popleft()
            call = self._calls[place]
            if not call.end_ns:
                connection = self._pool.replying_to(place)
                self._fail(connection, call, "timeout", f"no end after {self._peer.timeout_ns / 1e9:g} s")

    def _give_up(self, now: int, why: str) -> None:
        self._stopped = True
        for call in list(self._busy.values()):
            if not call.end_ns:
                call.end_ns = now
                call.answer = Answer(error=why, error_kind="gave_up")
                self._later(call, whole=False)
        self._busy.clear()

    def _later(self, call: Call, *, whole: bool) -> None:
        assert call.reply is not None
        self._unread.append(call)
        self._unread_bytes += len(call.reply.data)

    def _read_one(self) -> None:
        """Read one answer, and keep of its bytes only the stamps of its tokens."""
        call = self._unread.popleft()
        reply, call.reply = call.reply, None
        assert reply is not None
        self._unread_bytes -= len(reply.data)
        failed = call.answer
        answer = failed or Answer()
        if reply.head_end:
            try:
                read = read_answer(
                    reply, stream=self._peer.stream, whole=failed is None, keep_text=self._peer.keep_text
                )
            except HttpError as exc:
                read = Answer(error=f"the answer is not HTTP: {exc}", error_kind="malformed")
            if failed is not None:
                read.error, read.error_kind = failed.error, failed.error_kind
            answer = read
        call.answer = answer
        call.kernel_ns = array("q", [reply.kernel_ns[i] for i in answer.reads])
        call.user_ns = array("q", [reply.user_ns[i] for i in answer.reads])
        call.answer_at = NONE if answer.first_answer is None else answer.first_answer
        call.end_kernel_ns = reply.kernel_ns[-1] if reply.kernel_ns and failed is None else 0
        answer.reads = []

    def _close(self) -> None:
        self._timer.close()
        self._pool.close()


def _kind(exc: OSError) -> ErrorKind:
    return "client_limit" if exc.errno in OWN_LIMITS else "unreachable"


def _words(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted: {exc.verify_message}"
    return exc.strerror or str(exc) or type(exc).__name__
