"""One connection to the server: non-blocking, with kernel stamps, encrypted where the address says so."""

import contextlib
import os
import socket
import ssl

from wattbench.backends.endpoint.stamps import ANCILLARY_BYTES, ask_for_stamps, kernel_ns

__all__ = ["READ_BYTES", "Address", "Connection"]

READ_BYTES = 65_536
Address = tuple[int, tuple[object, ...]]
"""The address family and the address of a server, as the resolver gave them."""


class Connection:
    """A socket that is connecting, idle or busy. `wants_write` says that it waits for room to send.

    Nothing blocks; `connected`, `write`, `writable` and `read` raise OSError (ssl.SSLError is one) when it is broken.
    """

    __slots__ = ("_connecting", "_in", "_out", "_plain", "_raw", "_session", "ready", "reply_to", "sock", "wants_write")

    def __init__(self, address: Address, context: ssl.SSLContext | None, host: str) -> None:
        family, place = address
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_for_stamps(self.sock)
        self.reply_to = -1
        self.ready = False
        self.wants_write = self._connecting = True
        self._plain = self._raw = b""
        self._session: ssl.SSLObject | None = None
        if context is not None:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._session = context.wrap_bio(self._in, self._out, server_hostname=host)
        with contextlib.suppress(BlockingIOError):
            self.sock.connect(place)

    def connected(self) -> None:
        """Go on once the socket can be written to for the first time."""
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self._connecting = False
        if self._session is None:
            self.ready = True
            self._push()
        else:
            self._shake_hands()

    def write(self, data: bytes) -> None:
        """Send, or keep what there is no room for; all of it before the connection is there."""
        if self._session is None and self.ready and not self._raw:
            self._raw = data
            self._send()
            return
        self._plain += data
        if not self._connecting:
            self._push()

    def writable(self) -> None:
        """Go on sending what there was no room for."""
        self._push()

    def read(self) -> tuple[bytes, int]:
        """Return what arrived and its kernel stamp, b"" at the connection's end. Raises BlockingIOError for nothing."""
        data, ancillary, _, _ = self.sock.recvmsg(READ_BYTES, ANCILLARY_BYTES)
        stamp = kernel_ns(ancillary)
        return (data if self._session is None else self._decrypted(data)), stamp

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self.sock.close()

    def _push(self) -> None:
        """Encrypt what may be encrypted by now, and send what there is room for."""
        if self.ready and self._plain:
            if self._session is None:
                self._raw += self._plain
            else:
                self._session.write(self._plain)
            self._plain = b""
        if self._session is not None and self._out.pending:
            self._raw += self._out.read()
        self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._raw:
                self._raw = self._raw[self.sock.send(self._raw) :]
        self.wants_write = bool(self._raw)

    def _shake_hands(self) -> None:
        assert self._session is not None
        try:
            self._session.do_handshake()
            self.ready = True
        except ssl.SSLWantReadError:
            pass
        self._push()

    def _decrypted(self, data: bytes) -> bytes:
        """Return what of the encrypted bytes can be read. Raises BlockingIOError while that is nothing."""
        assert self._session is not None
        if not data:
            return b""
        self._in.write(data)
        if not self.ready:
            self._shake_hands()
            if not self.ready:
                raise BlockingIOError
        parts = []
        try:
            while part := self._session.read(READ_BYTES):
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return b"".join(parts)
        if not parts:
            raise BlockingIOError
        return b"".join(parts)
