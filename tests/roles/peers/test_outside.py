"""How relays see our sockets."""

from __future__ import annotations

from morphnet.roles.peers.outside import Outside
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import LINE, SERVER_REFLEXIVE, SYMMETRIC, Candidate
from morphnet.wire.messages.relay import Registered
from tests.roles.peers.fakes import PlaneTestCase

US, ELSEWHERE = Endpoint("198.51.100.2", 4000), Endpoint("198.51.100.2", 4001)


class FakeRelay:
    """A line to a relay that has an echo."""

    address, local = "203.0.113.1", "192.168.1.2"

    def __init__(self, number: int, *, echo: bool = True) -> None:
        self.number, where = number, (f"line 198.51.100.2 {number}",)
        self.answer: Registered | None = Registered(1, where)
        if echo:
            self.answer = Registered(1, where, 3478, echo_id=f"{number:016x}", echo_key=bytes(32).hex())


class OutsideTests(PlaneTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.outside = Outside(self.pump, self.around.entropy)
        self.outside.sockets_are({self.wifi.number: False, self.lte.number: False})

    def join(self, number: int = 70, *, echo: bool = True) -> FakeRelay:
        """The line to a relay is up."""
        relay = FakeRelay(number, echo=echo)
        assert relay.answer is not None
        self.outside.joined(relay, relay.answer)
        return relay

    def seen(self, relay: FakeRelay, door: int, *as_what: Endpoint, rtt: float = 0.02) -> None:
        """The relay's ports have seen that socket of ours."""
        client = self.outside.echo_of(relay)
        assert client is not None
        socket = client.sockets[door]
        socket.seen, socket.rtt, socket.answered_at = dict(enumerate(as_what)), rtt, self.clock.seconds()

    def test_asks(self) -> None:
        """Each socket asks a relay that has an echo, as soon as the line is up; and one that is opened later too."""
        self.join()
        self.clock.pump([0.01] * 5)
        self.assertTrue(self.wifi.sent and self.lte.sent)
        self.outside.sockets_are({self.wifi.number: False, self.lte.number: False, self.line.number: False})
        self.clock.pump([0.01] * 5)
        self.assertTrue(self.line.sent)

    def test_no_echo(self) -> None:
        """One that has none is not asked, and its line is known all the same."""
        relay = self.join(echo=False)
        self.clock.pump([0.01] * 5)
        self.assertEqual((self.wifi.sent, self.outside.rtt(relay)), ([], None))
        self.assertEqual(self.outside.lines(), [("192.168.1.2", Candidate(LINE, "198.51.100.2", 70))])

    def test_left(self) -> None:
        """With the line all that it told is gone."""
        relay = self.join()
        self.seen(relay, self.wifi.number, US)
        self.outside.left(relay)
        self.outside.left(relay)
        self.assertEqual((self.outside.candidates(), self.outside.lines(), self.tunnel.extensions), ([], [], {}))

    def test_places(self) -> None:
        """As what we are seen is where we may be reached, from several relays once."""
        for relay in (self.join(70), self.join(71)):
            self.seen(relay, self.wifi.number, US, US)
        self.assertEqual(self.outside.candidates(), [Candidate(SERVER_REFLEXIVE, *US[:2])])
        self.assertEqual((self.outside.varying_doors(), self.outside.varies(self.wifi.number)), ([], False))

    def test_varies(self) -> None:
        """A router that gives each destination another port is told as such, with its address."""
        relay = self.join()
        self.seen(relay, self.lte.number, US, ELSEWHERE)
        self.assertIn(Candidate(SYMMETRIC, US.host, 1), self.outside.candidates())
        self.assertEqual(self.outside.varying_doors(), [self.lte.number])
        self.assertEqual([self.outside.varies(door.number) for door in (self.wifi, self.lte)], [False, True])

    def test_blocked(self) -> None:
        """UDP is blocked when relays are reached, had the time to answer, and none did; not before."""
        self.assertFalse(self.outside.udp_is_blocked())
        relay = self.join()
        self.assertFalse(self.outside.udp_is_blocked())
        self.clock.pump([0.1] * 30)
        self.assertTrue(self.outside.udp_is_blocked())
        self.seen(relay, self.wifi.number, US)
        self.assertFalse(self.outside.udp_is_blocked())

    def test_hurry(self) -> None:
        """When it matters every socket asks anew at once."""
        self.join()
        self.clock.pump([0.1] * 60)
        self.wifi.sent.clear()
        self.outside.hurry()
        self.sessions.wake()
        self.clock.pump([0.01] * 5)
        self.assertTrue(self.wifi.sent)
