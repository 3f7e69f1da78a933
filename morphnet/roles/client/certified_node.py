"""A node and its certificate: it is renewed in time, and whoever shows one that is not good any more is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from twisted.logger import Logger

from morphnet.errors import MorphnetError
from morphnet.net.pump import Pump
from morphnet.net.tls import Identity, Peer
from morphnet.roles.certificates.renewal import Renewal, Shows
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.server_certificate import ServerCertificate
from morphnet.roles.client.access import ClientAccess
from morphnet.roles.process.node import Node
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.session import Session
from morphnet.wire.messages.control import Renew, Welcome

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh


@dataclass(frozen=True)
class Certificates:
    """What a client has to do with certificates, its own and those of others."""

    lists: RevocationExchange | None = None  # of what is revoked
    of_server: ServerCertificate | None = None
    renewal: Renewal | None = None  # of ours
    shows: Sequence[Shows] = ()  # ours, besides the lines to relays


class CertifiedNode(Node):
    """What a client does about certificates, its own and those of others."""

    _log = Logger()

    def __init__(self, name: str, pump: Pump, certificates: Certificates) -> None:
        super().__init__(name, pump)
        self.lists, self.server_certificate = certificates.lists, certificates.of_server
        self.renewal, self._shows = certificates.renewal, certificates.shows
        self.link: Link | None = None  # to the server
        self.mesh: Mesh | None = None  # the peers, if there shall be any
        self.access: ClientAccess = ClientAccess(pump, self.lists.revoked if self.lists else None, self.tell)
        self.access.name = name
        self._turn = 0  # of those who may renew our certificate

    def _session(self) -> Session | None:
        """The one with the server."""
        return self.tunnel.default

    def renew_in_time(self) -> None:
        """Ask for the next certificate when it is time; called now and then, and with each new link or line."""
        asking: list[Callable[[Renew], None]] = self.mesh.relays.renewing() if self.mesh is not None else []
        if (link := self.link) is not None:
            asking.insert(0, link.send)
        request = self.renewal.request() if self.renewal is not None and asking else None
        if request is not None:
            self._turn += 1  # one of them may be unable to
            asking[(self._turn - 1) % len(asking)](request)
        if self.renewal is not None:
            self.renewal.remind()

    def reached(self) -> None:
        """A relay is: it may renew our certificate."""
        self.renew_in_time()

    def renewed(self, certificate: str) -> None:
        """The server or a relay has had our certificate renewed: look at it before it is used."""
        try:
            if self.renewal is not None:
                self.renewal.accept(certificate)
                self.renewal.remind()
                self.tell("renewed", "", "our certificate was renewed")
        except MorphnetError as problem:
            self._log.warn("the renewed certificate is not used: {problem}", problem=str(problem))

    def announced(self, cas: Sequence[x509.Certificate]) -> None:
        """The list of revocations says whom the network trusts now: follow, and have our certificate renewed."""
        if self.renewal is not None and self.renewal.follow(cas):
            self.tell("ca", "", f"the network has {len(cas)} CA(s) from now on")
            self.renew_in_time()

    def use(self, identity: Identity) -> None:
        """Show another certificate from the next handshake on; handshakes with peers look for themselves."""
        for each in (*self._shows, *(self.mesh.relays.shows() if self.mesh is not None else ())):
            each.use(identity)

    def meets(self, welcome: Welcome, server: Peer | None) -> None:
        """The server has shown this certificate, and welcomes us."""
        if self.server_certificate is not None:
            self.server_certificate.shown(server)
        self.access.welcomed(welcome, server)

    def look_at_certificates(self) -> None:
        """Leave everybody whose certificate is revoked or has expired by now, and live by the last policy."""
        self.access.look()
        if self.mesh is not None:
            self.mesh.look_at_certificates()
        if self.server_certificate is not None:
            self.server_certificate.look(self._wall())

    def hang_up_on_server(self, why: str, *, session: bool = True) -> None:
        """End the control link, and the session with the server."""
        known = self._session()
        if session and known is not None:
            self.tell("server-left", "", why)
            self.tunnel.drop_session(known.peer)
        if self.link is not None:
            self.link.close(why)
