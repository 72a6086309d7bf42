"""TLS without I/O: plain bytes go in and encrypted ones come out, and the other way round. No socket may enter."""

from __future__ import annotations

import ssl

__all__ = ["TlsPipe"]

_PIECE = 65536


class TlsPipe:
    """The client's end of one TLS connection. After each call, `outgoing` has what must be sent.

    Any call may raise `ssl.SSLError`: the connection is of no use then.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._early: list[bytes] = []
        self._ready = False
        self.ended = False
        """Whether the server has said that nothing more will come."""
        self._shake()

    def send(self, data: bytes) -> None:
        """Encrypt; before the end of the handshake, as soon as that is over."""
        if self._ready:
            self._tls.write(data)
        else:
            self._early.append(data)

    def receive(self, data: bytes) -> bytes:
        """Decrypt all that is there: what one read left behind would wake nobody."""
        self._incoming.write(data)
        if not self._ready:
            self._shake()
        pieces: list[bytes] = []
        while self._ready and not self.ended:
            try:
                piece = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            self.ended = not piece
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def outgoing(self) -> bytes:
        """Take what must be sent."""
        return self._outgoing.read()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self._ready = True
        for data in self._early:
            self._tls.write(data)
        self._early.clear()
