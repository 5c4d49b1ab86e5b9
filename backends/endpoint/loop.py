"""The client's loop: sends the calls of a schedule when they are due, stamps what arrives, and reads it when idle."""

import contextlib
import gc
import heapq
import select
import ssl
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns

from wattbench.backends.endpoint.answer import Answer, read_answer
from wattbench.backends.endpoint.connection import Address, Connection
from wattbench.backends.endpoint.reply import HttpError, Reply
from wattbench.backends.endpoint.stamps import Alignment, align
from wattbench.backends.endpoint.timer import Timer
from wattbench.backends.traffic import NONE, Schedule
from wattbench.results.traffic import ErrorKind

__all__ = ["Call", "Log", "Loop", "Peer"]

UNREAD_MAX_BYTES = 32 * 2**20
"""So much may wait for an idle moment to be read; beyond it, it is read at once."""

SPIN_NS = 100_000
"""The last stretch before a call is due is spun: waking up takes about this long."""

EVENTS_MAX = 256
NO_STAMPS = array("q")
CONNECT_TIMEOUT_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Peer:
    """The server as the loop needs it: its resolved address, TLS, and what one call may take."""

    address: Address
    host: str
    context: ssl.SSLContext | None
    stream: bool
    timeout_ns: int
    keep_text: bool = False


@dataclass(slots=True)
class Call:
    """One call that was sent; times are `perf_counter_ns`, `answer` is read when the answer is whole."""

    index: int
    planned_ns: int
    free_ns: int
    start_ns: int = 0
    end_ns: int = 0
    fresh: bool = False
    reply: Reply | None = field(default_factory=Reply)
    answer: Answer | None = None
    kernel_ns: "array[int]" = field(default_factory=lambda: NO_STAMPS)
    user_ns: "array[int]" = field(default_factory=lambda: NO_STAMPS)
    answer_at: int = NONE
    end_kernel_ns: int = 0


