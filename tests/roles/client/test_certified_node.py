"""Who is asked to renew our certificate, and who is left when theirs is not good any more."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.errors import Refused
from morphnet.net.pump import Pump
from morphnet.net.tls import Identity
from morphnet.roles.certificates.renewal import Renewal
from morphnet.roles.client.certified_node import Certificates, CertifiedNode
from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.control import Renew

REQUEST = Renew("csr", "pem")


class FakeRenewal:
    """It is due, or not."""

    warnings = ()

    def __init__(self) -> None:
        self.due = True
        self.accepted: list[str] = []
        self.good = True
        self.follows = False
        self.reminded = 0

    def request(self) -> Renew | None:
        """Ask for a new one while it is due."""
        return REQUEST if self.due else None

    def accept(self, certificate: str) -> None:
        """Keep the certificate, or refuse it when the test says that it is not good."""
        if not self.good:
            raise Refused("of another name")
        self.accepted.append(certificate)

    def follow(self, cas: object) -> bool:
        """Whether the CAs are others than before: for the test to say."""
        return self.follows

    def remind(self) -> None:
        self.reminded += 1


class FakeShows:
    """Shows a certificate."""

    def __init__(self) -> None:
        self.used: list[object] = []

    def use(self, identity: object) -> None:
        self.used.append(identity)


class FakeRelays:
    """Two lines; both relays renew."""

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked
        self.line = FakeShows()

    def renewing(self) -> list[object]:
        """Both only note which of them was asked."""
        return [lambda request: self.asked.append("near"), lambda request: self.asked.append("far")]

    def shows(self) -> list[FakeShows]:
        """The one line that shows a certificate."""
        return [self.line]


class FakeMesh:
    """The peers, as far as certificates go."""

    def __init__(self, asked: list[str]) -> None:
        self.relays = FakeRelays(asked)
        self.looks = 0

    def look_at_certificates(self) -> None:
        self.looks += 1


class FakeLink:
    """The control link."""

    def __init__(self, asked: list[str]) -> None:
        self.asked, self.closed = asked, ""

    def send(self, request: Renew) -> None:
        """Note that the server was asked."""
        self.asked.append("server")

    def close(self, reason: str = "") -> None:
        self.closed = reason


class CertifiedNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        self.pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        self.renewal, self.server, self.asked = FakeRenewal(), FakeShows(), list[str]()
        certificates = Certificates(renewal=cast(Renewal, self.renewal), shows=(self.server,))
        self.node = CertifiedNode("laptop", self.pump, certificates)
        self.mesh, self.link = FakeMesh(self.asked), FakeLink(self.asked)

    def connect(self) -> None:
        """With the server and with relays."""
        self.node.link, self.node.mesh = cast(Link, self.link), cast(Mesh, self.mesh)

    def kinds(self) -> list[str]:
        """What was told."""
        return [each.kind for each in self.node.happenings(0)]

    def test_each_in_turn(self) -> None:
        """One of those that may renew it is asked, each time another: one of them may be unable to."""
        self.connect()
        for _ in range(4):
            self.node.renew_in_time()
        self.assertEqual(self.asked, ["server", "near", "far", "server"])

    def test_not_due(self) -> None:
        """Nobody is asked when it is not time; the operator is reminded all the same. Nor when nobody is there."""
        self.connect()
        self.renewal.due = False
        self.node.renew_in_time()
        self.assertEqual((self.asked, self.renewal.reminded), ([], 1))
        self.renewal.due, self.node.link, self.node.mesh = True, None, None
        self.node.renew_in_time()
        self.assertEqual(self.asked, [])

    def test_renewed(self) -> None:
        """One that is good is told of; one that is not is only logged, and the one before stays."""
        self.node.renewed("NEXT")
        self.renewal.good = False
        self.node.renewed("WRONG")
        self.assertEqual((self.renewal.accepted, self.kinds()), (["NEXT"], ["renewed"]))

    def test_new_ca(self) -> None:
        """Another CA is told of, and our certificate is renewed by it; the one that we have already is no news."""
        self.connect()
        self.node.announced([])
        self.assertEqual((self.kinds(), self.asked), ([], []))
        self.renewal.follows = True
        self.node.announced([])
        self.assertEqual((self.kinds(), self.asked), (["ca"], ["server"]))

    def test_shown_everywhere(self) -> None:
        """The next certificate is shown to the server and to each relay."""
        self.connect()
        identity = cast(Identity, object())
        self.node.use(identity)
        self.assertEqual((self.server.used, self.mesh.relays.line.used), ([identity], [identity]))

    def test_leaves_the_server(self) -> None:
        """The session with the server ends with its link; when it is only called anew the session stays."""
        self.connect()
        for session, left in ((False, True), (True, False)):
            self.pump.tunnel.add_session("gw", b"n" * 16, Tuning())
            self.node.hang_up_on_server("its certificate ends", session=session)
            self.assertEqual("gw" in self.pump.tunnel.sessions, left)
        self.assertEqual((self.link.closed, self.kinds()), ("its certificate ends", ["server-left"]))

    def test_looks(self) -> None:
        """Peers are looked at too."""
        self.connect()
        self.node.look_at_certificates()
        self.assertEqual(self.mesh.looks, 1)
