"""Strangers, forgers, replayers: what a tunnel does with datagrams that are not what they claim to be."""

from __future__ import annotations

import random
from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.errors import BugError
from morphnet.tunnel.events import Effects, Overrun, PathMoved
from morphnet.tunnel.tunnel import Tunnel
from morphnet.tunnel.validation import AMPLIFICATION
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.header import HANDSHAKE, SHORT_ID
from tests.simulation import SERVER_END, packet, read, renumbered, used_format
from tests.tunnel.scenes import Scene, way

STRANGER = Endpoint("192.0.2.66", 6666)


def arrive(scene: Scene, datagram: bytes, source: Endpoint = STRANGER, *, up: bool = True) -> Effects:
    """One datagram reaches an end from `source`; what that end does, which is not carried out."""
    tunnel = scene.server if up else scene.client
    return tunnel.from_path([Arrival(0, source, memoryview(datagram), len(datagram))], scene.now)


class Eavesdropper:
    """Keeps what a scene sends up, and can hold it back."""

    def __init__(self, scene: Scene) -> None:
        self.caught: list[bytes] = []
        self.holding = False
        self._post = scene.post
        scene.post = self.post  # type: ignore[method-assign]

    def post(self, datagram: bytes, departure: Departure, *, up: bool) -> None:
        """In the place of `World.post`."""
        if up:
            self.caught.append(datagram)
        if not (up and self.holding):
            self._post(datagram, departure, up=up)


class ForgeryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.scene = Scene([way()])
        self.wire = Eavesdropper(self.scene)
        self.wire.holding = True
        self.scene.send(packet(1))
        self.datagram = self.wire.caught[-1]
        self.source = self.scene.addresses[0]

    def test_bits(self) -> None:
        """With any bit of the header flipped nothing is delivered, answered or believed (D7)."""
        path = self.scene.server_session.paths[0]
        before = path.received.packets, path.received.seen.highest, path.received.seen.bits
        for bit in range(8 * used_format().header):
            bent = bytearray(self.datagram)
            bent[bit // 8] ^= 1 << bit % 8
            effects = arrive(self.scene, bytes(bent), self.source)
            self.assertEqual((effects.delivers, effects.sends, effects.events), ([], [], []), f"bit {bit}")
        self.assertEqual((path.received.packets, path.received.seen.highest, path.received.seen.bits), before)
        self.assertEqual(len(arrive(self.scene, self.datagram, self.source).delivers), 1)

    def test_far_number(self) -> None:
        """A forged number far ahead does not move the window: what is genuine still passes."""
        for number in (2**64 - 1, 2**40, 10_000):
            bent = renumbered(self.datagram, number)
            self.assertEqual(arrive(self.scene, bent).sends, [])
        self.assertEqual(len(arrive(self.scene, self.datagram, self.source).delivers), 1)

    def test_reflected(self) -> None:
        """What a server sent is no datagram for a server, though it knows the id."""
        wire = list[bytes]()
        self.scene.post = lambda datagram, departure, *, up: wire.append(datagram)  # type: ignore[method-assign]
        self.scene.send(packet(5, up=False), up=False)
        self.assertEqual(arrive(self.scene, wire[-1]).delivers, [])

    @settings(suppress_health_check=[HealthCheck.differing_executors])  # it runs for both formats
    @given(st.binary(max_size=200), st.booleans())
    def test_junk(self, junk: bytes, known: bool) -> None:
        """Arbitrary bytes are counted and dropped, also behind an id that is known: no answer, no state."""
        counts = sum(self.scene.server.counts.values()) + sum(self.scene.server_session.counts.values())
        effects = arrive(self.scene, self.datagram[:22] + junk if known else junk)
        self.assertEqual((effects.delivers, effects.sends, effects.events), ([], [], []))
        after = sum(self.scene.server.counts.values()) + sum(self.scene.server_session.counts.values())
        self.assertEqual(after, counts + bool(junk or known))

    def test_junk_kills_nothing(self) -> None:
        """In a stream with junk of every kind in between not one packet is lost."""
        scene, chance = Scene([way(), way(0.06)]), random.Random(7)
        wire = Eavesdropper(scene)
        scene.stream(300, 0.01)
        for step in range(900):

            def junk() -> None:
                kind, seen = chance.randrange(4), bytearray(chance.choice(wire.caught or [b"x" * 80]))
                if kind == 1:
                    seen[chance.randrange(len(seen))] ^= 0x55
                data = (chance.randbytes(chance.randrange(300)), bytes(seen), bytes(seen[:70]), bytes(seen[:22]))[kind]
                for up in (True, False):
                    scene._carry(arrive(scene, data, up=up), at_client=not up)

            scene.at(scene.now + step / 300, junk)
        scene.run(5)
        self.assertEqual((scene.lost(300), scene.doubled()), (0, 0))
        self.assertEqual(scene.states(), {"active"})

    def test_limit(self) -> None:
        """At the limit of forgeries the session is closed, with one event; what comes then is a stranger's (D6)."""
        scene = Scene([way()], forgery_limit=100)
        wire = Eavesdropper(scene)
        scene.send(packet(1))
        events = []
        for number in range(10_000, 10_300):
            events += arrive(scene, renumbered(wire.caught[-1], number)).events
        self.assertEqual([type(event) for event in events], [Overrun])
        self.assertEqual(scene.server.sessions, {})
        self.assertEqual(scene.server.counts["stranger"], 200)

    def test_no_limit_in_reach(self) -> None:
        """A million forgeries with an id from the wire close nobody's session: AES-GCM bears 2^52 (RFC 9001)."""
        scene = Scene([way()])
        wire = Eavesdropper(scene)
        scene.send(packet(1))
        scene.server_session.inbound.forged = 1 << 20
        forged = [arrive(scene, renumbered(wire.caught[-1], number)).events for number in range(10_000, 10_010)]
        self.assertEqual((forged, len(scene.server.sessions)), ([[]] * 10, 1))
        self.assertGreaterEqual(scene.server_session.tuning.forgery_limit, 1 << 36)


class ReplayTests(SynchronousTestCase):
    def test_replayed_from_elsewhere(self) -> None:
        """What was captured and is replayed from a new address is answered with nothing and moves nothing (D2)."""
        scene = Scene([way()])
        wire = Eavesdropper(scene)
        scene.stream(200, 0.005)
        scene.run(3)
        scene.run(1)
        path, before = scene.server_session.paths[0], scene.server_session.paths[0].received.bytes
        for datagram in wire.caught:
            effects = arrive(scene, datagram)
            self.assertEqual((effects.delivers, effects.sends, effects.events), ([], [], []))
        self.assertEqual(scene.server_session.counts["replayed"], len(wire.caught))
        self.assertEqual((path.received.bytes, path.received.debt.due), (before, None))
        self.assertEqual(scene.server_session.paths[0].remote, scene.addresses[0])
        self.assertEqual(set(scene.server_session.paths), {0})

    def _held_back(self, scene: Scene, count: int) -> list[bytes]:
        wire = Eavesdropper(scene)
        wire.holding = True
        for number in range(count):
            scene.send(packet(number))
        wire.holding = False
        return wire.caught

    def test_held_back(self) -> None:
        """
        A fresh datagram that is stopped on its way and sent from a new address gets one challenge and nothing else,
        within three times its bytes; the path stays where it is (D2).
        """
        scene = Scene([way()])
        caught = self._held_back(scene, 1)[-1]
        effects = arrive(scene, caught)
        self.assertEqual(len(effects.sends), 1)
        sent = effects.sends[0]
        self.assertEqual(sent.to, STRANGER)
        self.assertEqual(read(bytes(sent.data)).type, HANDSHAKE)
        self.assertLessEqual(len(sent.data), AMPLIFICATION * len(caught))
        scene.run(2)
        self.assertEqual(scene.server_session.paths[0].remote, scene.addresses[0])
        scene.send(packet(7, up=False), up=False)
        scene.run(1)
        self.assertEqual(scene.arrived(up=False), [7])

    def test_challenged_once(self) -> None:
        """Many of them at once get one challenge, not one each."""
        scene = Scene([way()])
        sends = [each for datagram in self._held_back(scene, 20) for each in arrive(scene, datagram).sends]
        self.assertEqual(len(sends), 1)

    def test_answer_from_elsewhere(self) -> None:
        """
        The right answer to a challenge proves only the address that it comes from: who has a challenge answered by the
        client itself, where that is, moves nothing.
        """
        scene = Scene([way()])
        challenge = bytes(arrive(scene, self._held_back(scene, 1)[-1]).sends[0].data)
        scene.arrive(challenge, 0, SERVER_END, up=False)
        scene.run(1)
        self.assertEqual(scene.server_session.paths[0].remote, scene.addresses[0])
        self.assertEqual(scene.told(PathMoved), [])

    def test_held_back_and_overtaken(self) -> None:
        """If newer ones have come meanwhile, not even a challenge is sent."""
        scene = Scene([way()])
        caught = self._held_back(scene, 1)[-1]
        scene.stream(10, 0.01, first=100)
        scene.run(1)
        self.assertEqual(arrive(scene, caught).sends, [])

    def test_racing(self) -> None:
        """
        Somebody on the way who is faster than the client's own way diverts nothing: each packet is delivered once, the
        path stays, and the false address gets no more than three times what it sent, challenges only.
        """
        scene = Scene([way(0.08)])
        wire = Eavesdropper(scene)
        sent, got = [0], [0]

        def copy_first(datagram: bytes, departure: Departure, *, up: bool) -> None:
            wire.post(datagram, departure, up=up)
            if up:

                def race() -> None:
                    sent[0] += len(datagram)
                    effects = arrive(scene, datagram)
                    for reply in [each for each in effects.sends if each.to == STRANGER]:
                        got[0] += len(reply.data)
                        self.assertEqual(read(bytes(reply.data)).type, HANDSHAKE)
                    scene._carry(effects, at_client=False)

                scene.at(scene.now + 0.001, race)

        scene.post = copy_first  # type: ignore[method-assign]
        scene.stream(500, 0.01)
        scene.stream(500, 0.01, up=False)
        scene.run(8)
        self.assertEqual((scene.lost(500), scene.doubled(), scene.lost(500, up=False)), (0, 0, 0))
        self.assertEqual(scene.told(PathMoved), [])
        self.assertEqual(scene.server_session.paths[0].remote, scene.addresses[0])
        self.assertGreater(got[0], 0)
        self.assertLessEqual(got[0], AMPLIFICATION * sent[0])

    @settings(max_examples=30, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 29), st.floats(0, 0.3)), max_size=60))
    def test_amplification(self, steps: list[tuple[int, int, float]]) -> None:
        """No address that has not proved itself is ever sent more than three times what came from it (D3)."""
        scene = Scene([way()])
        caught = self._held_back(scene, 30)
        # a path that the server has never heard of, opened from addresses that do not answer
        scene.links.append(way())
        scene.addresses.append(STRANGER)
        wire = Eavesdropper(scene)
        wire.holding = True
        before = len(wire.caught)
        scene.add_uplink(1)
        scene.run(0.5)
        caught += wire.caught[before:]
        received, sent = defaultdict[Endpoint, int](int), defaultdict[Endpoint, int](int)
        for host, which, pause in steps:
            end = Endpoint(f"192.0.2.{host}", 1000 + host)
            datagram = caught[which % len(caught)]
            received[end] += len(datagram)
            effects = arrive(scene, datagram, end)
            scene.now += pause
            for each in (effects, scene.server.on_timer(scene.now)):
                for reply in each.sends:
                    sent[reply.to] += len(reply.data)
        for end in received:
            self.assertLessEqual(sent[end], AMPLIFICATION * received[end])


