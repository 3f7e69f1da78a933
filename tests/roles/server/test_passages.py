"""A client that reaches its server by a relay alone, from end to end in memory."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

from morphnet.net.dial import Destination, Net
from morphnet.net.gate import Gate
from morphnet.net.passage import NoPassage, PassageDial
from morphnet.net.proof import NotProven, proof_of, proving
from morphnet.net.tls import ClientTls, Identity, ServerTls
from morphnet.roles.certificates.bearers import Bearers
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.server.passages import MOST_COMING, Meetings
from morphnet.roles.signalling.control import PACE
from morphnet.roles.signalling.control_client import ClientLink, _Links
from morphnet.roles.signalling.control_server import ControlServer
from morphnet.wire.messages.control import Hello, Welcome
from morphnet.wire.messages.relay import Reach
from tests.fakes_control import SERVER_HOST, FakeOffice
from tests.fakes_relay import MANY, RelayTestCase
from tests.fakes_tls import CLIENT, SERVER


class PassagesTests(RelayTestCase):
    def setUp(self) -> None:
        """A relay, and a server that is at it."""
        super().setUp()
        self.office = FakeOffice()
        self.bearers = self.server(self.ca.identity("gateway", SERVER))
        self.net.settle()

    def server(self, identity: Identity) -> Bearers:
        """One that has called the relay."""
        tls = ServerTls(identity, lambda peer: False)
        self.control = ControlServer(tls, self.office, Gate(self.net), MANY)
        self.meetings = Meetings(cast(Net, self.net), self.control.factory)
        exchange = RevocationExchange(Revoked(list, Path(self.mktemp())), self.net, lambda: None)
        bearers = Bearers("gateway", exchange, self.net, lambda sentence: None)
        bearers.meet = self.meetings.asked
        bearers.start([f"{SERVER_HOST}:443"], lambda host: ClientTls(identity, "relay"))
        return bearers

    def call(self, wanted: str = "gateway") -> object:
        """What comes of a call of the laptop's for that server."""
        laptop = self.ca.identity("laptop", CLIENT)
        dial = PassageDial(
            cast(Net, self.net), ClientTls(laptop, "relay"), Destination(SERVER_HOST, 443), Reach("gateway")
        )

        def link() -> ClientLink:
            return ClientLink(self.net, PACE, "require", lambda: Hello("laptop", instance="0" * 16))

        factory = proving(ClientTls(laptop, wanted), _Links(link), self.net, 5.0)
        calling = dial.connect(factory, proof_of)
        found: list[object] = []
        calling.addBoth(found.append)
        self.net.settle()
        return found[0] if found else None

    def test_welcome(self) -> None:
        """The control link is as by TCP: TLS from end to end, a Hello, a Welcome."""
        link = self.call()
        assert isinstance(link, ClientLink), link
        self.net.settle()
        self.assertIsInstance(self.successResultOf(link.answer), Welcome)
        self.assertEqual(self.meetings.counters(), {"passages_met": 1, "passages_failed": 0})
        self.assertEqual(self.relay.counters()["passages"], 1)
        link.close()
        self.net.pass_by(10.0)
        self.assertEqual(self.relay.counters()["passages"], 0)

    def test_impostor(self) -> None:
        """Another server of the network that comes in its place fails in TLS, with the client and not before."""
        failure = self.call("another")
        self.assertIsInstance(getattr(failure, "value", None), NotProven)
        self.assertEqual(self.office.heard if hasattr(self.office, "heard") else [], [])

    def test_nobody(self) -> None:
        """Without a server there is a sentence."""
        self.bearers.stop()
        self.net.settle()
        failure = self.call()
        value = getattr(failure, "value", None)
        self.assertIsInstance(value, NoPassage)
        self.assertIn("no server", str(value))

    def test_bounded(self) -> None:
        """A relay that asks without end is gone to so often and no more."""
        (relay,) = self.bearers._machines
        for _ in range(MOST_COMING + 9):
            self.meetings.asked(relay, random.Random(1).randbytes(16).hex())
        self.assertEqual(self.meetings.counters()["passages_failed"], 9)
        self.meetings.close()
        self.assertEqual(self.meetings.counters()["passages_failed"], 9 + MOST_COMING)

    def tearDown(self) -> None:
        self.bearers.stop()
