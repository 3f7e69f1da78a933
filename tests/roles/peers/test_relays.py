"""Lines to relays: which is the nearest, and who hears what is told on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from morphnet.host.uplinks import Uplink
from morphnet.pki.authority import Description
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.peers.outside import Outside
from morphnet.roles.peers.relays import MEETINGS_AT_ONCE, MOST_CALLED, Relays
from morphnet.roles.peers.surroundings import Line
from morphnet.roles.signalling.relay_client import Listener, RelayClient
from morphnet.tunnel.carrier import RELAYED
from morphnet.wire.batch import Departure
from morphnet.wire.messages.relay import Drain, Notice, Present, Registered, Renewed
from morphnet.wire.messages.revocations import BEFORE, PartsWanted
from tests.roles.peers.fakes import INSTANCE, PlaneTestCase

WIFI = Uplink("wifi", 2, True, ("192.168.1.2",), (), "192.168.1.1", None, 1500, 100)


class FakeRelay:
    """The line to one; the test says what happens on it."""

    group, port, sent_bytes, received_bytes = "X25519MLKEM768", 443, 3, 4

    def __init__(self, place: str, number: int) -> None:
        self.host, self.number, self.local, self.address = place, number, "192.168.1.2", "203.0.113.1"
        self.peers: dict[str, Present] = {}
        self.answer: Registered | None = None
        self.peer: Description | None = None
        self.did: list[str] = []
        self.tls = f"tls of {place}"

    def connect(self) -> None:
        self.did.append("connect")

    def close(self) -> None:
        self.did.append("close")

    def prove(self, within: float) -> None:
        self.did.append("prove")

    def drop(self, reason: str) -> None:
        self.did.append("drop")

    def renew(self, request: object) -> None:
        self.did.append("renew")

    def send(self, departures: Sequence[Departure]) -> None:
        """What is sent goes nowhere."""


class FakeLists:
    """Of what is revoked."""

    number = 5

    def __init__(self) -> None:
        self.told: list[str] = []

    def joined(self, link: object, number: int) -> None:
        self.told.append(f"joined {number}")

    def left(self, link: object) -> None:
        self.told.append("left")

    def heard(self, link: object, message: object) -> None:
        self.told.append("heard")


class FakeOutside:
    """How far each relay is."""

    def __init__(self) -> None:
        self.rtts: dict[int, float] = {}
        self.there: list[int] = []
        self.hurried = 0

    def rtt(self, relay: FakeRelay) -> float | None:
        """What the test has set; None for other relays."""
        return self.rtts.get(relay.number)

    def joined(self, relay: FakeRelay, answer: Registered) -> None:
        self.there.append(relay.number)

    def left(self, relay: FakeRelay) -> None:
        self.there.remove(relay.number)

    def echo_of(self, relay: FakeRelay) -> None:
        """No relay has an echo here."""

    def hurry(self) -> None:
        self.hurried += 1


class FakeEars:
    """The peers, and whose relays they are."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def present(self, relay: Line, said: Present) -> None:
        self.heard.append(f"present {said.name}")

    def absent(self, relay: Line, name: str) -> None:
        self.heard.append(f"absent {name}")

    def handshake(self, relay: Line, name: str, content: bytes) -> None:
        self.heard.append(f"handshake {name}")

    def called(self, relay: Line, name: str) -> None:
        self.heard.append(f"called {name}")

    def relays_changed(self) -> None:
        self.heard.append("relays changed")

    def reached(self) -> None:
        self.heard.append("reached")

    def renewed(self, certificate: str) -> None:
        self.heard.append(f"renewed {certificate}")

    def noticed(self, text: str) -> None:
        self.heard.append(text)


