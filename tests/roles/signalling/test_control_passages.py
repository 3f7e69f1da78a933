"""A client that calls its server directly, and through a relay where that fails."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from txaio.tx import config as autobahn_config

from morphnet.errors import Refused
from morphnet.net.dial import Destination, Net
from morphnet.net.tls import ClientTls
from morphnet.rendezvous.relay.passages import NO_SERVER
from morphnet.roles.signalling.control_client import ControlClient
from morphnet.roles.signalling.ways import HEAD_START
from morphnet.wire.messages.control import Goodbye
from tests.fakes_control import CLIENT_HOST, SERVER_HOST
from tests.fakes_passages import RELAY_HOST, MeetingPlace
from tests.fakes_tls import SERVER
from tests.roles.signalling.test_control_client import ControlTestCase


class PassageTests(ControlTestCase):
    """A relay that both know is the next way."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(autobahn_config, "loop", self.net)  # the one clock that Autobahn knows
        gateway = self.gateway
        self.place = MeetingPlace(self.net, gateway.ca, Path(self.mktemp()))
        self.meetings = self.place.serve(gateway.ca.identity("gateway", SERVER), gateway.server.factory)
        self.net.settle()
        self.client.passages = lambda: [self.place.dial(gateway.laptop)]
        self.net.called.clear()

    def tearDown(self) -> None:
        self.place.stop()

    def hosts(self) -> list[str]:
        """Who was called."""
        return [host for host, _ in self.net.called]

    def test_direct_first(self) -> None:
        """While the server answers no relay is called, and the link says so."""
        self.assertEqual(self.connect(), [("welcomed",)])
        self.net.pass_by(2 * HEAD_START)
        self.assertEqual(self.hosts(), [SERVER_HOST])
        assert self.client.link is not None
        self.assertEqual((self.client.link.relay, self.client.link.peer_host), ("", SERVER_HOST))

    def test_refused(self) -> None:
        """A server that TCP does not reach is met at the relay at once; the data plane is told its own address."""
        self.net.refusing.add(SERVER_HOST)
        self.assertEqual(self.connect(), [("welcomed",)])
        link = self.client.link
        assert link is not None
        self.assertEqual((link.relay, link.peer_host, link.local_host), (RELAY_HOST, SERVER_HOST, CLIENT_HOST))
        self.assertEqual(self.office.keys, [self.listener.key])
        self.assertEqual([caller.direct for caller in self.office.callers], [False])
        self.assertEqual(self.meetings.counters()["passages_met"], 1)
        self.assertEqual(self.place.relay.counters()["passages"], 1)

    def test_unknown_address(self) -> None:
        """Where the server is called by a name, its address is not known behind a relay."""
        tls = ClientTls(self.gateway.laptop, "gateway")
        client = ControlClient(cast(Net, self.net), tls, Destination("gateway", 8443), self.listener)
        client.passages = self.client.passages
        self.assertEqual(self.connect(client), [("welcomed",)])
        assert client.link is not None
        self.assertEqual((client.link.relay, client.link.peer_host), (RELAY_HOST, ""))

    def test_silent(self) -> None:
        """One that does not answer has a head start, and is given up when the relay has brought a link."""
        self.net.servers.pop(SERVER_HOST)
        self.client.connect()
        self.net.pass_by(HEAD_START - 0.5, 0.5)
        self.assertEqual(self.hosts(), [SERVER_HOST])
        self.net.pass_by(1.0, 0.5)
        self.assertEqual((self.listener.heard, self.net.open_calls), ([("welcomed",)], []))

    def test_given_up(self) -> None:
        """After `close` neither way is left, wherever the calls were."""
        self.net.servers.pop(SERVER_HOST)
        self.client.connect()
        self.net.pass_by(HEAD_START - 0.5, 0.5)
        self.net.advance(0.5)  # the relay is called, and has not answered
        self.client.close()
        self.net.pass_by(2.0)
        self.assertEqual((self.listener.heard, self.net.open_calls), ([], []))
        self.assertEqual(self.place.relay.counters()["passages"], 0)

    def test_hangs_up(self) -> None:
        """A link through a relay is hung up on as any other, and its passage ends."""
        self.net.refusing.add(SERVER_HOST)
        self.connect()
        self.client.close("switched off")
        self.net.pass_by(2.0)
        self.assertEqual((self.office.signals, self.office.went), ([Goodbye("switched off")], ["goodbye switched off"]))
        self.assertEqual(self.place.relay.counters()["passages"], 0)

    def test_neither(self) -> None:
        """When no way leads there it is told of each why not."""
        self.net.refusing |= {SERVER_HOST, RELAY_HOST}
        told = f"connection refused; relay {RELAY_HOST}: connection refused"
        self.assertEqual(self.connect(), [("failed", told)])
        self.place.stop()
        self.net.refusing.remove(RELAY_HOST)
        self.net.pass_by(2.0)
        self.listener.heard.clear()
        told = f"connection refused; relay {RELAY_HOST}: {NO_SERVER}"
        self.assertEqual(self.connect(), [("failed", told)])

    def test_turned_away(self) -> None:
        """A server that says no is believed, and not asked again through a relay."""
        self.office.refuse = Refused("pool exhausted")
        self.assertEqual(self.connect(), [("refused", "pool exhausted", None)])
        self.assertEqual(self.hosts(), [SERVER_HOST])

    def test_wrong_server(self) -> None:
        """Who comes to the relay in the server's place fails in TLS, as by TCP."""
        self.net.refusing.add(SERVER_HOST)
        client = self.make_client(name="other")
        client.passages = self.client.passages
        ((outcome, _),) = self.connect(client)
        self.assertEqual((outcome, self.office.hellos), ("failed", []))
