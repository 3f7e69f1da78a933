"""A server's end of TLS in memory, for the blocking client of `morphnet join`."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL

from morphnet.errors import Refused
from morphnet.net.tls import Identity, ServerTls, established
from morphnet.pki.authority import Authority, as_pem
from morphnet.pki.files import key_pem
from morphnet.wire.messages.control import Join, Refusal, SignalReader, encode

Answer = Callable[[Join, str, str], bytes]  # the question, the invitation's serial and name -> bytes to send


def server_identity(authority: Authority, *, now: float, name: str = "gw") -> Identity:
    """A server of that network."""
    key = Ed25519PrivateKey.generate()
    certificate = authority.server(key.public_key(), [name], now=now)
    return Identity(as_pem(certificate), key_pem(key), as_pem(authority.certificate))


class FakeServer:
    """
    A Stream (see cli/joining): what is sent to it is answered at once.

    :param revoked: asked with the serial of whoever comes.
    """

    def __init__(
        self, identity: Identity, answer: Answer, revoked: Callable[[str], bool] = lambda serial: False
    ) -> None:
        self._answer, self._reader = answer, SignalReader()
        self._tls = ServerTls(identity, revoked).serverConnectionForTLS(None)  # type: ignore[arg-type]
        self._shaken = self._over = False
        self.asked = 0  # questions that came through

    def sendall(self, data: bytes, /) -> None:
        """From the client."""
        if self._over:
            return
        self._tls.bio_write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                established(self._tls)
            while not self._over:
                for signal in self._reader.feed(self._tls.recv(1 << 14)):
                    assert isinstance(signal, Join)  # nothing else is asked here
                    self.asked += 1
                    peer, _ = established(self._tls)
                    self._tls.sendall(self._answer(signal, peer.serial, peer.name))
        except Refused as refused:
            self._tls.sendall(encode(Refusal(refused.reason)))
            self._over = True
        except SSL.Error:  # more is wanted, or it is over: an alert may wait to be sent
            pass

    def recv(self, size: int, /) -> bytes:
        """To the client; nothing left means hung up."""
        try:
            return self._tls.bio_read(size)
        except SSL.Error:
            return b""
