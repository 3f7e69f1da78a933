"""Of several servers the nearest has the link, and the next one when it is gone."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.net.dial import Destination, Net
from morphnet.net.gate import Gate
from morphnet.net.tls import ClientTls, ServerTls
from morphnet.roles.client.servers import SET_ASIDE, STAY, Servers
from morphnet.roles.signalling.control_client import ControlClient, Link, Listener
from morphnet.roles.signalling.control_server import ControlServer, RefusedForNow
from morphnet.wire.messages.control import Goodbye, Hello
from tests.fakes_control import FakeListener, FakeOffice, Gateway
from tests.fakes_tls import SERVER
from tests.wire.messages.test_control import WELCOME

HERE, THERE = "gw1.example", "gw2.example"


class FakeOwner(FakeListener):
    """Has a session that works, or not."""

    works = False

    def stays(self) -> bool:
        return self.works


class FakeLine:
    """One server's line, and what was asked of it."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.is_calling = False
        self.said: list[Hello] = []

    def connect(self) -> Deferred[None]:
        self.is_calling = True
        return succeed(None)

    def close(self, reason: str = "") -> None:
        self.is_calling = False

    def prove(self) -> None:
        """The server proves itself, and is told who we are."""
        self.said.append(self.listener.hello())

    def welcome(self) -> None:
        """It takes us in."""
        self.prove()
        self.listener.welcomed(WELCOME, cast(Link, FakeLink()))

    def fail(self, reason: str = "no answer") -> None:
        """It is not there."""
        self.is_calling = False
        self.listener.failed(reason)


class FakeLink:
    """One that is up."""

    def export(self, context: bytes) -> bytes:
        return context


class ServersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now, self.lines, self.chosen = 1000.0, dict[str, FakeLine](), list[str]()
        self.owner = FakeOwner()
        self.servers = self.make(HERE, THERE)

    def make(self, *places: str) -> Servers:
        """These servers."""

        def line(place: str, listener: Listener) -> FakeLine:
            self.lines[place] = FakeLine(listener)
            return self.lines[place]

        return Servers(places, line, self.owner, lambda: self.now, self.chosen.append)

    def called(self) -> list[str]:
        """Those whose call is under way."""
        return [place for place, line in self.lines.items() if line.is_calling]

    def come_to(self, place: str) -> None:
        """A link with this one."""
        self.servers.connect()
        self.lines[place].welcome()
        self.owner.heard.clear()

    def lose(self, place: str) -> None:
        """The link is gone, and it is called again."""
        self.lines[place].listener.lost("connection lost")
        self.owner.heard.clear()
        self.servers.connect()

    def test_first_proof(self) -> None:
        """All are called; who proves itself first is told who we are, is named, and the others are let go."""
        self.servers.connect()
        self.assertEqual(self.called(), [HERE, THERE])
        self.lines[THERE].welcome()
        self.assertEqual((self.called(), self.lines[HERE].said), ([THERE], []))
        self.assertEqual((self.chosen, self.owner.heard), ([THERE], [("welcomed",)]))

    def test_place(self) -> None:
        """Who was spoken with last is known, also when its link is gone; until then it is the first."""
        self.assertEqual(self.servers.place, HERE)
        self.come_to(THERE)
        self.lose(THERE)
        self.assertEqual(self.servers.place, THERE)

    def test_all_fail(self) -> None:
        """A call has failed when all have; one that fails ends nothing."""
        self.servers.connect()
        self.lines[HERE].fail("no route")
        self.assertEqual(self.owner.heard, [])
        self.lines[THERE].fail("connection refused")
        self.assertEqual(self.owner.heard, [("failed", f"{THERE}: connection refused")])

    def test_gone(self) -> None:
        """One that is gone has STAY to come back, and then the next one is called as well."""
        self.come_to(HERE)
        self.lose(HERE)
        self.assertEqual(self.called(), [HERE])
        self.lines[HERE].fail()
        self.assertEqual(self.owner.heard, [("failed", f"{HERE}: no answer")])
        self.now += STAY
        self.servers.connect()
        self.assertEqual(self.called(), [HERE, THERE])
        self.lines[THERE].welcome()
        self.assertEqual(self.chosen, [HERE, THERE])

    def test_session_works(self) -> None:
        """While packets pass, a lost link moves nobody to another server."""
        self.come_to(HERE)
        self.owner.works = True
        self.lose(HERE)
        self.now += 100 * STAY
        self.servers.connect()
        self.assertEqual(self.called(), [HERE])
        self.owner.works = False
        self.servers.connect()
        self.assertEqual(self.called(), [HERE, THERE])

    def test_refused(self) -> None:
        """One that refuses us is not called for a while, though its session worked, and the next one is, at once."""
        self.come_to(HERE)
        self.owner.works = True
        self.lose(HERE)
        self.lines[HERE].prove()
        self.lines[HERE].listener.refused("revoked", None)
        self.assertEqual(self.owner.heard, [("failed", f"{HERE} refuses us: revoked")])
        self.servers.connect()
        self.assertEqual(self.called(), [THERE])
        self.lines[THERE].listener.refused("full", 5.0)
        self.assertEqual(self.owner.heard[1:], [("refused", "full", 5.0)])
        self.now += 5.0
        self.servers.connect()
        self.assertEqual(self.called(), [THERE])
        self.now += SET_ASIDE
        self.servers.connect()
        self.assertIn(HERE, self.called())

    def test_all_refuse(self) -> None:
        """When all have refused us, all are called when the time has come that the last one named."""
        for place in (HERE, THERE):
            self.servers.connect()
            self.lines[place].prove()
            self.lines[place].listener.refused("full", 30.0)
        self.assertEqual(self.owner.heard[-1], ("refused", "full", 30.0))
        self.servers.connect()
        self.assertEqual(self.called(), [HERE, THERE])

    def test_alone(self) -> None:
        """One server is what it always was."""
        self.servers = self.make(HERE)
        self.servers.connect()
        self.lines[HERE].listener.refused("full", 30.0)
        self.servers.connect()
        self.lines[HERE].fail()
        self.servers.connect()
        self.lines[HERE].welcome()
        self.lines[HERE].listener.signal(Goodbye("update"))
        self.lines[HERE].listener.lost("goodbye: update")
        heard = [
            ("refused", "full", 30.0),
            ("failed", "no answer"),
            ("welcomed",),
            ("signal", Goodbye("update")),
            ("lost", "goodbye: update"),
        ]
        self.assertEqual(self.owner.heard, heard)

    def test_given_up(self) -> None:
        """After `close` no call is under way."""
        self.servers.connect()
        self.servers.close()
        self.assertEqual(self.called(), [])


