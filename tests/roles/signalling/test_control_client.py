"""The two ends of the control link together: how calls end, and what is said meanwhile."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError, Refused
from morphnet.net.dial import Destination, Net
from morphnet.net.ondevice import Source
from morphnet.net.tls import ClientTls, Identity
from morphnet.roles.signalling.control_client import ControlClient, NoLink, Pushed, TurnedAway, join
from morphnet.roles.signalling.control_server import RefusedForNow
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import Drain, Goodbye, Ids, Joined, Refusal, Renew, Renewed, Revoked, Scheduler
from morphnet.wire.messages.networks import Networks
from morphnet.wire.messages.trying import Tried, TryPort
from tests.fakes_control import CLIENT_HOST, SERVER_HOST, FakeListener, FakeNames, FakeNet, Gateway
from tests.fakes_portal import HttpPortal, Portal, SilentPortal
from tests.fakes_tls import CLIENT, INVITE, SERVER, FakeCa, serial_of


class ControlTestCase(SynchronousTestCase):
    """A gateway, and a client that calls it."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.net, self.office = self.gateway.net, self.gateway.office
        self.listener = FakeListener()
        self.client = self.make_client()

    def make_client(self, identity: Identity | None = None, name: str = "gateway") -> ControlClient:
        """A client that tells `listener`."""
        tls = ClientTls(identity or self.gateway.laptop, name)
        return ControlClient(cast(Net, self.net), tls, Destination(SERVER_HOST, 8443), self.listener)

    def connect(self, client: ControlClient | None = None) -> list[tuple[object, ...]]:
        """Call and see what comes of it."""
        decided = (client or self.client).connect()
        self.net.settle()
        self.successResultOf(decided)
        return self.listener.heard


