"""The connections of one process: opened when they are needed or before, watched by one epoll, reused when idle."""

import contextlib
import resource
import select

from wattbench.backends.endpoint.connection import Connection
from wattbench.backends.endpoint.loop_records import Peer

__all__ = ["Pool", "allow_descriptors"]

LOOK_S = 0.1


class Pool:
    """The connections to one server. `opened` counts all that were ever opened, `epoll` watches those that are open."""

    def __init__(self, peer: Peer) -> None:
        allow_descriptors()
        self.epoll = select.epoll()
        self.opened = 0
        self._peer = peer
        self._by_fd: dict[int, Connection] = {}
        self._idle: list[Connection] = []

    def find(self, descriptor: int) -> Connection | None:
        """Return the connection of a descriptor that has something to say."""
        return self._by_fd.get(descriptor)

    def replying_to(self, place: int) -> Connection | None:
        """Return the connection that a call of the log is in progress on."""
        return next((connection for connection in self._by_fd.values() if connection.reply_to == place), None)

    def warm(self, ready: Connection) -> None:
        """Take back a connection that can be used again."""
        self._idle.append(ready)

    def take(self) -> tuple[Connection, bool]:
        """Return an idle connection, or a new one; and whether it is new. Raises OSError when none can be opened."""
        return (self._idle.pop(), False) if self._idle else (self.open(), True)

    def open(self) -> Connection:
        """Begin to open a connection."""
        connection = Connection(self._peer.address, self._peer.context, self._peer.host)
        descriptor = connection.sock.fileno()
        self._by_fd[descriptor] = connection
        self.epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT)
        self.opened += 1
        return connection

    def go_on(self, connection: Connection, event: int) -> None:
        """Let a connection that is not ready, or has something to send, go on. Raises OSError when it is broken."""
        if event & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP) and connection.wants_write:
            if connection.ready:
                connection.writable()
            else:
                connection.connected()
        elif event & select.EPOLLIN and not connection.ready:
            connection.read()
        self.watch(connection)

    def watch(self, connection: Connection) -> None:
        """Watch a connection for what it waits for."""
        writing = select.EPOLLOUT if connection.wants_write else 0
        self.epoll.modify(connection.sock.fileno(), select.EPOLLIN | writing)

    def fill(self, count: int, wait_s: float) -> None:
        """Open connections and wait for them, at most `wait_s`; those that fail are left out."""
        for _ in range(count):
            with contextlib.suppress(OSError):
                self.open()
        looks = round(wait_s / LOOK_S)
        while looks > 0 and any(not connection.ready for connection in self._by_fd.values()):
            looks -= 1
            for descriptor, event in self.epoll.poll(LOOK_S, count + 1):
                connection = self._by_fd.get(descriptor)
                if connection is None:
                    continue
                try:
                    self.go_on(connection, event)
                except BlockingIOError:
                    pass
                except OSError:
                    self.drop(connection)
        for connection in [c for c in self._by_fd.values() if not c.ready]:
            self.drop(connection)
        self._idle = list(self._by_fd.values())

    def drop(self, connection: Connection) -> None:
        """Close a connection; safe to call twice."""
        descriptor = connection.sock.fileno()
        if descriptor >= 0:
            with contextlib.suppress(OSError, ValueError):
                self.epoll.unregister(descriptor)
            self._by_fd.pop(descriptor, None)
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._by_fd.values()):
            connection.close()
        self._by_fd.clear()
        self._idle.clear()
        self.epoll.close()


def allow_descriptors() -> None:
    """Let this process open as many files as its hard limit says: the usual soft limit, 1024, is made for select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # a system may refuse what its own hard limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