class TimerTests(SynchronousTestCase):
    def test_idle(self) -> None:
        """An idle session asks for little: few turns a minute, few datagrams."""
        scene = Scene([way(), way(0.06)], settle=20)
        turns = list[float]()
        scene.watch(turns.append)
        before = sum(len(link.log) for pair in scene.links for link in pair)
        scene.run(60)
        self.assertLess(len(turns), 120)
        self.assertLess(sum(len(link.log) for pair in scene.links for link in pair) - before, 120)

    def test_never_in_the_past(self) -> None:
        """However the clock is rounded, a turn never asks for another at the same moment."""
        for began in (1000.0, 1e5 + 1 / 3, 1e7 + 0.1, 3e8 + 0.7):
            scene = Scene([way(), way(0.06, loss=0.3)], settle=0.0)
            scene.now = began
            for path in scene.client_session.paths.values():
                path.life.probe_at = path.life.since = path.received.heard_at = began
            scene.connect(resumed=True)
            scene.stream(200, 0.013)
            turns, at = 0, 0.0

            def counted(now: float) -> None:
                nonlocal turns, at
                turns, at = (turns + 1 if now == at else 0), now
                self.assertLess(turns, 20, f"spins at {now!r}")

            scene.watch(counted)
            scene.run(20)

    def test_bounded(self) -> None:
        """The list of timers stays short under load."""
        scene = Scene([way(), way(0.06)])
        scene.stream(3000, 0.001)
        for _ in range(30):
            scene.run(0.1)
            self.assertLess(len(scene.client._timers) + len(scene.server._timers), 200)

    def test_slept(self) -> None:
        """A process that was stopped for minutes does not take its own sleep for the network's silence."""
        scene = Scene([way()])
        scene.send(packet(0))
        scene.run(0.001)
        scene.now += 0.4
        scene._carry(scene.client.on_timer(scene.now), at_client=True)
        scene.run(1)
        self.assertEqual(scene.changes("client", since=1001.0), [])
        self.assertEqual(scene.arrived(), [0])

    def test_slept_for_minutes(self) -> None:
        """A machine that slept begins with a new key, the peer follows, and nothing that comes then is lost."""
        for sleeper in ("client", "server", "both"):
            scene = Scene([way(), way(0.06)])
            sessions = (scene.client_session, scene.server_session)
            epochs = [session.outbound.keys.epoch for session in sessions]
            if sleeper == "both":
                scene.now += 530
            else:
                client, server = scene.watch(lambda now: None)
                asleep = client if sleeper == "client" else server
                asleep.asleep = True
                scene.cut(0)
                scene.cut(1)
                scene.run(530)
                scene.cut(0, heal=True)
                scene.cut(1, heal=True)
                asleep.asleep = False
            scene.stream(100, 0.01)
            scene.stream(100, 0.01, up=False)
            scene.run(5)
            self.assertEqual((scene.lost(100), scene.lost(100, up=False)), (0, 0), sleeper)
            for session, epoch in zip(sessions, epochs, strict=True):
                self.assertGreater(session.outbound.keys.epoch, epoch, sleeper)


class IdTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """However many ids are issued, a session holds few, and the ones in use and in hand stay known."""
        scene = Scene([way(), way()])
        for _ in range(40):
            scene.connect(resumed=True)
            scene.run(0.2)
            for issued in scene.client_session.connection_ids.in_hand:
                self.assertIn(issued[:SHORT_ID], scene.server._shown)
        self.assertLessEqual(len(scene.server._shown), 64)
        self.assertLessEqual(len(scene.client._shown), 64)
        scene.stream(10, 0.01)
        scene.run(1)
        self.assertEqual(scene.lost(10), 0)

    def test_no_two_alike(self) -> None:
        """Ids that start alike are never given out, and entropy that repeats itself is noticed."""
        draws = [b"a" * 20, b"a" * 8 + b"b" * 12, b"c" * 20, *[b"d" * 20] * 20]
        tunnel = Tunnel(server=True, entropy=lambda count: draws.pop(0))
        session = tunnel.add_session("laptop", bytes(16), Tuning())
        self.assertEqual(tunnel.issue_ids(session, 2), [b"a" * 20, b"c" * 20])
        with self.assertRaises(BugError):
            tunnel.issue_ids(session, 2)

    def test_forgotten(self) -> None:
        """A dropped session leaves nothing behind."""
        scene = Scene([way()])
        scene.server.drop_session("laptop")
        self.assertEqual((scene.server._shown, scene.server._inner, scene.server._timers), ({}, {}, []))
        self.assertIsNone(scene.server.next_timer())

    def test_other_session(self) -> None:
        """A session gets no packet that is addressed to nobody, and sends none from an address that is not its own."""
        scene = Scene([way()])
        foreign = bytearray(packet(1))
        foreign[10 + 15] ^= 0x77  # source address
        scene.send(bytes(foreign))
        back = bytearray(packet(2, up=False))
        back[10 + 19] ^= 0x77  # destination
        scene.send(bytes(back), up=False)
        scene.run(1)
        self.assertEqual((scene.at_server, scene.at_client), ([], []))
        self.assertEqual(scene.server_session.counts["spoofed"], 1)
        self.assertEqual(scene.server.counts["no_session"], 1)
        self.assertNotEqual(SERVER_END, scene.addresses[0])
