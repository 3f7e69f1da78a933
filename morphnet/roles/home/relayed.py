"""
A link to a browser through the coordinator, where no direct way and no TURN server is left: a WebSocket whose messages
are sealed from end to end with what came of the login. The coordinator can cut it, and neither read nor change it.

Source: docs/protocol section 16.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import Forged, MalformedFrame
from morphnet.net.websocket import Socket, client_factory
from morphnet.rendezvous.home.streams import Link

PATH, SPEAKS, GO = "/api/relay", "morphnet.home.1", b"go"  # as in roles/coordinator/between
NONCE = 16  # bytes that each end draws for one link
MOST = 64  # links at once
OPENS_WITHIN = 15.0  # seconds for TCP, TLS and the browser


class Heard(Protocol):
    """Whoever a link belongs to: a Visit."""

    def opened(self, channel: Link) -> None:
        """It is open."""
        ...

    def message(self, channel: Link, data: bytes) -> None:
        """The browser said something."""
        ...

    def closed(self, channel: Link) -> None:
        """It is gone, whoever ended it."""
        ...


class Seal:
    """
    Messages of one link, one way, in order.

    :param secret: of the login, for that way; 32 bytes.
    :param nonces: both ends'.
    """

    def __init__(self, secret: bytes, nonces: bytes) -> None:
        self._box = AESGCM(HKDF(SHA256(), 32, None, b"morphnet home link" + nonces).derive(secret))
        self._number = 0

    def _nonce(self) -> bytes:
        self._number += 1
        return (self._number - 1).to_bytes(12, "big")

    def seal(self, plain: bytes) -> bytes:
        """The next message."""
        return self._box.encrypt(self._nonce(), plain, None)

    def open(self, sealed: bytes) -> bytes:
        """
        The next one that has come.

        :raises Forged: it is another.
        """
        try:
            return self._box.decrypt(self._nonce(), sealed, None)
        except (InvalidTag, ValueError):
            raise Forged("a message of a link") from None


class Relayed:
    """
    One link; owns its socket.

    :param call: that brought it about; it names the link at the coordinator.
    """

    def __init__(self, heard: Heard, call: str, sending: Seal, receiving: Seal) -> None:
        self._heard, self._call, self._sending, self._receiving = heard, call, sending, receiving
        self._socket: Socket | None = None
        self._waiting: deque[bytes] = deque()  # no more than the session keeps in any case
        self.begun = self.over = False
        self.gone: Deferred[None] = Deferred()

    def send(self, message: bytes) -> None:
        """Say something; nothing happens when it is gone."""
        if not self.over and self.begun:
            self._waiting.append(self._sending.seal(message))
            self._flush()

    def _flush(self) -> None:
        while self._waiting and self._socket is not None and self._socket.send_binary(self._waiting[0]):
            self._waiting.popleft()

    def close(self) -> None:
        """End it."""
        if self._socket is not None:
            self._socket.end("it is not needed any more")
        self._over()

    def _over(self) -> None:
        if not self.over:
            self.over = True
            self._waiting.clear()
            if self.begun:
                self._heard.closed(self)
            self.gone.callback(None)

    # -- Owner ---------------------------------------------------------------------------------------------------------

    def connected(self, socket: Socket) -> None:
        """TCP is up."""
        self._socket, socket.drained = socket, self._flush
        if self.over:
            socket.drop("it is not needed any more")

    def opened(self, socket: Socket) -> None:
        """Say for which call."""
        socket.send_text(self._call.encode())

    def text(self, socket: Socket, text: bytes) -> None:
        """
        The browser is there.

        :raises PeerError: it says something else.
        """
        if text != GO or self.begun:
            raise MalformedFrame("no word of a coordinator")
        self.begun = True
        self._heard.opened(self)

    def binary(self, socket: Socket, content: bytes) -> None:
        """:raises PeerError: it was not sealed by the browser, or is not the next one."""
        if not self.over:
            self._heard.message(self, self._receiving.open(content))

    def spent(self, socket: Socket, cost: int) -> None:
        """It may cost what it does: streams have their windows."""

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        self._over()


class RelayedDoor:
    """All links of this home."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._links: dict[Relayed, Deferred[Any]] = {}

    def _to(self, page: str) -> tuple[Any, str]:
        """How to reach it, and the URL of its WebSocket; None when there is none."""
        parts = urlsplit(page)
        tls, host = parts.scheme != "http", parts.hostname
        if not host:
            return None, ""
        plain = HostnameEndpoint(self._reactor, host, parts.port or (443 if tls else 80), timeout=OPENS_WITHIN)
        endpoint = wrapClientTLS(optionsForClientTLS(host), plain) if tls else plain
        return endpoint, f"{'wss' if tls else 'ws'}://{parts.netloc}{PATH}"

    def __len__(self) -> int:
        return len(self._links)

    def open(self, page: str, heard: Heard, call: str, sending: Seal, receiving: Seal) -> bool:
        """
        Go to the coordinator, and wait for the browser there; False when there is no way, or are too many.

        :param page: of the coordinator, https://... or http://...
        """
        endpoint, url = self._to(page)
        if endpoint is None or len(self._links) >= MOST:
            return False
        link = Relayed(heard, call, sending, receiving)
        connecting = endpoint.connect(client_factory(link, url, self._reactor, SPEAKS))
        self._links[link] = connecting
        connecting.addErrback(self._failed, link)
        timer = self._reactor.callLater(OPENS_WITHIN, self._late, link)

        def gone(_: None) -> None:
            self._links.pop(link, None)
            if timer.active():
                timer.cancel()

        link.gone.addCallback(gone)
        return True

    def _failed(self, failure: Failure, link: Relayed) -> None:
        if not link.over:
            self._log.warn("no link through the coordinator: {why}", why=failure.getErrorMessage())
        link.close()

    def _late(self, link: Relayed) -> None:
        if not link.begun:
            link.close()

    def close(self) -> None:
        """End all of them."""
        for link, connecting in list(self._links.items()):
            connecting.cancel()
            link.close()
