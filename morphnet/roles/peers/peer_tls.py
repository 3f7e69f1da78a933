"""
One TLS handshake between two peers, over whatever carries its bytes: a relay, which sees ciphertext and nothing else.

OpenSSL works on memory; who owns an introducer carries the bytes. Source: docs/protocol section 12.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import cast

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from morphnet.errors import PeerError, Refused
from morphnet.net.tls import Peer, PeerTls, established, exporter, handshake_trouble
from morphnet.wire.messages.peer import Introduction, IntroductionReader, encode

MOST_BYTES = 1 << 17  # of TLS that one introduction takes, in each direction
_CHUNK = 1 << 14


class Listener(typing.Protocol):
    """Who waits for an introduction."""

    def introduced(self, introducer: Introducer) -> None:
        """The handshake is complete: `peer` and `group` are known."""
        ...

    def said(self, introducer: Introducer, message: Introduction) -> None:
        """
        The peer says something.

        :raises PeerError: it has no place here.
        """
        ...

    def failed(self, introducer: Introducer, reason: str) -> None:
        """It came to nothing. At most once; nothing follows."""
        ...


class Introducer:
    """
    :param caller: whether this end begins.
    :param carry: takes bytes of TLS to the other end.
    """

    def __init__(
        self, tls: PeerTls, carry: Callable[[bytes], None], listener: Listener, *, caller: bool, pq: str = "require"
    ) -> None:
        self.caller = caller
        self.peer: Peer | None = None
        self.group = ""
        nobody = cast(TLSMemoryBIOProtocol, None)  # it needs no protocol
        self._connection = tls.clientConnectionForTLS(nobody) if caller else tls.serverConnectionForTLS(nobody)
        self._carry, self._listener, self._pq = carry, listener, pq
        self._reader = IntroductionReader()
        self._taken = 0
        self._over = False

    def start(self) -> None:
        """The caller's first bytes."""
        self._advance()

    def received(self, data: bytes) -> None:
        """Bytes of TLS from the other end."""
        self._taken += len(data)
        if self._over or not data:  # OpenSSL takes no nothing
            return
        if self._taken > MOST_BYTES:
            self._fail("it says too much")
            return
        self._connection.bio_write(data)
        self._advance()

    def say(self, message: Introduction) -> None:
        """Tell the peer something, once it is introduced."""
        if not self._over:
            self._connection.sendall(encode(message))
            self._flush()

    def export(self, context: bytes, length: int) -> bytes:
        """Key material that only the two ends have, see tls.exporter."""
        return exporter(self._connection, context, length)

    def close(self) -> None:
        """It is done with; nothing follows."""
        self._over = True

    def _advance(self) -> None:
        try:
            if self.peer is None:
                self._connection.do_handshake()
                self.peer, self.group = established(self._connection, self._pq)
                self._flush()
                self._listener.introduced(self)
            while not self._over:
                for message in self._reader.feed(self._connection.recv(_CHUNK)):
                    if not self._over:
                        self._listener.said(self, message)
        except SSL.WantReadError:
            self._flush()
        except SSL.Error as trouble:
            self._flush()  # the alert
            self._fail(handshake_trouble(self._connection, Failure(trouble)))
        except Refused as refused:
            self._fail(refused.reason)
        except PeerError as trouble:
            self._fail(str(trouble))

    def _flush(self) -> None:
        try:
            while pending := self._connection.bio_read(_CHUNK):
                self._carry(pending)
        except SSL.WantReadError:
            pass

    def _fail(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._listener.failed(self, reason)
