"""
TLS 1.3 with mutual certificates of the network's own CA: the one handshake that everything rests on.

Source: docs/protocol section 5; RFC 8446; RFC 5705 for the exporter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, cast
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import ConfigError, Refused
from morphnet.net.alpn import take_http
from morphnet.net.knock import NO_KNOCK, NONCE, goodbye, is_knock, key_of, knock, signer_of
from morphnet.net.subject import carries
from morphnet.pki.authority import INVITE_USAGE, Description, describe, network_of
from morphnet.pki.unreadable import UNREADABLE
from morphnet.text import same_name

POST_QUANTUM = "X25519MLKEM768"  # what both ends offer first, draft-ietf-tls-ecdhe-mlkem
_LABEL = b"EXPORTER-morphnet-data"
_NO_AUTO_CHAIN = 0x8  # SSL_MODE_NO_AUTO_CHAIN, openssl/ssl.h
_NOT_KNOWN = "one of a foreign CA, or no morphnet: it does not know our network"

# X509_V_ERR_*, openssl/x509_vfy.h
_WRONG_PURPOSE = 26
_VERIFY_TROUBLE = {
    9: "certificate not valid yet",
    10: "certificate expired",
    18: "certificate of a foreign CA",
    19: "certificate of a foreign CA",
    20: "certificate of a foreign CA",
    21: "certificate of a foreign CA",
    7: "certificate with a wrong signature",
    22: "certificate of a foreign CA",  # OpenSSL sends the CA along: then its chain is too long for our depth
    24: "certificate signed by one that is no CA",
    _WRONG_PURPOSE: "certificate of a wrong usage",
}
STRANGE = frozenset({_VERIFY_TROUBLE[19], _VERIFY_TROUBLE[7]})  # no CA of ours has signed


@dataclass(frozen=True, slots=True)
class Identity:
    """What one end shows, and whom it trusts. All PEM."""

    certificate: bytes
    key: bytes = field(repr=False)  # PKCS #8, not encrypted
    ca: bytes
    # CAs that stand for one network: see trust.networks_of. Those that are not in it stand for themselves.
    networks: Mapping[str, str] = field(default_factory=dict)


Peer = Description  # the other end, as its certificate says; `name` is the first one it has
Revoked = Callable[[Peer], bool]  # whether a certificate is revoked: asked at every handshake, must not block


class _Connection(Protocol):
    """What we use of OpenSSL.SSL.Connection (its published stubs are behind)."""

    def get_group_name(self) -> str | None: ...
    def export_keying_material(self, label: bytes, olen: int, context: bytes | None = None) -> bytes: ...


@dataclass(slots=True)
class _Outcome:
    """What the verification of one connection found."""

    peer: Peer | None = None
    trouble: str = ""
    network: str = ""  # of the CA that has signed
    calls: bool = False  # we have called, and knocked
    front: SSL.Context | None = None  # lives as long as the connection: OpenSSL goes on calling its callback
    goodbye: Callable[[], None] = lambda: None  # to one who does not knock


# Not in the connection's app data: Twisted keeps its protocol there.
_outcomes: WeakKeyDictionary[SSL.Connection, _Outcome] = WeakKeyDictionary()


def _is_good_for(certificate: x509.Certificate, wanted: Iterable[x509.ObjectIdentifier]) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return any(each in usage for each in wanted)


def _bare() -> SSL.Context:
    """Our policy, without a certificate."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    # Every handshake is a full one, so that revocation is asked every time.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_id(b"morphnet")
    context.set_verify_depth(0)  # our CA signs directly
    # Or OpenSSL sends the CA along: the other end has it, and who only repeats a knock could make more of them with it.
    context.set_mode(_NO_AUTO_CHAIN | SSL.MODE_RELEASE_BUFFERS)
    return context


