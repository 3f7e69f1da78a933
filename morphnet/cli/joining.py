"""
The machine's side of `morphnet join`: one TLS connection with the invitation, one question, one answer.

Blocking, because the command does nothing else meanwhile. OpenSSL works on memory and the bytes are carried by hand, so
that the server is verified by the very rules of the control link (`morphnet.net.tls`).

Source: docs/protocol section 7.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL
from twisted.python.failure import Failure

from morphnet.config.roles import CONTROL_PORT
from morphnet.errors import ConfigError, HostError, MalformedFrame, Refused
from morphnet.host.uplinks import UplinkScan
from morphnet.net.ondevice import connect_by
from morphnet.net.tls import ClientTls, Identity, established, handshake_trouble, is_certificate_alert
from morphnet.pki.authority import as_pem, check, make_request
from morphnet.pki.files import key_pem
from morphnet.pki.invitation import Invitation
from morphnet.pki.names import join_address, split_address
from morphnet.pki.unreadable import UNREADABLE
from morphnet.wire.messages.control import Join, Joined, Refusal, Signal, SignalReader, encode

PATIENCE = 20.0  # seconds for the whole exchange
_CHUNK = 1 << 14  # bytes
_WRONG_SERVER = "what answers there is not the server of this invitation, or not a safe one ({why})"
_T = TypeVar("_T")


class Stream(Protocol):
    """What is used of a connected socket."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...


class _Deadline:
    """A socket whose every call together may last no longer than PATIENCE."""

    def __init__(self, connected: socket.socket, ends_at: float) -> None:
        self._socket, self._ends_at = connected, ends_at

    def _arm(self) -> socket.socket:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(left)
        return self._socket

    def sendall(self, data: bytes, /) -> None:
        self._arm().sendall(data)

    def recv(self, size: int, /) -> bytes:
        return self._arm().recv(size)


class _Link:
    """TLS over a Stream."""

    def __init__(self, stream: Stream, tls: ClientTls) -> None:
        self._stream = stream
        self._tls = tls.clientConnectionForTLS(None)  # type: ignore[arg-type]  # it needs no protocol

    def ask(self, question: Signal) -> Signal:
        """
        Send one message, wait for one.

        :raises SSL.Error: the handshake failed, or the server ended it.
        :raises Refused: the server is not the one we want; it was not asked anything.
        :raises MalformedFrame: the answer is no message.
        :raises OSError: the connection broke.
        """
        self._until_done(self._tls.do_handshake)
        established(self._tls)
        self._tls.sendall(encode(question))
        reader = SignalReader()
        while True:
            for answer in reader.feed(self._until_done(lambda: self._tls.recv(_CHUNK))):
                return answer

    def _until_done(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                return step()
            except SSL.WantReadError:
                self._flush()
                received = self._stream.recv(_CHUNK)
                if not received:
                    raise ConnectionResetError("the server hung up") from None
                self._tls.bio_write(received)
            finally:
                self._flush()

    def _flush(self) -> None:
        try:
            while pending := self._tls.bio_read(_CHUNK):
                self._stream.sendall(pending)
        except SSL.WantReadError:
            pass

    def trouble(self, error: SSL.Error) -> str:
        """What went wrong, for the operator."""
        failure = Failure(error)
        if is_certificate_alert(failure):
            return "the server does not take this invitation: it was used or revoked, or has expired"
        return _WRONG_SERVER.format(why=handshake_trouble(self._tls, failure))


class Membership(NamedTuple):
    """What a machine gets for its invitation."""

    certificate: x509.Certificate
    relays: tuple[str, ...] = ()  # where it meets its peers
    networks: tuple[str, ...] = ()  # that they are in
    vpn: bool = True  # whether the server carries a VPN


def request_certificate(invitation: Invitation, key: Ed25519PrivateKey, stream: Stream, *, now: float) -> Membership:
    """
    The certificate that the invitation promises, for `key`, and what comes with it.

    :param stream: connected to the server's control port.
    :param now: Unix seconds.
    :raises ConfigError: the server is the wrong one, or said no; the message says what to do.
    :raises OSError: the connection broke.
    """
    name, ca = invitation.name, as_pem(invitation.ca)
    again = f"ask for a new one (`morphnet invite {name}` on the server)"
    if now >= invitation.not_after:
        raise ConfigError(f"this invitation has expired: {again}, or set this machine's clock if it is wrong")
    link = _Link(
        stream, ClientTls(Identity(as_pem(invitation.certificate), key_pem(invitation.key), ca), invitation.server_name)
    )
    try:
        answer = link.ask(Join(make_request(key, name)))
    except SSL.Error as trouble:
        raise ConfigError(f"{link.trouble(trouble)}: {again}") from None
    except Refused as refused:
        raise ConfigError(f"{_WRONG_SERVER.format(why=refused.reason)}: check the server's address") from None
    except MalformedFrame as trouble:
        raise ConfigError(f"what answers there is not morphnet ({trouble}): check the server's address") from None
    if isinstance(answer, Refusal):
        raise ConfigError(f"the server says no: {answer.reason}: {again}")
    if not isinstance(answer, Joined):
        raise ConfigError(f"the server answered with {answer.type!r} and not with a certificate: is it up to date?")
    return Membership(_verified(answer, invitation, key, now), answer.relays, answer.networks, answer.vpn)


def _verified(answer: Joined, invitation: Invitation, key: Ed25519PrivateKey, now: float) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(answer.certificate.encode("ascii"))
        check(certificate, invitation.ca, "client", invitation.name, now=now)
        if certificate.public_key() != key.public_key():
            raise Refused("certificate of another key")
    except UNREADABLE:
        raise ConfigError("the server sent something that is no certificate: is it up to date?") from None
    except Refused as refused:
        raise ConfigError(f"the server sent a {refused.reason}: check this machine's clock, then the server") from None
    return certificate


def _connected(host: str, port: int) -> socket.socket:
    """
    As the routes say; if that fails, by each uplink. A client that runs here may have all traffic wait for a session
    that it will not get, because what it lacks is this very certificate.

    :raises OSError: nobody answers.
    """
    try:
        return socket.create_connection((host, port), timeout=PATIENCE / 4)
    except OSError as trouble:
        for uplink in _uplinks():
            try:
                return connect_by(uplink, host, port, PATIENCE / 4)
            except OSError:
                continue
        raise trouble


def _uplinks() -> list[str]:
    try:
        return [each.name for each in UplinkScan()() if each.up]
    except HostError:
        return []


def request_over_network(invitation: Invitation, key: Ed25519PrivateKey, address: str) -> Membership:
    """
    The same, over TCP.

    :param address: "HOST:PORT".
    :raises ConfigError: see request_certificate.
    :raises HostError: nobody answers there.
    """
    host, port = split_address(address, CONTROL_PORT)
    shown, ends_at = join_address(host, port), time.monotonic() + PATIENCE
    try:
        with _connected(host, port) as connected:
            return request_certificate(invitation, key, _Deadline(connected, ends_at), now=time.time())
    except socket.gaierror as trouble:
        hint = "is it the right name, and does a DNS server know it here?"
        raise HostError(f"cannot find the server {host}: {trouble.strerror}: {hint}") from None
    except OSError as trouble:
        why = trouble.strerror or str(trouble)
        raise HostError(f"cannot reach the server at {shown}: {why}: is it running, and TCP {port} open?") from None
