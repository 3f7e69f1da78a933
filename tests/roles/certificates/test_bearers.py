"""The lines by which the CA's host tells relays what is revoked."""

from __future__ import annotations

from pathlib import Path

from morphnet.net.tls import ClientTls
from morphnet.roles.certificates.bearers import Bearers
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.wire.messages.revocations import Revocations
from tests.fakes_control import SERVER_HOST
from tests.fakes_pki import NOW, an_authority
from tests.fakes_relay import RelayTestCase
from tests.fakes_tls import SERVER, serial_of


class BearersTests(RelayTestCase):
    def setUp(self) -> None:
        """A relay, and a server that knows of one list."""
        super().setUp()
        self.authority = an_authority()
        self.revocations = Revoked(lambda: [self.authority.certificate], Path(self.mktemp()))
        self.exchange = RevocationExchange(self.revocations, self.net, lambda: None)
        self.exchange.publish(self.authority.revocations({"1f"}, now=NOW))
        self.said: list[str] = []
        self.gateway = self.ca.identity("gateway", SERVER)
        self.bearers = Bearers("gateway", self.exchange, self.net, self.said.append)

    def start(self) -> None:
        """Call the relay."""
        tls = ClientTls(self.gateway, "relay", self.revocations.is_revoked)
        self.bearers.start([f"{SERVER_HOST}:443"], lambda host: tls)
        self.net.settle()

    def brought(self) -> list[Revocations]:
        """The lists that the relay was brought."""
        return [each[2] for each in self.lists.told if each[0] == "heard" and isinstance(each[2], Revocations)]

    def test_brought(self) -> None:
        """The relay is brought the list that we have, and each later one, also after it was restarted."""
        self.start()
        second = self.authority.revocations({"1f", "2e"}, now=NOW + 1)
        self.exchange.publish(second)
        self.net.settle()
        self.assertEqual([each.crl for each in self.brought()][-1], second.pem)
        self.assertEqual(len(self.brought()), 2)
        self.relay.close()
        self.serve()
        self.net.pass_by(5, 0.1)
        self.assertEqual([each.crl for each in self.brought()], [second.pem])
        self.bearers.stop()
        self.net.pass_by(5, 0.1)
        self.assertEqual((self.lists.told[-1], self.net.getDelayedCalls()), (("left", "gateway"), []))

    def test_once(self) -> None:
        """A relay that is called already is not called again; one that the settings name later is."""
        for _ in range(2):
            self.start()
        self.assertEqual(len(self.bearers._machines), 1)
        tls = ClientTls(self.gateway, "relay", self.revocations.is_revoked)
        self.bearers.start([f"{SERVER_HOST}:443", f"{SERVER_HOST}:444"], lambda host: tls)
        self.assertEqual(len(self.bearers._machines), 2)
        self.bearers.stop()

    def test_refused(self) -> None:
        """A relay that does not take servers refuses us: the operator can read it, and we try again."""
        self.revoked.add(serial_of(self.gateway))
        self.start()
        self.assertIn("does not let us", self.said[-1])
        self.revoked.clear()
        self.net.pass_by(90)
        self.assertEqual(len(self.brought()), 1)
        self.bearers.stop()

    def test_relay_is_good_no_more(self) -> None:
        """A relay whose certificate has ended, or is revoked, is hung up on."""
        self.start()
        self.bearers.look(0.0)
        self.assertEqual(self.lists.told[-1][0], "heard")
        self.bearers.look(4e9)
        self.net.settle()
        self.assertEqual(self.lists.told[-1], ("left", "gateway"))
        self.bearers.stop()
