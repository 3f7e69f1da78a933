"""A tunnel with several peers, and with those who have datagrams of their own on its doors."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.tunnel.events import Effects
from morphnet.tunnel.part import Part
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.header import TO_CLIENT, TO_SERVER
from tests.simulation import CLIENT4, SERVER4, SERVER_END, packet

HERE, THERE = b"askerone", b"askertwo"


class FakeExtension:
    """Wants its turn each `every` seconds, and notes what it got."""

    def __init__(self, every: float) -> None:
        self.every, self.next_at = every, every
        self.turns: list[float] = []
        self.heard: list[bytes] = []

    def due_at(self) -> float:
        """When it wants its next turn."""
        return self.next_at

    def tick(self, now: float, effects: Effects) -> None:
        """Note the turn if it is due, and wait for the next one."""
        if self.next_at <= now:
            self.turns.append(now)
            self.next_at = now + self.every

    def received(self, arrival: Arrival, datagram: bytes, now: float, effects: Effects) -> None:
        """Keep the datagram, and send nothing."""
        self.heard.append(datagram)


class TunnelTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tunnel = Tunnel(server=False, entropy=random.Random(1).randbytes)
        self.one, self.two = FakeExtension(3.0), FakeExtension(5.0)
        self.tunnel.extensions = {HERE: self.one, THERE: self.two}

    def session(self, peer: str, inner: tuple[bytes, ...] | None, *, part: Part | None = None) -> Session:
        """One with keys, a path and an id."""
        session = self.tunnel.add_session(peer, bytes(16), Tuning(), inner, part=part)
        session.install(bytes(32), bytes(32), 1, 0.0)
        return session

    def arrive(self, data: bytes, size: int = 0) -> None:
        """One receive."""
        self.tunnel.from_path([Arrival(1, Endpoint("203.0.113.9", 1), memoryview(data), size)], 0.0)


class ExtensionTests(TunnelTestCase):
    def test_by_id(self) -> None:
        """A datagram goes to the one whose id it starts with, also out of the middle of a batch; others to nobody."""
        self.arrive(HERE + bytes(56) + THERE + bytes(56) + b"stranger" + bytes(56) + HERE + b"short", 64)
        self.assertEqual(self.one.heard, [HERE + bytes(56), HERE + b"short"])
        self.assertEqual(self.two.heard, [THERE + bytes(56)])
        self.assertEqual(self.tunnel.counts, {"stranger": 1})

    def test_who_was_first(self) -> None:
        """An id is whose it was first: neither a session nor another extension takes it away."""
        session = self.session("phone", (SERVER4,))
        own = b"sessions" + bytes(12)
        self.assertEqual(session.learn([HERE + bytes(12), own]), [own])
        late = FakeExtension(1.0)
        self.assertFalse(self.tunnel.add_extension(HERE, late))
        self.assertFalse(self.tunnel.add_extension(own[:8], late))
        self.tunnel.drop_extension(HERE, late)
        self.arrive(HERE + bytes(92))
        self.arrive(own + bytes(92))
        self.assertEqual((len(self.one.heard), late.heard), (1, []))
        self.assertEqual((self.tunnel.counts["stranger"], self.tunnel.counts["ids_of_others"]), (0, 2))
        self.tunnel.drop_extension(HERE, self.one)
        self.assertTrue(self.tunnel.add_extension(HERE, late))

    def test_ids_of_another_session(self) -> None:
        """Ids that start like another session's stay its own, also when whoever gave them away is gone."""
        phone, evil = self.session("phone", (SERVER4,)), self.session("evil", (CLIENT4,))
        ids = [bytes((turn,)) * 20 for turn in range(4)]
        self.assertEqual(phone.learn(ids), ids)
        evil.add_ids([each[:8] + b"evil" * 3 for each in ids])
        self.assertEqual((list(evil.connection_ids.in_hand), evil.counts), ([], {"ids_of_others": 4}))
        self.tunnel.drop_session("evil")
        for each in ids:
            self.arrive(each + bytes(80))
        self.assertEqual(self.tunnel.counts["stranger"], 0)
        self.tunnel.drop_session("phone")
        self.arrive(ids[0] + bytes(80))
        self.assertEqual(self.tunnel.counts["stranger"], 1)

    def test_ids_twice(self) -> None:
        """Ids that come a second time are known already."""
        phone = self.session("phone", (SERVER4,))
        ids = [bytes((turn,)) * 20 for turn in range(4)]
        self.assertEqual((phone.learn(ids), phone.learn(ids), phone.counts), (ids, ids, {}))

    def test_nobody(self) -> None:
        """Without any, strangers and nonsense are counted as ever."""
        self.tunnel.extensions.clear()
        self.arrive(HERE + bytes(92))
        self.arrive(b"x")
        self.arrive(b"")
        self.assertEqual(self.tunnel.counts, {"stranger": 1, "malformed": 1})

    def test_turns(self) -> None:
        """Each has its turn when it wants it, with sessions and without, and no session has one before its time."""
        for sessions in (False, True):
            if sessions:
                session = self.session("phone", (SERVER4,))
                session.open_path(1, SERVER_END, "wan", 30.0, Effects())
                self.tunnel.poke(session, 30.0)
            for extension in (self.one, self.two):
                extension.turns.clear()
                extension.next_at = 30.0 + extension.every
            now = 30.0
            while now < 60:
                due = self.tunnel.next_timer()
                assert due is not None
                self.assertGreater(due, now - 1e-9)
                self.assertLessEqual(due, min(self.one.next_at, self.two.next_at))
                now = due
                self.tunnel.on_timer(now)
            self.assertEqual(self.one.turns[:9], [33.0 + 3 * turn for turn in range(9)])
            self.assertEqual(self.two.turns[:5], [35.0 + 5 * turn for turn in range(5)])

    def test_no_turn(self) -> None:
        """When nobody wants a turn there is none."""
        self.one.next_at = self.two.next_at = float("inf")
        self.assertIsNone(self.tunnel.next_timer())
        self.tunnel.on_timer(1e6)
        self.assertEqual(self.one.turns, [])


