"""What an echo teaches of the NATs in front of us."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from morphnet.traversal.reflexive import DEAF, IMPATIENT, REPEAT, ReflexiveClient
from morphnet.tunnel.events import Effects, Mapped
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.echo import make_answer, read_request
from tests.nats import DELAY, DOOR, Host, Kind, Street

ID, KEY, RELAY = b"idididid", bytes(range(32)), "192.0.2.1"


class EchoTestCase(SynchronousTestCase):
    """One host that asks a relay, on two ports."""

    def live(self, kind: Kind) -> Host:
        """Begin behind such a NAT."""
        self.street = Street()
        self.asked: list[tuple[float, int]] = []  # when, on which port
        self.deaf: set[int] = set()  # ports that do not answer
        for port in (3478, 3479):
            self.street.hosts[f"{RELAY}/{port}"] = Host(Endpoint(RELAY, port), None, serve=self.serve(port))
        nat = None if kind is Kind.NONE else self.street.house(kind, "203.0.113.1")
        host = self.street.host("198.51.100.1" if nat is None else "10.0.1.2", nat)
        self.client = ReflexiveClient(RELAY, (3478, 3479), ID, KEY, self.street.random.randbytes)
        host.extensions[ID] = self.client
        self.client.use({DOOR: False}, self.street.now)
        return host

    def serve(self, port: int) -> Callable[[bytes, Endpoint], bytes | None]:
        """What the relay does on that port."""

        def answer(datagram: bytes, source: Endpoint) -> bytes | None:
            self.asked.append((self.street.now, port))
            transaction = read_request(datagram, KEY).transaction
            return None if port in self.deaf else make_answer(ID, KEY, transaction, source.host, source.port)

        return answer

    def mapped(self, host: Host) -> list[Endpoint]:
        """What it has told of."""
        return [event.seen for _, event in host.events if isinstance(event, Mapped)]


class ReflexiveClientTests(EchoTestCase):
    def test_varies(self) -> None:
        """Of two ports it learns whether a NAT maps each destination anew, and tells what the first has seen."""
        for kind in Kind:
            host = self.live(kind)
            self.assertIsNone(self.client.varies(DOOR))
            self.street.run(1.0)
            expected = {Kind.HARD: True, Kind.BLOCKED: None}.get(kind, False)
            self.assertIs(self.client.varies(DOOR), expected, kind)
            self.assertEqual(len(self.mapped(host)), kind is not Kind.BLOCKED)

    def test_told_once(self) -> None:
        """An address that stays is asked for every twenty seconds, of the first port alone, and told once."""
        host = self.live(Kind.EASY)
        self.street.run(301)
        self.assertEqual(len(self.asked), 2 + 15)
        self.assertEqual([port for _, port in self.asked[2:]], [3478] * 15)
        self.assertEqual(len(self.mapped(host)), 1)

    def test_impatient(self) -> None:
        """While nothing answers it is asked ever less often, down to every twenty seconds, for ever."""
        self.live(Kind.EASY)
        self.deaf = {3478, 3479}
        self.street.run(200)
        times = [at for at, port in self.asked if port == 3478]
        pauses = [round(after - before, 6) for before, after in itertools.pairwise(times)]
        self.assertEqual(pauses, [IMPATIENT * 2**step for step in range(7)] + [REPEAT] * (len(pauses) - 7))
        self.assertGreater(len(pauses), 10)

    def test_remapped(self) -> None:
        """A NAT that was restarted is noticed within twenty seconds; that the old address was another means nothing."""
        host = self.live(Kind.EASY)
        self.street.run(5)
        assert host.nat is not None
        host.nat.forget()
        self.street.run(REPEAT + 1)
        self.assertEqual(len(set(self.mapped(host))), 2)
        self.assertIsNot(self.client.varies(DOOR), True)
        self.street.run(REPEAT + 1)
        self.assertIs(self.client.varies(DOOR), False)
        self.assertEqual(len(self.mapped(host)), 2)

    def test_rtt(self) -> None:
        """It knows how far the relay is, once that has answered."""
        self.live(Kind.EASY)
        self.assertIsNone(self.client.rtt())
        self.street.run(60)
        self.assertAlmostEqual(self.client.rtt() or 0.0, 2 * DELAY)

    def test_hurry(self) -> None:
        """When it is about to be of use it asks at once."""
        host = self.live(Kind.EASY)
        self.street.run(5)
        assert host.nat is not None
        host.nat.forget()
        self.client.hurry(self.street.now)
        self.street.run(0.1)
        self.assertEqual(len(self.mapped(host)), 2)

    def test_deaf(self) -> None:
        """It is known after a second that no UDP passes; once it did, it is another matter."""
        for kind in Kind:
            self.live(kind)
            self.street.run(DEAF - 0.1)
            self.assertFalse(self.client.is_deaf(self.street.now), kind)
            self.street.run(0.2)
            self.assertIs(self.client.is_deaf(self.street.now), kind is Kind.BLOCKED, kind)
        self.live(Kind.EASY)
        self.street.run(1.0)
        self.deaf = {3478, 3479}
        self.street.run(100)
        self.assertFalse(self.client.is_deaf(self.street.now))
        self.client.use({}, self.street.now)
        self.assertFalse(self.client.is_deaf(self.street.now))

    def test_sockets(self) -> None:
        """Each socket of the relay's family is asked about, those that are gone are not; without any it rests."""
        self.live(Kind.NONE)
        self.client.use({DOOR: False, 2: False, 3: True}, self.street.now)
        effects = Effects()
        self.client.tick(self.street.now, effects)
        self.assertEqual(sorted(each.door for each in effects.sends), [DOOR, DOOR, 2, 2])
        self.client.use({3: True}, self.street.now)
        self.assertEqual((self.client.sockets, self.client.due_at()), ({}, float("inf")))
        self.assertIsNone(self.client.varies(DOOR))

    def test_told_apart(self) -> None:
        """Two sockets never carry the same number, also after one before them has gone and another has come."""
        self.live(Kind.NONE)
        numbers: dict[int, set[int]] = {}
        for doors in ((1, 2, 3), (2, 3), (2, 3, 4)):
            self.client.use(dict.fromkeys(doors, False), self.street.now)
            self.client.hurry(self.street.now)
            effects = Effects()
            self.client.tick(self.street.now, effects)
            for each in effects.sends:
                numbers.setdefault(each.door, set()).add(read_request(bytes(each.data), KEY).socket)
        self.assertEqual({door: len(shown) for door, shown in numbers.items()}, {1: 1, 2: 1, 3: 1, 4: 1})
        self.assertEqual(len(set.union(*(numbers[door] for door in (2, 3, 4)))), 3)