@dataclass(slots=True)
class Log:
    """Everything that a loop saw; `lags` has two numbers a read: the kernel's stamp, not aligned, and our own."""

    calls: list[Call]
    start_ns: int
    end_ns: int
    before: Alignment
    after: Alignment
    opened: int
    peak: int
    lags: "array[int]"


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
        self._epoll = select.epoll()
        self._timer = Timer()
        if self._timer.descriptor is not None:
            self._epoll.register(self._timer.descriptor, select.EPOLLIN)
        self._by_fd: dict[int, Connection] = {}
        self._busy: dict[int, Call] = {}
        self._idle: list[Connection] = []
        self._unread: deque[Call] = deque()
        self._unread_bytes = 0
        self._late: list[tuple[int, int]] = []
        self._waiting: deque[tuple[int, int]] = deque()
        self._deadlines: deque[tuple[int, int]] = deque()
        self._calls: list[Call] = []
        self._lags = array("q")
        self._next = self._opened = self._peak = self._origin = self._place_free = 0
        self._stopped = self._queued = False

    def connect(self, count: int) -> None:
        """Open connections before the window, and wait for them; those that fail are left out."""
        until = perf_counter_ns() + CONNECT_TIMEOUT_NS
        for _ in range(count):
            with contextlib.suppress(OSError):
                self._open()
        while any(not c.ready for c in self._by_fd.values()) and perf_counter_ns() < until:
            for fd, event in self._epoll.poll(0.1, EVENTS_MAX):
                connection = self._by_fd.get(fd)
                if connection is None:
                    continue
                try:
                    self._go_on(connection, event)
                except BlockingIOError:
                    pass
                except OSError:
                    self._drop(connection)
        for connection in [c for c in self._by_fd.values() if not c.ready]:
            self._drop(connection)
        self._idle = list(self._by_fd.values())

    def run(self, start_ns: int) -> Log:
        """Send everything from `start_ns` on and return when all has ended; Ctrl-C ends it early with what there is."""
        before = align()
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._origin = start_ns
            self._turn()
        except KeyboardInterrupt:
            self._give_up(perf_counter_ns(), "the run was interrupted")
        finally:
            gc.enable()
            gc.unfreeze()
            end_ns = perf_counter_ns()
            self._close()
        while self._unread:
            self._read_one()
        return Log(self._calls, start_ns, end_ns, before, align(), self._opened, max(self._peak, 0), self._lags)

    def _turn(self) -> None:
        """Go round until nothing is to come: wait, stamp, send, and read answers while there is nothing else."""
        poll, timer_fd = self._epoll.poll, self._timer.descriptor
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
                seconds = -1.0 if timer_fd is not None else max(0.0, (wake - SPIN_NS - now) / 1e9)
            events = poll(seconds, EVENTS_MAX)
            if not events and self._unread:
                self._read_one()
            for fd, event in events:
                if fd == timer_fd:
                    self._timer.fired()
                else:
                    self._serve(self._by_fd.get(fd), event)
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
                self._send(index, due, max(due, self._place_free) if self._queued else due)
            self._queued = bool(self._waiting)
            return
        while self._next < len(self._first) and (limit is None or len(self._busy) < limit):
            index = self._first[self._next]
            due = self._origin + self._due[index]
            if due > now:
                return
            self._next += 1
            free = max(due, self._place_free)
            self._send(index, free, free)

    def _send(self, index: int, planned_ns: int, free_ns: int) -> None:
        call = Call(index, planned_ns, free_ns)
        self._calls.append(call)
        try:
            if self._idle:
                connection = self._idle.pop()
            else:
                connection = self._open()
                call.fresh = True
            connection.reply_to = len(self._calls) - 1
            self._busy[connection.sock.fileno()] = call
            self._peak = max(self._peak, len(self._busy))
            call.start_ns = perf_counter_ns()
            self._deadlines.append((call.start_ns + self._peer.timeout_ns, len(self._calls) - 1))
            connection.write(self._requests[index])
            if connection.wants_write and connection.ready:
                self._epoll.modify(connection.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        except OSError as exc:
            call.start_ns = call.start_ns or perf_counter_ns()
            connection_or_none = next((c for c in self._by_fd.values() if c.reply_to == len(self._calls) - 1), None)
            self._fail(connection_or_none, call, "unreachable", _words(exc))

    def _open(self) -> Connection:
        connection = Connection(self._peer.address, self._peer.context, self._peer.host)
        fd = connection.sock.fileno()
        self._by_fd[fd] = connection
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLOUT)
        self._opened += 1
        return connection

    def _go_on(self, connection: Connection, event: int) -> None:
        """Let a connection that is not ready, or has something to send, go on."""
        if event & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP) and connection.wants_write:
            if connection.ready:
                connection.writable()
            else:
                connection.connected()
        elif event & select.EPOLLIN and not connection.ready:
            connection.read()
        writing = select.EPOLLOUT if connection.wants_write else 0
        self._epoll.modify(connection.sock.fileno(), select.EPOLLIN | writing)

    def _serve(self, connection: Connection | None, event: int) -> None:
        """Take what one connection has to say."""
        if connection is None:
            return
        call = self._busy.get(connection.sock.fileno())
        try:
            if connection.wants_write or not connection.ready:
                self._go_on(connection, event)
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
            self._drop(connection)
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
            self._lags.append(stamp)
            self._lags.append(now)
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
            self._drop(connection)
            return
        self._fail(connection, call, kind, words)

    def _fail(self, connection: Connection | None, call: Call, kind: ErrorKind, words: str) -> None:
        call.end_ns = perf_counter_ns()
        call.answer = Answer(error=words, error_kind=kind)
        if connection is not None:
            self._place(connection, False)
        self._later(call, whole=False)
        self._after(call)

    def _place(self, connection: Connection, keeps_open: bool) -> None:
        self._busy.pop(connection.sock.fileno(), None)
        connection.reply_to = -1
        if keeps_open:
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _after(self, call: Call) -> None:
        """Let the calls that wait for this one, or for its place, go out."""
        self._place_free = call.end_ns
        if self._stopped:
            return
        for follower in self._followers.get(call.index, ()):
            due = max(self._origin + self._due[follower], call.end_ns + self._pauses[follower])
            heapq.heappush(self._late, (due, follower))
        self._send_due(perf_counter_ns())

    def _drop(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        if fd >= 0:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)
            self._by_fd.pop(fd, None)
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()

    def _time_out(self, now: int) -> None:
        """Give up the calls that took too long; deadlines are in the order of the starts."""
        while self._deadlines and (self._deadlines[0][0] <= now or self._calls[self._deadlines[0][1]].end_ns):
            _, place = self._deadlines.popleft()
            call = self._calls[place]
            if not call.end_ns:
                connection = next((c for c in self._by_fd.values() if c.reply_to == place), None)
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
        for connection in list(self._by_fd.values()):
            connection.close()
        self._by_fd.clear()
        self._timer.close()
        self._epoll.close()


def _words(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted: {exc.verify_message}"
    return exc.strerror or str(exc) or type(exc).__name__