class PartTests(TunnelTestCase):
    """A client with its server and with its peers."""

    def test_parts(self) -> None:
        """A tunnel's sessions may play either part, each for itself."""
        parts = {None: TO_CLIENT, Part.CLIENT: TO_CLIENT, Part.CALLER: TO_CLIENT, Part.CALLED: TO_SERVER}
        for part, inward in parts.items():
            session = self.session(f"peer {part}", (CLIENT4,), part=part)
            self.assertEqual((session.part, session.inward), (part or Part.CLIENT, inward))

    def test_where_packets_go(self) -> None:
        """A packet goes to the peer that has its destination, else to the server; without one, to nobody."""
        phone = self.session("phone", (SERVER4,), part=Part.CALLED)
        self.tunnel.from_tun([memoryview(packet(1))], 0.0)
        self.tunnel.from_tun([memoryview(packet(2, up=False))], 0.0)
        self.assertEqual((phone.outbound.waiting, self.tunnel.counts["no_session"]), (True, 1))
        gateway = self.session("gateway", None)
        self.assertIs(self.tunnel.default, gateway)
        self.tunnel.from_tun([memoryview(packet(3, up=False))], 0.0)
        self.assertTrue(gateway.outbound.waiting)
        self.tunnel.drop_session("phone")
        self.tunnel.from_tun([memoryview(packet(4))], 0.0)
        self.tunnel.drop_session("gateway")
        self.assertIsNone(self.tunnel.default)
        self.tunnel.from_tun([memoryview(packet(5))], 0.0)
        self.assertEqual(self.tunnel.counts["no_session"], 2)

    def test_who_may_send(self) -> None:
        """A peer may send from its own inner addresses alone; the server from anywhere."""
        phone, gateway = self.session("phone", (SERVER4,)), self.session("gateway", None)
        self.assertEqual(phone.inbound.sources, frozenset((SERVER4,)))
        self.assertIsNone(gateway.inbound.sources)

    def test_address_taken_over(self) -> None:
        """An inner address that another peer has now stays its own when the first one goes."""
        self.session("old", (SERVER4,))
        new = self.session("new", (SERVER4,))
        self.tunnel.drop_session("old")
        self.tunnel.from_tun([memoryview(packet(1))], 0.0)
        self.assertTrue(new.outbound.waiting)

    def test_ended(self) -> None:
        """Who wants to know is told of each session that ends, whatever the reason."""
        ended: list[str] = []
        self.tunnel.ended = lambda session: ended.append(session.peer)
        self.session("phone", (SERVER4,))
        self.session("phone", (SERVER4,))
        self.tunnel.drop_session("phone")
        self.assertFalse(self.tunnel.drop_session("phone"))
        self.assertEqual(ended, ["phone", "phone"])