class TurnTests(EchoTestCase):
    def test_turns(self) -> None:
        """No two requests have the same turn, whichever socket and port they are for, and each has a higher one."""
        self.live(Kind.EASY)
        self.client.use(dict.fromkeys((DOOR, 7, 8), False), self.street.now)
        effects = Effects()
        for second in range(3):
            self.client.hurry(self.street.now + second)
            self.client.tick(self.street.now + second, effects)
        turns = [read_request(bytes(each.data), KEY).turn for each in effects.sends]
        self.assertEqual(turns, list(range(1, 3 * 3 * 2 + 1)))


class ForgedTests(EchoTestCase):
    def setUp(self) -> None:
        self.host = self.live(Kind.EASY)
        self.effects = Effects()
        self.client.tick(self.street.now, self.effects)
        self.transaction = read_request(bytes(self.effects.sends[0].data), KEY).transaction

    def hear(self, datagram: bytes, door: int = DOOR) -> list[Mapped]:
        """What a datagram makes it tell."""
        effects, source = Effects(), Endpoint(RELAY, 3478)
        arrival = Arrival(door, source, memoryview(datagram), len(datagram))
        self.client.received(arrival, datagram, self.street.now, effects)
        return [event for event in effects.events if isinstance(event, Mapped)]

    def answer(self, transaction: bytes, key: bytes = KEY) -> bytes:
        """Of somebody who says that we are 198.51.100.66."""
        return make_answer(ID, key, transaction, "198.51.100.66", 1)

    def test_forged(self) -> None:
        """What was not made with the relay's key is counted, and changes nothing."""
        whole = self.answer(self.transaction)
        for wrong in (self.answer(self.transaction, bytes(32)), ID, whole[:-1], whole + b"x", ID + bytes(56),
                      bytes(self.effects.sends[0].data)):  # fmt: skip
            self.assertEqual(self.hear(wrong), [])
        self.assertEqual(self.client.forged, 6)
        self.assertEqual(len(self.hear(whole)), 1)

    def test_replayed(self) -> None:
        """An answer counts once, to a question that was asked by that very socket."""
        self.client.use({DOOR: False, 2: False}, self.street.now)
        whole = self.answer(self.transaction)
        self.assertEqual(self.hear(self.answer(bytes(8))), [])
        self.assertEqual(self.hear(whole, door=2), [])
        self.assertEqual(self.hear(whole, door=9), [])
        self.assertEqual(len(self.hear(whole)), 1)
        self.client.hurry(self.street.now)
        self.client.tick(self.street.now, self.effects)
        self.assertEqual(self.hear(whole), [])

    def test_bounded(self) -> None:
        """Questions that nobody answers are forgotten in time."""
        for _ in range(1000):
            self.street.now += 5.0
            self.client.hurry(self.street.now)
            self.client.tick(self.street.now, self.effects)
        self.assertLess(len(self.client.sockets[DOOR].asked), 20)
