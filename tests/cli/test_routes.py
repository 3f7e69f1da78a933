"""`morphnet routes`, while no server runs: with one it is in tests.lab.test_networks."""

from __future__ import annotations

import json

from morphnet.cli import routes as module
from morphnet.cli.layout import now
from morphnet.rendezvous.advertising import ASKED
from morphnet.status import NetworksStatus, NetworkStatus
from morphnet.store.base import CertificateRecord
from tests.cli.case import CommandCase

LAN = "192.168.7.0/24"


class RoutesTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.init()
        with self.ledger() as ledger:
            ledger.add_certificate(CertificateRecord("1f", "laptop", "client", int(now()) + 1000))

    def test_approve(self) -> None:
        """It is written down, for the next start; what it is called like stays the same."""
        self.assertIn("no network is behind a client", self.good("routes").stdout)
        said = self.good("routes", "approve", "laptop", LAN).stdout
        self.assertEqual(said.strip(), f"{LAN} is approved behind laptop: the server does not run here now: it holds"
                         " from its next start on")  # fmt: skip
        self.assertIn("already", self.good("routes", "approve", "laptop", LAN).stdout)
        self.assertIn(LAN, self.good("routes").stdout)
        (found,) = json.loads(self.good("routes", "--json").stdout)["networks"]
        self.assertEqual((found["network"], found["client"], found["state"]), (LAN, "laptop", "idle"))
        with self.ledger() as ledger:
            self.assertEqual(ledger.approved(), [("laptop", LAN)])

    def test_revoke(self) -> None:
        """And taken away again, once."""
        self.good("routes", "approve", "laptop", "fd07::/64")
        self.assertIn(
            "is not approved behind laptop any more", self.good("routes", "revoke", "laptop", "fd07::/64").stdout
        )
        self.assertIn("is not approved behind laptop", self.bad("routes", "revoke", "laptop", "fd07::/64"))

    def test_asked(self) -> None:
        """What waits for an approval is told with the command that gives it."""
        waiting = NetworksStatus((NetworkStatus(LAN, "laptop", ASKED, "is not approved"),))
        self.patch(module, "_told", lambda place: waiting)
        self.assertIn(f"morphnet routes approve laptop {LAN}", self.good("routes").stdout)

    def test_wrong(self) -> None:
        """What is no network, all the world, or behind nobody that is known, is refused in one sentence."""
        self.assertIn("is no network like", self.bad("routes", "approve", "laptop", "192.168.7.1/24"))
        self.assertIn("is too large", self.bad("routes", "approve", "laptop", "0.0.0.0/0"))
        self.assertIn("no certificate was given to a client 'ghost' here", self.bad("routes", "approve", "ghost", LAN))