class CallTests(ControlTestCase):
    """How a call ends."""

    def test_welcome(self) -> None:
        """A good client is welcomed; both ends know each other and have the same keys."""
        self.assertEqual(self.connect(), [("welcomed",)])
        (caller,) = self.office.callers
        link = self.client.link
        assert link is not None
        self.assertEqual((caller.name, caller.host, caller.local), ("laptop", CLIENT_HOST, SERVER_HOST))
        self.assertEqual((link.peer_host, link.local_host), (SERVER_HOST, CLIENT_HOST))
        self.assertEqual((caller.group, link.group), ("X25519MLKEM768", "X25519MLKEM768"))
        self.assertEqual(caller.serial, serial_of(self.gateway.laptop))
        self.assertEqual(self.office.keys, [self.listener.key])
        self.assertNotEqual(link.export(b"a"), link.export(b"b"))

    def test_keys_differ_by_connection(self) -> None:
        """Every connection has other keys."""
        self.connect()
        self.connect()
        self.assertEqual(len(set(self.office.keys)), 2)

    def test_office_refuses(self) -> None:
        """The reason of a refusal reaches the client, with the time after which to try again."""
        self.office.refuse = Refused("pool exhausted")
        self.assertEqual(self.connect(), [("refused", "pool exhausted", None)])
        self.listener.heard.clear()
        self.office.refuse = RefusedForNow("too many sessions", 30.0)
        self.assertEqual(self.connect(), [("refused", "too many sessions", 30.0)])
        self.net.pass_by(3)
        self.assertEqual(self.gateway.server.counters()["control_links"], 0)

    def test_office_breaks(self) -> None:
        """A fault of ours is logged and the client asked to come back."""
        self.office.broken = ZeroDivisionError()
        self.assertEqual(self.connect(), [("refused", "internal error", 5.0)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_office_has_trouble(self) -> None:
        """A full disk of the server's is a sentence in its log; the client is told when to come back."""
        self.office.broken = HostError("the database /x: disk is full")
        self.assertEqual(self.connect(), [("refused", "the server has trouble of its own", 5.0)])
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_revoked(self) -> None:
        """A revoked certificate is refused, and the client told so."""
        self.gateway.revoked.add(serial_of(self.gateway.laptop))
        self.assertEqual(self.connect(), [("refused", "certificate revoked", None)])
        self.assertEqual(self.gateway.server.admission.complaints.counts, {"certificate revoked": 1})
        self.assertEqual(self.office.hellos, [])

    def test_certificates_not_accepted(self) -> None:
        """Expired, future, foreign and wrong-usage client certificates never reach the office."""
        made = self.gateway.ca.identity
        foreign = FakeCa().identity("laptop", CLIENT, trust=self.gateway.ca.pem)
        for identity in (
            made("laptop", CLIENT, days=(-2, -1)),
            made("laptop", CLIENT, days=(1, 2)),
            made("laptop", SERVER),
            made("laptop"),
            foreign,
        ):
            self.listener.heard.clear()
            ((outcome, *reason),) = self.connect(self.make_client(identity))
            self.assertEqual((outcome, reason[1:]), ("refused", [None]), reason)
        self.assertEqual(self.office.hellos, [])
        self.assertEqual(sum(self.gateway.server.admission.complaints.counts.values()), 5)

    def test_wrong_server(self) -> None:
        """A server of another name is not talked to."""
        self.assertEqual(self.connect(self.make_client(name="other")), [("failed", "certificate of another name")])
        self.assertEqual(self.office.hellos, [])

    def test_another_network(self) -> None:
        """A server that takes leave without a word, as we knock for another network, is told from a broken line."""
        ((outcome, reason),) = self.connect(self.make_client(FakeCa().identity("laptop", CLIENT)))
        self.assertEqual((outcome, "does not know our network" in str(reason)), ("failed", True), reason)

    def test_foreign_name(self) -> None:
        """A client may only say Hello by its certificate's name."""
        self.listener.name = "desktop"
        self.assertEqual(self.connect(), [("refused", "name is not the certificate's", None)])
        self.assertEqual(self.office.hellos, [])

    def test_invite_says_hello(self) -> None:
        """An invitation does not open a session."""
        invite = self.gateway.ca.identity("laptop", INVITE)
        ((outcome, _),) = self.connect(self.make_client(invite))
        self.assertEqual(outcome, "failed")
        self.assertEqual(self.office.hellos, [])

    def test_nobody_there(self) -> None:
        """A refused connection is told as such."""
        self.net.refusing.add(SERVER_HOST)
        self.assertEqual(self.connect(), [("failed", "connection refused")])

    def test_given_up(self) -> None:
        """After `close` nothing more is heard, wherever the call was."""
        self.office.hold = Deferred()
        for settled in (False, True):
            decided = self.client.connect()
            if settled:
                self.net.settle()
            self.client.close()
            self.net.settle()
            self.successResultOf(decided)
        self.assertEqual(self.listener.heard, [])
        self.assertEqual(self.gateway.server.counters()["control_links"], 0)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_server_silent(self) -> None:
        """A server that takes the connection and says nothing is given up in time."""
        self.office.hold = Deferred()
        self.client.connect()
        self.net.pass_by(11)
        ((outcome, reason),) = self.listener.heard
        self.assertEqual(outcome, "failed")
        self.assertIn(reason, ("hello took too long", "connection lost", "closed by the other side"))


class PortalTests(ControlTestCase):
    """One of two uplinks leads to somebody who answers for everybody."""

    CAFE, HOME = "198.51.100.7", "198.51.100.8"  # addresses of ours

    def setUp(self) -> None:
        super().setUp()
        self.told: list[tuple[str, bool]] = []
        self.sources = [Source("wlan0", self.CAFE), Source("eth0", self.HOME)]

    def start(self, portal: IProtocolFactory, turn: int) -> None:
        """A client that begins with another uplink each time calls; the server is told wrongly in the cafe."""
        self.net.portals[self.CAFE] = portal
        names, sources, first = FakeNames(), self.sources, turn % len(self.sources)
        to = Destination(
            "gateway",
            8443,
            lambda: sources[first:] + sources[:first],
            names,
            FakeNet.on_device,
            lambda *told: self.told.append(told),
        )
        client = ControlClient(cast(Net, self.net), ClientTls(self.gateway.laptop, "gateway"), to, self.listener)
        client.connect()
        names.tell("10.0.0.1", device="wlan0")
        self.net.settle()
        names.tell(SERVER_HOST, device="eth0")
        self.net.pass_by(2, 0.25)

    def test_every_start(self) -> None:
        """Of 12 starts 12 come to the server in 2 s; others in its place see no certificate and are told nothing."""
        portal = Portal(self.net)
        others = [cast(IProtocolFactory, Factory.forProtocol(kind)) for kind in (HttpPortal, SilentPortal)]
        for turn in range(12):
            self.start([portal.factory, *others][turn % 3], turn)
        self.assertEqual(self.listener.heard, [("welcomed",)] * 12)
        self.assertEqual(len(self.office.hellos), 12)
        self.assertEqual((portal.shown, portal.heard), (set(), b""))
        self.assertEqual(self.told.count(("eth0", True)), 12)
        self.assertIn(("wlan0", False), self.told)
        self.assertNotIn(("wlan0", True), self.told)
        self.assertNotIn(("eth0", False), self.told)

    def test_portal_alone(self) -> None:
        """Where there is no other uplink the call fails, and says why."""
        self.sources.pop()
        self.start(Portal(self.net).factory, 0)
        self.assertEqual(self.listener.heard, [("failed", "certificate of a foreign CA")])
        self.assertEqual(self.told, [("wlan0", False)])


class UpTests(ControlTestCase):
    """A link that is up."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.listener.heard.clear()
        (self.caller,) = self.office.callers

    def test_push(self) -> None:
        """What the server pushes is heard, in order."""
        pushed: tuple[Pushed, ...] = (
            Ids(("ab" * 20,)),
            Drain(5.0, "update"),
            Scheduler("best"),
            Advice(("10.73.0.1",)),
            Networks(()),
            Tried("00" * 16, True),
        )
        for signal in pushed:
            self.caller.send(signal)
        self.net.settle()
        self.assertEqual(self.listener.heard, [("signal", signal) for signal in pushed])

    def test_try_port(self) -> None:
        """A question for a port reaches the office, which sees that the client is where its link comes from."""
        assert self.client.link is not None
        self.client.link.send(TryPort(4000, "00" * 16))
        self.net.settle()
        self.assertEqual((self.office.signals, self.caller.direct), ([TryPort(4000, "00" * 16)], True))

    def test_scheduler(self) -> None:
        """What the client asks for reaches the office."""
        assert self.client.link is not None
        self.client.link.send(Scheduler("redundant"))
        self.net.settle()
        self.assertEqual(self.office.signals, [Scheduler("redundant")])

    def test_renew(self) -> None:
        """A renewal brings a certificate; a refused one does not end the link."""
        assert self.client.link is not None
        self.client.link.send(Renew("CSR"))
        self.net.settle()
        self.office.refuse = Refused("not your key")
        self.client.link.send(Renew("CSR"))
        self.net.settle()
        self.assertEqual(self.listener.heard, [("signal", Renewed("NEXT")), ("signal", Refusal("not your key", None))])

    def test_revoked_while_up(self) -> None:
        """A revocation is pushed, then the link ends."""
        self.caller.finish(Revoked("stolen"), "certificate revoked")
        self.net.settle()
        self.assertEqual(self.listener.heard, [("signal", Revoked("stolen")), ("lost", "revoked: stolen")])
        self.assertEqual(self.office.went, ["certificate revoked"])

    def test_client_hangs_up(self) -> None:
        """The office hears the client's Goodbye, and that it is gone; the client hears nothing."""
        self.client.close("switched off")
        self.net.settle()
        self.assertEqual(self.office.signals, [Goodbye("switched off")])
        self.assertEqual(self.office.went, ["goodbye switched off"])
        self.assertEqual(self.listener.heard, [])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_server_stops(self) -> None:
        """All links end with a Goodbye; the server knows when they have."""
        stopped = self.gateway.server.close("update")
        self.net.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.listener.heard[-1], ("lost", "goodbye: update"))
        self.assertEqual(self.office.went, ["update"])

    def test_cut(self) -> None:
        """A connection that breaks is told to both."""
        self.net.pumps[-1].serverIO.loseConnection()
        self.net.settle()
        self.assertEqual(self.listener.heard, [("lost", "connection lost")])
        self.assertEqual(self.office.went, ["connection lost"])


class JoinTests(ControlTestCase):
    """An invitation is traded for a certificate."""

    def test_join(self) -> None:
        """The office sees the invitation's serial and name, the newcomer gets its certificate."""
        invite = self.gateway.ca.identity("phone", INVITE)
        tls = ClientTls(invite, "gateway")
        joining = Deferred.fromCoroutine(join(cast(Net, self.net), tls, Destination(SERVER_HOST, 8443), lambda: "CSR"))
        self.net.settle()
        self.assertEqual(self.successResultOf(joining), Joined("CERTIFICATE", "CA"))
        self.assertEqual(self.office.joined, [(serial_of(invite), "phone", "CSR")])
        self.net.settle()
        self.assertEqual(self.gateway.server.counters()["control_links"], 0)

    def test_refused(self) -> None:
        """A used invitation is refused with its reason."""
        self.office.refuse = Refused("invitation used already")
        tls = ClientTls(self.gateway.ca.identity("phone", INVITE), "gateway")
        joining = Deferred.fromCoroutine(join(cast(Net, self.net), tls, Destination(SERVER_HOST, 8443), lambda: "CSR"))
        self.net.settle()
        self.assertEqual(self.failureResultOf(joining, TurnedAway).value.reason, "invitation used already")

    def test_client_may_not(self) -> None:
        """A client's certificate is no invitation."""
        tls = ClientTls(self.gateway.laptop, "gateway")
        joining = Deferred.fromCoroutine(join(cast(Net, self.net), tls, Destination(SERVER_HOST, 8443), lambda: "CSR"))
        self.net.settle()
        self.failureResultOf(joining, NoLink)
        self.assertEqual(self.office.joined, [])