class WholeTests(SynchronousTestCase):
    """Two gateways of one network, in memory."""

    def setUp(self) -> None:
        self.gateway, self.owner = Gateway(), FakeOwner()
        self.net = self.gateway.net
        self.offices = {"192.0.2.1": self.gateway.office, "192.0.2.2": FakeOffice()}
        tls = ServerTls(self.gateway.ca.identity("second", SERVER), lambda peer: False)
        self.net.servers["192.0.2.2"] = ControlServer(tls, self.offices["192.0.2.2"], Gate(self.net)).factory
        ours = ClientTls(self.gateway.laptop, "gateway", others=("second",))

        def line(place: str, listener: Listener) -> ControlClient:
            return ControlClient(cast(Net, self.net), ours, Destination(place, 8443), listener)

        self.servers = Servers(list(self.offices), line, self.owner, self.net.seconds, lambda place: None)

    def connect(self) -> list[str]:
        """Call: the gateways that have heard from us, once more for each Hello."""
        self.servers.connect()
        self.net.pass_by(1)
        return [host for host, office in self.offices.items() for _ in office.hellos]

    def test_one_hello(self) -> None:
        """Both prove themselves in one breath, and one is told who we are."""
        self.assertEqual(len(self.connect()), 1)
        self.assertEqual(self.owner.heard, [("welcomed",)])

    def test_next(self) -> None:
        """The second is taken where the first is not there, or refuses us."""
        self.offices["192.0.2.1"].refuse = RefusedForNow("full", 30.0)
        self.offices["192.0.2.2"].refuse = Refused("no")
        self.connect()
        self.offices["192.0.2.2"].refuse = None
        del self.net.servers["192.0.2.1"]
        self.assertEqual(self.connect()[-1:], ["192.0.2.2"])
