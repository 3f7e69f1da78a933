"""What a coordinator lets be done to the homes it knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from morphnet.rendezvous.home.registry import DEAD_AFTER, KEEPALIVE, UNCONFIRMED
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home import datagrams
from morphnet.wire.messages.home.calls import Call, Reply
from tests.rendezvous.home.case import HERE, HomeTestCase

CALL = Call("0123456789abcdef" * 2, "198.51.100.1", "x" * 5000)
ELSEWHERE = Endpoint("203.0.113.66", 6666)


class RegistryTests(HomeTestCase):
    def test_calls(self) -> None:
        """A call, longer than a datagram, is told the home once, and its answer comes back."""
        self.register()
        self.assertTrue(self.registry.tell(self.key, CALL))
        self.wait(0.1)
        self.assertEqual(self.calls, [CALL])
        self.home.reply(CALL.call, "y" * 5000)
        self.wait(0.1)
        self.assertEqual(self.replies, [(self.key, Reply(CALL.call, "y" * 5000))])

    def test_awake(self) -> None:
        """A home that has acknowledged a call is awake for its answer; one that pings sleeps at once."""
        self.register()
        self.home.look()
        self.wait(0.1)
        self.assertEqual(len(self.registry._awake), 0)
        self.registry.tell(self.key, CALL)
        self.wait(0.1)
        (awake,) = self.registry._awake.values()
        self.assertTrue(awake.quiet)
        self.registry.expire()
        self.assertEqual(list(self.registry._awake.values()), [awake])
        self.wait(KEEPALIVE + 1)
        self.assertEqual((len(self.registry._awake), len(self.registry)), (0, 1))

    def test_losses(self) -> None:
        """Every third datagram is lost: still each call is told once."""
        self.register()
        self.loses = lambda datagram: (len(self.up) + len(self.down)) % 3 == 0
        for _ in range(3):
            self.registry.tell(self.key, CALL)
        self.wait(15.0)
        self.assertEqual(self.calls, [CALL] * 3)

    def test_nobody(self) -> None:
        """Who is not here is told nothing."""
        self.assertFalse(self.registry.tell(self.key, CALL))

    def test_strangers(self) -> None:
        """Who does not know the coordinator's key gets no answer, nor does garbage."""
        self.registry.received(ELSEWHERE, datagrams.encode(datagrams.Hello(b"tagtagta", bytes(16))))
        self.registry.received(ELSEWHERE, b"\x01\xff")
        self.registry.received(ELSEWHERE, b"")
        self.assertEqual(self.down, [])
        self.assertEqual(self.registry.counts, {"home_forged": 1, "home_malformed": 2})

    def test_recorded(self) -> None:
        """All that a home ever sent, sent again from elsewhere or from its own address, changes nothing."""
        self.register()
        (home,) = self.registry.homes()
        for where in (ELSEWHERE, HERE):
            for datagram in list(self.up):
                self.registry.received(where, datagram)
        (after,) = self.registry.homes()
        self.assertEqual((after.key, after.index, after.where), (home.key, home.index, HERE))
        self.registry.tell(self.key, CALL)
        self.wait(0.1)
        self.assertEqual(self.calls, [CALL])

    def test_moves(self) -> None:
        """A home whose address has changed is reached at the new one with its next datagram."""
        self.register()
        self.where = ELSEWHERE
        self.home.look()
        self.wait(0.1)
        self.registry.tell(self.key, CALL)
        self.wait(0.1)
        self.assertEqual((self.calls, self.registry.counts["home_moved"]), ([CALL], 1))

    def test_invitation(self) -> None:
        """Without one a home that nobody knows is turned away, and is told why."""
        self.home = self.make_home("")
        self.home.start()
        self.wait(0.2)
        self.assertEqual((self.home.state, len(self.registry)), ("refused: no invitation", 0))
        self.guests.known.add(self.key)
        self.wait(61.0)
        self.assertEqual((self.home.state, len(self.registry)), ("registered", 1))

    def test_expires(self) -> None:
        """A home that falls silent is forgotten; one that says goodbye at once."""
        self.register()
        self.loses = lambda datagram: True
        self.clock.advance(DEAD_AFTER + 1)
        self.registry.expire()
        self.assertEqual(len(self.registry), 0)
        self.loses = lambda datagram: False
        self.wait(40.0)
        self.assertEqual(len(self.registry), 1)
        self.home.stop()
        self.wait(0.1)
        self.assertEqual(len(self.registry), 0)

    def test_unconfirmed_are_few(self) -> None:
        """Registrations that nobody goes on with take no more room than there is."""
        self.loses = lambda datagram: datagram[2] == datagrams.ACCEPT
        self.home.start()
        for _ in range(UNCONFIRMED + 20):
            self.wait(0.1)
            self.home._tries = 0
            self.home._hello()
        self.assertLessEqual(len(self.registry._awake), UNCONFIRMED)

    @given(st.binary(max_size=80))
    def test_garbage(self, garbage: bytes) -> None:
        """None of it is answered."""
        self.registry.received(ELSEWHERE, b"\xc7\x01" + garbage)
        self.assertEqual(self.down, [])