class RelaysTestCase(PlaneTestCase):
    """Two of them, called."""

    def setUp(self) -> None:
        super().setUp()
        self.lists, self.outside, self.ears = FakeLists(), FakeOutside(), FakeEars()
        lists, outside = cast(RevocationExchange, self.lists), cast(Outside, self.outside)
        self.relays = Relays(self.around, self.pump, lists, outside, self.ears, self.ears)
        self.addCleanup(self.relays.stop)
        self.lines: list[FakeRelay] = []
        self.relays.start(["one.example", "two.example"], self.dial)
        self.one, self.two = self.lines

    def more(self, *places: str) -> list[str]:
        """The network has these relays now: those that are called."""
        before = len(self.lines)
        self.relays.start(places, self.dial)
        return [each.host for each in self.lines[before:]]

    def dial(self, place: str, number: int, listener: Listener) -> RelayClient:
        """A line."""
        self.lines.append(FakeRelay(place, number))
        return self.client(self.lines[-1])

    def client(self, relay: FakeRelay) -> RelayClient:
        """As the type says it."""
        return cast(RelayClient, relay)

    def up(self, *relays: FakeRelay, renews: bool = False) -> None:
        """The line is up, and bert is there."""
        for relay in relays:
            relay.answer = Registered(1, (), renews=renews)
            relay.peers = {"bert": Present(1, "bert", INSTANCE)}
            self.relays.registered(self.client(relay), relay.answer)

    def ranks(self) -> list[int]:
        """Of the two."""
        return [self.pump.carrier(relay.number).rank - RELAYED for relay in self.lines]


class LineTests(RelaysTestCase):
    def test_told(self) -> None:
        """A relay that the network has later is called once, not one that is called already; of very many the first."""
        self.assertEqual(self.more("two.example", "three.example", "three.example"), ["three.example"])
        self.assertEqual(self.more("three.example"), [])
        self.more(*(f"r{number}.example" for number in range(100)))
        self.assertEqual(len(self.lines), MOST_CALLED)

    def test_called(self) -> None:
        """Each is called at once, is a door, and hangs up at the end."""
        self.assertEqual([relay.did for relay in self.lines], [["connect"]] * 2)
        self.assertIs(self.pump.door(self.one.number), self.one)
        self.relays.stop()
        self.assertEqual([relay.did[-1] for relay in self.lines], ["close"] * 2)

    def test_again(self) -> None:
        """One that is lost, or not reached, is called again; who refuses us is told of."""
        self.relays.failed(self.client(self.one), "nobody there")
        self.up(self.two)
        self.relays.lost(self.client(self.two), "pulled out")
        self.clock.pump([1.0] * 10)
        self.assertEqual([relay.did[:2] for relay in self.lines], [["connect"] * 2] * 2)
        self.relays.refused(self.client(self.one), "no room", 5.0)
        self.assertEqual(self.history.kinds(), ["relay-up", "relay-lost", "relay-refused"])

    def test_up_and_lost(self) -> None:
        """With a line come lists and an echo, and go with it; who owns us may have a certificate renewed."""
        self.up(self.one)
        self.assertEqual((self.lists.told, self.outside.there), ([f"joined {BEFORE}"], [self.one.number]))
        self.assertEqual(self.ears.heard, ["reached"])
        self.relays.lost(self.client(self.one), "pulled out")
        self.assertEqual((self.lists.told[-1], self.outside.there), ("left", []))

    def test_network_changed(self) -> None:
        """A line whose address of ours is gone has to show life; one whose address is there need not."""
        self.two.local = "10.0.0.9"
        self.relays.uplinks_are([WIFI])
        self.assertEqual(["prove" in relay.did for relay in self.lines], [False, True])

    def test_shunned(self) -> None:
        """A line from an address that is to be left alone is hung up."""
        self.two.local = "10.0.0.9"
        self.relays.shun({"10.0.0.9"})
        self.assertEqual(["drop" in relay.did for relay in self.lines], [False, True])


