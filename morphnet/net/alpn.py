"""
What a connection is for, as the two ends agree in the greeting of TLS: one port can serve more than the control link.

Source: RFC 7301.
"""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

HTTP = b"http/1.1"  # where a WebSocket begins; any browser asks for it


def take_http(*contexts: SSL.Context) -> None:
    """From now on connections of these speak HTTP inside, if their callers ask for it."""
    for context in contexts:
        context.set_alpn_select_callback(_choose)


def _choose(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    # OpenSSL's own answer to one who wants something else: it is no error
    return HTTP if HTTP in offered else cast(bytes, SSL.NO_OVERLAPPING_PROTOCOLS)


def speaks_http(connection: SSL.Connection) -> bool:
    """Whether both ends have agreed on it. One who asks for nothing comes for the control link."""
    return connection.get_alpn_proto_negotiated() == HTTP


@implementer(IOpenSSLClientConnectionCreator)
class HttpTls:
    """An end that asks for HTTP when it calls."""

    def __init__(self, tls: IOpenSSLClientConnectionCreator) -> None:
        self._tls = tls

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection: SSL.Connection = self._tls.clientConnectionForTLS(tlsProtocol)
        connection.set_alpn_protos([HTTP])
        return connection