def _context(identity: Identity) -> tuple[SSL.Context, list[bytes], bytes]:
    """
    With the keys of the knocks that we take, and the key of ours.

    :raises ConfigError: the identity is not usable.
    """
    context = _bare()
    store = context.get_cert_store()
    assert store is not None  # a fresh context has one
    try:
        certificate = x509.load_pem_x509_certificate(identity.certificate)
        cas = x509.load_pem_x509_certificates(identity.ca)
        context.use_certificate(crypto.X509.from_cryptography(certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(load_pem_private_key(identity.key, None)))  # type: ignore[arg-type, unused-ignore]
        context.check_privatekey()
        for each in cas:
            store.add_cert(crypto.X509.from_cryptography(each))
        signer = signer_of(certificate, cas)
        return context, [key_of(each) for each in cas], b"" if signer is None else key_of(signer)
    except (*UNREADABLE, SSL.Error, crypto.Error) as trouble:
        raise ConfigError(f"certificate, key or CA cannot be used ({type(trouble).__name__}): make them anew") from None


class _Side:
    """One end's policy: `judge` says who a certificate that our CA signed belongs to."""

    excused: tuple[x509.ObjectIdentifier, ...] = ()  # the usages that we take though OpenSSL does not
    explains = False  # let one that `judge` refuses through the handshake, so that `established` can say why

    def __init__(self, identity: Identity, revoked: Revoked) -> None:
        self._revoked = revoked
        self.use(identity)

    def use(self, identity: Identity) -> None:
        """
        Show this from the next handshake on.

        :raises ConfigError: it is not usable.
        """
        context, self._takes, self._knocks = _context(identity)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        self._context, self._networks = context, identity.networks

    def knock(self) -> bytes:
        """What shows that we belong to the network, to who waits for that; another one each time."""
        return knock(self._knocks, os.urandom(NONCE))

    def judge(self, peer: Peer, certificate: x509.Certificate) -> None:
        """:raises Refused: not for us."""
        raise NotImplementedError

    def _judged(self, certificate: x509.Certificate, network: str) -> Peer:
        """
        Who it is.

        :param network: of the CA that has signed.
        :raises Refused: not for us, or revoked.
        """
        peer = replace(describe(certificate), issuer=network)
        self.judge(peer, certificate)
        if self._revoked(peer):
            raise Refused("certificate revoked")
        return peer

    def _called(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Our end where somebody else has called."""
        connection = SSL.Connection(self._context, None)
        _outcomes[connection] = _Outcome()
        connection.set_accept_state()
        return connection

    def _calling(self) -> SSL.Connection:
        """Our end where we call: it knocks. Where nobody waits for that, the name means nothing."""
        connection = SSL.Connection(self._context, None)
        _outcomes[connection] = _Outcome(calls=True)
        connection.set_tlsext_host_name(self.knock())
        connection.set_connect_state()
        return connection

    def _verify(self, connection: SSL.Connection, shown: crypto.X509, trouble: int, depth: int, ok: int) -> bool:
        """OpenSSL asks for every certificate of the chain, the CA first; at depth 0 all else has been checked."""
        outcome = _outcomes[connection]
        try:
            certificate = shown.to_cryptography()
            if not ok:
                # OpenSSL does not know the usage of an invitation, and wants a server where a peer was called. To say
                # yes goes on to the signature, not past it.
                if trouble == _WRONG_PURPOSE and depth == 0 and _is_good_for(certificate, self.excused):
                    return True
                raise Refused(_VERIFY_TROUBLE.get(trouble, f"certificate error {trouble}"))
            if depth:
                network = network_of(certificate)
                outcome.network = self._networks.get(network, network)
            else:
                outcome.peer = self._judged(certificate, outcome.network)
        except Refused as refused:
            outcome.trouble = refused.reason
            return bool(ok) and self.explains
        except UNREADABLE:
            outcome.trouble = "certificate that cannot be read"
            return False
        return True


class _Hidden(_Side):
    """
    An end that strangers may call: it shows its certificate to whoever knocks. With the others the handshake fails for
    want of one, before anything is shown or computed.
    """

    allows = False  # let those in as well who ask for no name, as nodes of before do

    def use(self, identity: Identity) -> None:
        """Show this from the next handshake on."""
        super().use(identity)
        self._front = _bare()
        # Verification goes by what a connection began with.
        self._front.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        self._front.set_tlsext_servername_callback(self._asked_for)
        take_http(self._front, self._context)

    def _called(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._front, None)
        _outcomes[connection] = _Outcome(front=self._front, goodbye=goodbye(protocol))
        connection.set_accept_state()
        return connection

    def _asked_for(self, connection: SSL.Connection) -> None:
        """A ClientHello has come, with a name or without; a second time if its first key share was of no use."""
        name = connection.get_servername()
        if self.allows if name is None else is_knock(name, self._takes):
            connection.set_context(self._context)
        else:
            outcome = _outcomes[connection]
            outcome.trouble = NO_KNOCK
            outcome.goodbye()


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls(_Hidden):
    """
    The server's end: lets in clients, invitations and relays that are not revoked.

    :param knock: "require"; or "allow" those too who do not knock, while there are nodes that cannot.
    """

    # A relay asks for its next certificate, a server tells a relay what is revoked.
    excused = (INVITE_USAGE, ExtendedKeyUsageOID.SERVER_AUTH)
    # OpenSSL's alert for our own refusals is "internal error", which tells a revoked client nothing.
    explains = True

    def __init__(self, identity: Identity, revoked: Revoked, knock: str = "require") -> None:
        super().__init__(identity, revoked)
        self.allows = knock == "allow"

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self._called(tlsProtocol)

    def judge(self, peer: Peer, certificate: x509.Certificate) -> None:
        """:raises Refused: a CA; which other kind may say what is the control port's and the relay's affair."""
        if peer.kind not in ("client", "invite", "server"):
            raise Refused(_VERIFY_TROUBLE[_WRONG_PURPOSE])


@implementer(IOpenSSLClientConnectionCreator)
class ClientTls(_Side):
    """
    The client's end: insists on one server, or on one of several.

    :param server_name: DNS name or IP address that must be in the server's subjectAltName, or one of `others`.
    """

    def __init__(
        self, identity: Identity, server_name: str, revoked: Revoked = lambda peer: False, others: Iterable[str] = ()
    ) -> None:
        self._server_names = (server_name, *others)
        super().__init__(identity, revoked)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        # The server has one certificate, and its name would travel in clear: what is asked for is a knock.
        return self._calling()

    def judge(self, peer: Peer, certificate: x509.Certificate) -> None:
        """:raises Refused: no server, or another one."""
        if peer.kind != "server":
            raise Refused(_VERIFY_TROUBLE[_WRONG_PURPOSE])
        if not any(carries(certificate, name) for name in self._server_names):
            raise Refused("certificate of another name")


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class PeerTls(_Side):
    """
    Either end between two peers: both show a client's certificate of the same network.

    :param peer: the name that the other one's certificate must carry.
    """

    excused = (ExtendedKeyUsageOID.CLIENT_AUTH,)

    def __init__(self, identity: Identity, peer: str, revoked: Revoked) -> None:
        self._peer = peer
        super().__init__(identity, revoked)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self._called(tlsProtocol)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self._calling()

    def judge(self, peer: Peer, certificate: x509.Certificate) -> None:
        """:raises Refused: no peer, or another one than was expected."""
        if peer.kind != "client":
            raise Refused(_VERIFY_TROUBLE[_WRONG_PURPOSE])
        if not self._expects(peer.name):
            raise Refused("certificate of another name")

    def _expects(self, name: str) -> bool:
        return same_name(name, self._peer)


class PeersTls(_Hidden, PeerTls):
    """
    The end that any of several peers may call. One of before, that does not knock, is reached by UDP or a relay.

    :param known: asked at every handshake with the name that is shown; must not block.
    """

    def __init__(self, identity: Identity, known: Callable[[str], bool], revoked: Revoked) -> None:
        self._known = known
        super().__init__(identity, "", revoked)

    def _expects(self, name: str) -> bool:
        return self._known(name)


def established(connection: SSL.Connection, pq: str = "require") -> tuple[Peer, str]:
    """
    The peer and the TLS group, once the handshake is complete.

    :param pq: "require" refuses a group without ML-KEM; "allow" takes any.
    :raises Refused: `judge` refused the peer, or the group is not post-quantum.
    """
    outcome = _outcomes[connection]
    if outcome.peer is None:
        raise Refused(outcome.trouble or "certificate missing")
    group = cast(_Connection, connection).get_group_name() or "none"
    if pq == "require" and group.upper() != POST_QUANTUM:  # OpenSSL 3.5 and later differ in how they spell it
        raise Refused("key exchange is not post-quantum")
    return outcome.peer, POST_QUANTUM if group.upper() == POST_QUANTUM else group


def exporter(connection: SSL.Connection, context: bytes, length: int = 64) -> bytes:
    """
    `length` bytes that only the two ends of this very connection know, another string for each `context`.

    Source: RFC 8446 section 7.5.
    """
    return bytes(cast(_Connection, connection).export_keying_material(_LABEL, length, context))


def handshake_trouble(connection: SSL.Connection | None, failure: Failure) -> str:
    """Why a connection ended, in a few words that never come from the peer."""
    if connection is not None and (trouble := _outcomes[connection].trouble):
        return trouble
    reason = failure.value
    if isinstance(reason, SSL.Error) and not isinstance(reason, SSL.SysCallError):
        queue = reason.args[0] if reason.args else ()
        text = str(queue[-1][2]) if queue else "TLS ended early"
        knocked = connection is not None and _outcomes[connection].calls
        left = isinstance(reason, SSL.ZeroReturnError) or "alert handshake failure" in text
        return _NOT_KNOWN if knocked and left else text
    if failure.check(ConnectionDone) is not None:
        return "closed by the other side"
    return "connection lost"


def is_certificate_alert(failure: Failure) -> bool:
    """Whether the peer ended the handshake because of our certificate."""
    reason = failure.value
    if not isinstance(reason, SSL.Error) or isinstance(reason, SSL.SysCallError) or not reason.args:
        return False
    text = str(reason.args[0][-1][2] if reason.args[0] else "")
    # "decrypt error": signed by one who calls himself like our CA
    return "alert" in text and any(word in text for word in ("certificate", "unknown ca", "decrypt error"))