class NearnessTests(RelaysTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.up(self.one, self.two)

    def having(self) -> list[str]:
        """Where bert is, the nearest first."""
        return [relay.host for relay in self.relays.having("bert")]

    def test_order(self) -> None:
        """As configured while nothing is known; then the nearest is first, and has the better rank."""
        self.assertEqual((self.having(), self.ranks()), (["one.example", "two.example"], [0, 1]))
        self.outside.rtts = {self.one.number: 0.09, self.two.number: 0.01}
        self.relays.rank()
        self.assertEqual((self.having(), self.ranks()), (["two.example", "one.example"], [1, 0]))

    def test_where_it_is(self) -> None:
        """Only those count that are up and have the peer."""
        self.one.answer, self.two.peers = None, {}
        self.assertEqual(self.having(), [])

    def test_goes_away(self) -> None:
        """One that goes away is the last to take, until it is reached again, and the peers are told."""
        self.relays.said(self.client(self.one), Drain(10.0, "new version"))
        self.assertEqual((self.having(), self.ranks()), (["two.example", "one.example"], [1, 0]))
        self.assertEqual((self.ears.heard[-1], self.history.kinds()[-1]), ("relays changed", "relay-drain"))
        self.up(self.one)
        self.assertEqual(self.having(), ["one.example", "two.example"])

    def test_budget(self) -> None:
        """One relay makes us begin so many handshakes and no more; another one has its own."""
        first, second = (self.client(each) for each in self.lines)
        self.assertEqual(sum(self.relays.may_meet(first) for _ in range(1000)), MEETINGS_AT_ONCE)
        self.assertTrue(self.relays.may_meet(second))
        self.assertEqual(self.history.counts["too_many_meetings"], 1000 - MEETINGS_AT_ONCE)


class SaidTests(RelaysTestCase):
    def test_words(self) -> None:
        """Each kind of message goes to whom it concerns."""
        one: Any = self.client(self.one)
        self.relays.said(one, Renewed("PEM"))
        self.relays.said(one, Notice("too many of you"))
        self.relays.said(one, PartsWanted(("a" * 64,)))
        self.relays.present(one, Present(1, "bert", INSTANCE))
        self.relays.handshake(one, "bert", b"x")
        self.relays.called(one, "bert")
        self.relays.absent(one, "bert")
        said = ["renewed PEM", "relay one.example says: too many of you"]
        self.assertEqual(self.ears.heard, [*said, "present bert", "handshake bert", "called bert", "absent bert"])
        self.assertEqual(self.lists.told, ["heard"])

    def test_register(self) -> None:
        """We say who we are, whom we want, and which list we have."""
        words = self.relays.register()
        self.assertEqual((words.name, words.instance, words.watch), ("anna", INSTANCE, ("*",)))
        self.assertEqual((words.revocations, words.notices), (FakeLists.number, True))

    def test_renewing(self) -> None:
        """Those are asked for a certificate that are up and have them renewed."""
        self.up(self.one)
        self.up(self.two, renews=True)
        (ask,) = self.relays.renewing()
        ask(cast(Any, "request"))
        self.assertEqual(self.two.did[-1], "renew")
        self.assertEqual(self.relays.shows(), ["tls of one.example", "tls of two.example"])

    def test_certificates(self) -> None:
        """A relay whose certificate has expired is hung up on, and no other."""
        for relay, ends in ((self.one, 1.0), (self.two, -1.0)):
            relay.peer = Description(relay.host, "server", "1", 0.0, self.around.wall() + ends)
        self.relays.look_at_certificates()
        self.assertEqual(["drop" in relay.did for relay in self.lines], [False, True])

    def test_status(self) -> None:
        """Each is shown with how it stands."""
        self.up(self.one)
        self.two.address = ""
        one, two = self.relays.statuses()
        self.assertEqual((one.name, one.address, one.peers), ("one.example", "203.0.113.1:443", 1))
        self.assertEqual((two.address, two.peers), ("", 0))
        self.assertEqual([relay.host for relay, _, _ in self.relays.standing()], ["one.example", "two.example"])
