"""The certificate that a server has shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.authority import Description
from morphnet.roles.certificates.server_certificate import COME_AGAIN, ServerCertificate

ENDS = 2000.0


class ServerCertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A server that has shown one."""
        self.revoked: set[str] = set()
        self.did: list[str] = []
        self.certificate = ServerCertificate(
            lambda peer: peer.serial in self.revoked, self.did.append, lambda: self.did.append("called anew")
        )
        self.show("01", ENDS)

    def show(self, serial: str, ends: float) -> None:
        """The server shows another one."""
        self.certificate.shown(Description("gateway", "server", serial, 0.0, ends))

    def look(self, now: float) -> list[str]:
        """What comes of a look at that time."""
        self.did.clear()
        self.certificate.look(now)
        return list(self.did)

    def test_expires(self) -> None:
        """The server is called anew once before the end, and left at the end, once."""
        soon = ENDS - COME_AGAIN
        self.assertEqual([self.look(at) for at in (0, soon - 1, soon, soon + 1)], [[], [], ["called anew"], []])
        self.show("01", ENDS)  # it has no other one
        self.assertEqual([self.look(at) for at in (ENDS - 1, ENDS, ENDS + 1)],
                         [[], ["the server's certificate has expired"], []])  # fmt: skip

    def test_renewed(self) -> None:
        """A server that shows a later one is not left."""
        self.look(ENDS - 1)
        self.show("02", 2 * ENDS)
        self.assertEqual(self.look(ENDS + 1), [])

    def test_revoked(self) -> None:
        """It is left at once when its certificate is revoked, and not when another one is."""
        self.revoked.add("02")
        self.assertEqual(self.look(0), [])
        self.revoked.add("01")
        self.assertEqual(self.look(0), ["the server's certificate was revoked"])

    def test_nobody(self) -> None:
        """Without a server there is nothing to leave."""
        self.certificate.shown(None)
        self.assertEqual(self.look(9e9), [])
