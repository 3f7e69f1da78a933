"""
Who a node is when a proxy on this machine speaks TLS: it hands on the certificate that the node has shown, in a header.

The proxy must ask for a certificate and need not judge it; we do. With nginx: `ssl_verify_client optional_no_ca` and
`proxy_set_header X-Client-Cert $ssl_client_escaped_cert`. Its own certificate is the relay's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

from cryptography import x509

from morphnet.errors import Refused
from morphnet.net.tls import Peer, Revoked
from morphnet.pki.authority import check, describe
from morphnet.pki.unreadable import UNREADABLE

CERTIFICATE, ADDRESS = "x-client-cert", "x-forwarded-for"  # headers, in lower case
LONGEST = 16384  # characters of a certificate in a header
UNKNOWN = "127.0.0.1"  # the address of a node of which the proxy says nothing


class Proxied:
    """
    :param cas: of each network that may meet here.
    :param now: Unix seconds.
    """

    def __init__(
        self, cas: Callable[[], Mapping[str, Sequence[x509.Certificate]]], revoked: Revoked, now: Callable[[], float]
    ) -> None:
        self._cas, self._revoked, self._now = cas, revoked, now

    def peer(self, headers: Mapping[str, str]) -> Peer:
        """
        Whose certificate the proxy has seen.

        :raises Refused: none, or none that is good here.
        """
        text = unquote(headers.get(CERTIFICATE, ""))
        if not text or len(text) > LONGEST:
            raise Refused("certificate missing")
        try:
            certificate = x509.load_pem_x509_certificate(text.encode("ascii", "replace"))
        except UNREADABLE:
            raise Refused("certificate that cannot be read") from None
        why = Refused("certificate of a foreign CA")
        for network, ca in [(network, ca) for network, cas in self._cas().items() for ca in cas]:
            try:
                kind = "server" if describe(certificate).kind == "server" else "client"
                found = check(certificate, ca, kind, "", now=self._now())
            except Refused as refused:
                if refused.reason != why.reason:
                    raise
                continue
            found = dataclasses.replace(found, issuer=network)
            if self._revoked(found):
                raise Refused("certificate revoked")
            return found
        raise why

    @staticmethod
    def address(headers: Mapping[str, str]) -> str:
        """Where the node is, as the proxy saw it; what the node itself may have put into the header comes before."""
        return headers.get(ADDRESS, "").rpartition(",")[2].strip() or UNKNOWN
