"""Home servers of the original at our coordinator."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from morphnet.legacy.homechannel.keys import plain
from morphnet.legacy.homechannel.servers import AGREED_AGE, DEAD_AFTER, MOST_AGREED, REFRESH
from morphnet.wire.batch import Endpoint
from tests.legacy.homechannel.case import GENERATIONS, Coordinator
from tests.legacy.homechannel.original import encrypt

STRANGER = Endpoint("203.0.113.9", 9)


class ServersTests(Coordinator):
    def test_generations(self) -> None:
        """Servers of both generations register with one coordinator, whose signature each of them has checked."""
        for generation in GENERATIONS:
            server = self.server(generation)
            self.assertEqual((server.state, server.registrations), ("registered", 1), generation)
        self.assertEqual([each.first for each in self.servers._servers.values()], [True, False, False])
        self.assertEqual(self.servers.counts, {"homechannel_registrations": 3})

    def test_keeps(self) -> None:
        """PING is answered and keeps it, HEARTBEAT replaces the challenge; who is silent is forgotten."""
        server = self.server()
        challenges = set()
        for _ in range(4):
            self.passes(600, server)
            server.heartbeat()
            challenges.add(self.browser(server).about()["challenge"])
            self.assertTrue(self.logs_in(server))
        self.assertEqual((server.registrations, server.pongs, len(challenges)), (1, 80, 4))
        self.passes(60)
        self.assertFalse(self.browser(server).about()["online"])
        self.passes(DEAD_AFTER)
        self.assertIsNone(self.browser(server).about())

    def test_five(self) -> None:
        """Five at once, for an hour: each stays, and is introduced to whom it belongs to."""
        servers = [self.server() for _ in range(5)]
        for _ in range(6):
            self.passes(600, *servers)
            for server in servers:
                server.heartbeat()
                self.assertTrue(self.logs_in(server))
        self.assertEqual({each.registrations for each in servers}, {1})

    def test_lost_heartbeat(self) -> None:
        """
        One lost HEARTBEAT takes the original's server away for good. Here it registers again: with its first PING
        after an offer that it could not read, and where nobody offers when its next HEARTBEAT does not open.
        """
        for offered in (True, False):
            server = self.server()
            self.passes(600, server)
            self.loses = lambda datagram: datagram[1] == 7
            server.heartbeat()
            self.loses = lambda datagram: False
            if offered:
                self.assertFalse(self.logs_in(server))
                self.assertEqual(server.undecrypted, 1)
                session = next(iter(self.signalling._sessions))
                self.now += 13
                self.browser(server).poll(session)
            self.passes(30 if offered else 60, server)
            self.assertEqual(server.registrations, 2)
            self.assertTrue(self.logs_in(server))
            self.passes(REFRESH - 60, server)
            self.assertEqual(server.registrations, 2)

    def test_missed_heartbeats(self) -> None:
        """A HEARTBEAT that does not open is a sign of an earlier one that was lost."""
        server = self.server()
        self.loses = lambda datagram: datagram[1] == 7
        server.heartbeat()
        self.loses = lambda datagram: False
        server.heartbeat()
        self.passes(30, server)
        self.assertEqual((server.registrations, self.logs_in(server)), (2, True))

    def test_lost_handshake(self) -> None:
        """Whichever datagram of a registration is lost, the next attempt succeeds."""
        for kind in (1, 2, 3, 4, 5):
            gone: list[bytes] = []
            self.loses = lambda datagram, kind=kind, gone=gone: (  # type: ignore[misc]
                datagram[1] == kind and not gone and not gone.append(datagram)
            )
            server = self.server()
            self.assertEqual(server.state, "registering")
            server.hello()
            self.assertEqual((server.state, len(gone)), ("registered", 1))
            self.servers._servers.clear()

    def test_stray_error(self) -> None:
        """The original believes an 01 FF of anybody, and registers again; that costs nothing here. We believe none."""
        server = self.server()
        server.received(b"\x01\xff")
        self.assertEqual((server.state, server.registrations), ("registered", 2))
        where = next(iter(self.wires))
        for sender in (STRANGER, Endpoint(*where)):
            self.servers.received(sender, b"\x01\xff", self.now)
        self.assertTrue(self.logs_in(server))
        self.assertEqual(server.registrations, 2)

    def test_rebound(self) -> None:
        """A server whose NAT gives it another port is told to register, and is one server then."""
        server = self.server()
        self.moves(server)
        server.ping()
        self.assertEqual((server.registrations, len(self.servers)), (2, 1))
        self.assertTrue(self.logs_in(server))

    def test_restart(self) -> None:
        """A coordinator that has forgotten everything has its servers again after a PING."""
        server = self.server()
        self.servers._servers.clear()
        self.servers._at.clear()
        server.ping()
        self.assertTrue(self.logs_in(server))

    def test_turned_away(self) -> None:
        """Who is not admitted is not answered, and told to the operator; nor is one more than there may be."""
        self.assertEqual(self.server(admitted=False).state, "registering")
        self.assertIn("turned away", self.told[-1])
        states = [self.server().state for _ in range(6)]
        self.assertEqual(states, ["registered"] * 5 + ["registering"])
        self.assertEqual(self.servers.counts["homechannel_refused"], 2)

    def test_another_signature(self) -> None:
        """Nobody registers in the name of another; what was registered stays."""
        server, thief = self.server(), self.server()
        thief.curves.shown = server.curves.shown
        thief.hello()
        self.assertEqual((thief.state, self.servers.counts["homechannel_forged"]), ("registering", 1))
        self.assertTrue(self.logs_in(server))

    def test_no_cookie(self) -> None:
        """Without its cookie nobody makes us compute; too often nobody does either, and the table has an end."""
        curve = self.server().public
        for tag in (bytes(4), os.urandom(4)):
            self.servers.received(STRANGER, b"\x01\x03" + tag + bytes([len(curve)]) + curve, self.now)
        self.assertEqual(self.servers.counts["homechannel_forged"], 2)
        self.servers.may_agree = lambda host: False
        self.assertEqual((self.server().state, self.servers.counts["homechannel_refused"]), ("registering", 1))
        self.servers.may_agree = lambda host: True
        self.loses = lambda datagram: datagram[1] == 5
        for _ in range(3):
            self.server()
        self.assertLessEqual(len(self.servers._agreed), MOST_AGREED)
        self.servers.expire(self.now + AGREED_AGE + 1)
        self.assertEqual(len(self.servers._agreed), 0)

    def test_unknown_curve(self) -> None:
        """A key of another curve is answered with ERROR, as by the original; a HELLO never is."""
        answers: list[bytes] = []
        self.servers.send = lambda where, datagram: answers.append(datagram)
        self.servers.received(STRANGER, b"\x01\x01abc", self.now)
        self.servers.received(STRANGER, b"\x01\x01abcd", self.now)
        self.assertEqual([(each[:6], len(each)) for each in answers], [(b"\x01\x02abcd", 10)])
        self.servers.received(STRANGER, b"\x01\x03" + answers[0][6:] + b"\x03key", self.now)
        self.assertEqual(answers[1:], [b"\x01\xff"])

    def test_forged(self) -> None:
        """What is sealed with another key changes nothing but that the server is asked once to register again."""
        server = self.server()
        where = Endpoint(*next(iter(self.wires)))
        for kind in (5, 7, 8, 9, 10):
            self.servers.received(where, bytes([1, kind]) + encrypt(bytes(32), {"type": "heartbeat"}), self.now)
        self.assertTrue(self.logs_in(server))
        self.passes(60, server)
        self.assertEqual(server.registrations, 2)
        self.assertTrue(self.logs_in(server))

    def test_taken_place(self) -> None:
        """Another server at the place of one takes it over, and nothing that was meant for the first comes to it."""
        first, second = self.server(), self.server()
        places = {each: place for place, each in self.wires.items()}
        where = Endpoint(*places[first])
        self.wires[places[first]] = second
        second._send = lambda datagram: self.servers.received(where, datagram, self.now)
        second.hello()
        self.assertIsNone(self.servers.of(plain(first.curves.shown)))
        self.assertTrue(self.logs_in(second))

    @given(st.sampled_from([1, 3, 5, 6, 7, 8, 0xFF]), st.binary(max_size=200))
    def test_garbage(self, kind: int, payload: bytes) -> None:
        """Nothing is remembered of it."""
        self.servers.received(STRANGER, bytes([1, kind]) + payload, self.now)
        self.assertEqual((len(self.servers), len(self.servers._agreed)), (0, 0))
