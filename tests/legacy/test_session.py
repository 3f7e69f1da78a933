"""A session of the original: its address, and what may move it."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from morphnet.legacy.session import Session
from morphnet.legacy.templates import GAME, KCP, QUIC
from morphnet.wire.batch import Endpoint
from tests.legacy.test_control import HANDSHAKE

HOME, AWAY, THIRD = Endpoint("192.0.2.1", 5000), Endpoint("198.51.100.9", 6000), Endpoint("198.51.100.9", 6001)
SERVER = Endpoint("203.0.113.1", 40000)


def pair(template: int = QUIC) -> tuple[Session, Session]:
    """A client's end and a server's."""
    handshake = replace(HANDSHAKE, template=template, first=65530)
    chance = random.Random(3).randbytes
    return Session(handshake, SERVER, chance, now=0.0), Session(handshake, HOME, chance, now=0.0)


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client, self.server = pair()

    def sent(self, *texts: bytes) -> list[bytes]:
        """What the client sends."""
        return [each for text in texts for each in self.client.send(text, len(text), now=1.0, millis=0)]

    def test_both_ways(self) -> None:
        """Texts come out at the other end, for each template, and are counted."""
        for template in (QUIC, KCP, GAME):
            client, server = pair(template)
            sent = client.send(b"abcdef", 3, now=1.0, millis=5)
            self.assertEqual(server.receive(HOME, sent, now=2.0), [b"abc", b"def"])
            back = server.send(b"back", 4, now=3.0, millis=5)
            self.assertEqual(client.receive(SERVER, back, now=4.0), [b"back"])
            self.assertEqual((client.sent_bytes, server.received_bytes, server.sent_bytes), (6, 6, 4))
            self.assertEqual((server.heard_at, server.sent_at, client.heard_at), (2.0, 3.0, 4.0))

    def test_wrong_id(self) -> None:
        """What shows another id is dropped, from wherever it comes."""
        other = Session(replace(self.client.handshake, client=b"x" * 16), SERVER, bytes, now=0.0)
        datagrams = other.send(b"text", 4, now=0.0, millis=0)
        self.assertEqual(self.server.receive(HOME, datagrams, now=9.0), [])
        self.assertEqual(self.server.receive(AWAY, datagrams, now=9.0), [])
        self.assertEqual(
            (self.server.counts["legacy_wrong_id"], self.server.peer, self.server.heard_at), (2, HOME, 0.0)
        )

    def test_moves(self) -> None:
        """The next datagram from elsewhere moves the session; what was under way from before still comes."""
        first, late, moved, back = self.sent(b"first", b"late", b"moved", b"back")
        self.assertEqual(self.server.receive(HOME, [first], now=1.0), [b"first"])
        self.assertEqual(self.server.receive(AWAY, [moved], now=1.0), [b"moved"])
        self.assertEqual((self.server.peer, self.server.moves), (AWAY, 1))
        self.assertEqual(self.server.receive(HOME, [late], now=1.0), [b"late"])
        self.assertEqual(self.server.peer, AWAY)
        self.assertEqual(self.server.receive(HOME, [back], now=1.0), [b"back"])
        self.assertEqual((self.server.peer, self.server.moves), (HOME, 2))

    def test_first_elsewhere(self) -> None:
        """Behind many a NAT the handshake comes from another port than data: the first one moves it."""
        self.assertEqual(self.server.receive(AWAY, self.sent(b"x"), now=1.0), [b"x"])
        self.assertEqual((self.server.peer, self.server.called_from), (AWAY, HOME))

    def test_replay(self) -> None:
        """What was recorded moves nothing and reaches nobody, also where numbers have begun anew."""
        recorded = self.sent(*[b"%d" % number for number in range(10)])  # over the end of the numbers
        self.server.receive(HOME, recorded, now=1.0)
        self.assertEqual(self.server.receive(AWAY, recorded, now=2.0), [])
        self.assertEqual((self.server.peer, self.server.counts["legacy_elsewhere"]), (HOME, 10))

    def test_heartbeat(self) -> None:
        """It has no text, and is a sign of life; it moves the session too."""
        beat = self.client.heartbeat(now=5.0, millis=0)
        self.assertEqual(self.server.receive(AWAY, [beat], now=7.0), [])
        self.assertEqual((self.server.heard_at, self.server.peer, self.client.sent_at), (7.0, AWAY, 5.0))

    def test_called_again(self) -> None:
        """A handshake moves it, and the client may count from the beginning."""
        self.server.receive(HOME, self.sent(*[b"x"] * 5), now=1.0)
        self.server.called_again(AWAY, now=2.0)
        self.client.begin_anew()
        self.assertEqual((self.server.peer, self.server.moves, self.server.heard_at), (AWAY, 1, 2.0))
        self.assertEqual(self.server.receive(THIRD, self.sent(b"y"), now=3.0), [b"y"])
        self.assertEqual(self.server.peer, THIRD)

    def test_malformed(self) -> None:
        """Too short, and with a body that is none: counted, and no sign of life."""
        (good,) = self.sent(b"text")
        for bad in (b"", good[:10], good[:11], good[:13] + b"\x09" + good[14:], good[:11] + b"\x02"):
            self.assertEqual(self.server.receive(AWAY, [bad], now=9.0), [])
        self.assertEqual(
            (self.server.counts["legacy_malformed"], self.server.peer, self.server.heard_at), (5, HOME, 0.0)
        )

    @given(some.sampled_from((QUIC, KCP, GAME)), some.lists(some.binary(max_size=60), max_size=4), some.booleans())
    def test_anything(self, template: int, datagrams: list[bytes], shown: bool) -> None:
        """Whatever comes raises nothing, with the right id in front or without."""
        client, server = pair(template)
        head = client.heartbeat(now=0.0, millis=0)[:-1] if shown else b""
        texts = server.receive(HOME, [head + each for each in datagrams], now=1.0)
        self.assertLessEqual(len(texts), len(datagrams))
