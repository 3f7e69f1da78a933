"""Old clients at a server, its sockets made of memory."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.legacy import MorphProtocolConfig
from morphnet.errors import HostError
from morphnet.legacy.control import CLOSE, FULL, INACTIVITY, Handshake, read_answer, write_handshake
from morphnet.legacy.office import SIGN_OF_LIFE
from morphnet.legacy.session import KEEPALIVE, Session
from morphnet.net.legacy_udp import FragmentingDoor
from morphnet.roles.server import legacy
from morphnet.roles.server.legacy import (
    HANDSHAKES,
    MOST_USERS,
    OTHERS,
    PACKETS,
    SWEEP_EVERY,
    Around,
    LegacyServer,
    account_of,
)
from morphnet.wire.batch import Arrival, Departure, Endpoint
from tests.fakes_meter import FakeMeter
from tests.legacy.test_control import HANDSHAKE, JSON, KEY, changed
from tests.legacy.test_session import AWAY, HOME

INNER = Endpoint("127.0.0.1", 51820)


def _data(client: int, rest: bytes) -> tuple[bytes, bool]:
    """What shows the id of one of the clients below."""
    return bytes([client] * 4) + b"\x51\0" + rest, True


# Datagrams, each with whether it shows the key, or the id of a session.
DATAGRAMS = st.one_of(
    st.binary(max_size=60).map(lambda data: (data, False)),
    st.integers(0, 4).map(lambda at: (KEY.seal(write_handshake(replace(HANDSHAKE, client=bytes([at] * 16)))), True)),
    st.tuples(JSON, st.sampled_from(list(json.loads(write_handshake(HANDSHAKE))))).map(
        lambda field: (KEY.seal(changed(**{field[1]: field[0]})), True)
    ),
    st.sampled_from([CLOSE, FULL, INACTIVITY, "", "{", "ä"]).map(lambda word: (KEY.seal(word), True)),
    st.builds(_data, st.integers(0, 4), st.binary(max_size=60)),
)


class FakeDoor(FragmentingDoor):
    """Remembers what is sent."""

    every: list[FakeDoor] = []
    refuse = False

    def open(self) -> None:
        if self.refuse:
            raise HostError("no port")
        self.out: list[tuple[Endpoint, bytes]] = []
        self.is_open, self.local = True, (self.host, self.port or 40000 + self.number)
        self.every.append(self)

    def close(self) -> None:
        self.is_open = False

    def send(self, departures: Sequence[Departure]) -> None:
        for each in departures:
            data = bytes(each.data)
            self.out += [(each.to, data[at : at + each.size]) for at in range(0, len(data), each.size)]

    def hears(self, source: Endpoint, *datagrams: bytes) -> None:
        """These come."""
        self._received([Arrival(self.number, source, memoryview(each), len(each)) for each in datagrams])

    def said(self) -> list[tuple[Endpoint, bytes]]:
        """What was sent since it was asked for last."""
        out, self.out = self.out, []
        return out


class LegacyServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(legacy, "FragmentingDoor", FakeDoor)
        self.patch(FakeDoor, "every", [])
        self.now, self.told = 0.0, list[tuple[str, str, str]]()
        self.make()

    def make(self, **settings: Any) -> None:
        """Another server, with these settings."""
        FakeDoor.every.clear()
        numbers = iter(range(1000))
        config = replace(MorphProtocolConfig(enabled=True, max_sessions=3), **settings)
        self.meter = FakeMeter()
        tell = lambda *words: self.told.append(words)  # noqa: E731
        around = Around(None, lambda: next(numbers), lambda: self.now, tell, self.meter)
        self.server = LegacyServer(config, KEY, around)
        self.server.open()
        self.control = FakeDoor.every[0]

    def call(self, source: Endpoint = HOME, handshake: Handshake = HANDSHAKE) -> str:
        """A handshake comes: what is answered, "" for nothing."""
        self.control.hears(source, KEY.seal(write_handshake(handshake)))
        said = self.control.said()
        self.assertTrue(all(to == source for to, _ in said))
        return KEY.open(said[0][1]) if said else ""

    def client(self, handshake: Handshake = HANDSHAKE) -> Session:
        """The client's end."""
        return Session(handshake, HOME, random.Random(1).randbytes, now=0.0)

    def test_both_ways(self) -> None:
        """What a client sends comes to WireGuard, and back, and from nowhere else."""
        answer = read_answer(self.call())
        outer, inner = FakeDoor.every[1:]
        self.assertEqual((answer.port, answer.status), (outer.local[1], "connected"))
        client = self.client()
        outer.hears(HOME, *client.send(b"onetwo", 3, now=0.0, millis=0))
        self.assertEqual(inner.said(), [(INNER, b"one"), (INNER, b"two")])
        inner.hears(HOME, b"not WireGuard")
        inner.hears(INNER, b"back")
        ((to, datagram),) = outer.said()
        self.assertEqual((to, client.receive(HOME, [datagram], now=0.0)), (HOME, [b"back"]))
        self.assertEqual(self.server.counters()["legacy_strangers"], 1)

    def test_counted(self) -> None:
        """What each user's program has sent and received, without disguises; sessions come and go."""
        self.call()
        outer, inner = FakeDoor.every[1:]
        outer.hears(HOME, *self.client().send(b"onetwo", 3, now=0.0, millis=0))
        inner.hears(INNER, b"back")
        user = account_of(HANDSHAKE.user)
        self.assertEqual((self.meter.sent[user], self.meter.received[user]), (4, 6))
        self.now = SIGN_OF_LIFE + SWEEP_EVERY
        self.server.sweep()  # gives a sign of life, which nobody pays for
        self.assertEqual((self.meter.sent[user], len(self.meter.there)), (4, 1))
        self.server.close()
        self.assertEqual(self.meter.there, [])

    def test_spent(self) -> None:
        """A user whose quota is used up is ended, and not taken in again, in the original's words."""
        self.call()
        self.meter.spent.add(account_of(HANDSHAKE.user))
        self.server.sweep()
        self.assertEqual([KEY.open(each) for _, each in self.control.said()], [FULL])
        self.assertEqual(self.told[-1][2], "the quota is used up")
        self.assertEqual((self.call(), self.server.counters()["legacy_sessions"]), (FULL, 0))
        self.assertEqual((self.server.counters()["legacy_spent"], self.meter.there), (1, []))
        self.meter.spent.clear()
        self.assertEqual(read_answer(self.call()).status, "connected")

    def test_users_are_bounded(self) -> None:
        """Whoever has the key can say any name, also one that is no text: so many are counted by name."""
        session = self.client(replace(HANDSHAKE, user="\ud800"))
        self.assertEqual(self.server._user(session), "old:?")
        for number in range(MOST_USERS):
            named = self.server._user(self.client(replace(HANDSHAKE, user=str(number))))
        self.assertEqual(named, OTHERS)
        self.assertEqual(self.server._user(session), "old:?")

    def test_others_are_spent(self) -> None:
        """Those beyond them have one quota together, and it ends them, and keeps them out; no other."""
        self.call()
        named = FakeDoor.every[1]
        named.hears(HOME, *self.client().send(b"x", 1, now=0.0, millis=0))
        self.patch(legacy, "MOST_USERS", 1)
        other = replace(HANDSHAKE, user="other", client=bytes(16))
        self.call(AWAY, other)
        FakeDoor.every[3].hears(AWAY, *self.client(other).send(b"x", 1, now=0.0, millis=0))
        self.assertEqual(self.meter.received, {account_of(HANDSHAKE.user): 1, OTHERS: 1})
        self.meter.spent.add(OTHERS)
        self.assertEqual(self.call(AWAY, replace(other, user="another")), FULL)
        self.server.sweep()
        self.assertEqual([to for to, _ in self.control.said()], [AWAY])
        self.assertEqual((named.is_open, self.server.counters()["legacy_sessions"]), (True, 1))

    def test_moved(self) -> None:
        """Answers go where the client is now; data may come to the control port as well."""
        self.call()
        outer, inner = FakeDoor.every[1:]
        client = self.client()
        outer.hears(AWAY, *client.send(b"x", 1, now=0.0, millis=0))
        self.control.hears(HOME, *client.send(b"y", 1, now=0.0, millis=0))
        self.assertEqual(inner.said(), [(INNER, b"x"), (INNER, b"y")])
        inner.hears(INNER, b"back")
        self.assertEqual([to for to, _ in outer.said()], [HOME])
        self.assertEqual([kind for kind, _, _ in self.told], ["legacy-up", "legacy-moved", "legacy-moved"])
        (status,) = self.server.statuses(lambda at: at + 1000.0)
        self.assertEqual((status.moves, status.address, status.since), (2, "192.0.2.1:5000", 1000.0))

    def test_again(self) -> None:
        """The same client gets the same port; ten handshakes a minute are enough."""
        ports = {read_answer(self.call(AWAY)).port for _ in range(HANDSHAKES)}
        self.assertEqual((len(ports), self.call(AWAY)), (1, ""))
        self.now = 7.0
        self.assertEqual(read_answer(self.call(AWAY)).status, "reconnected")
        self.assertEqual((self.server.counters()["legacy_limited"], len(FakeDoor.every)), (1, 3))

    def test_full(self) -> None:
        """There is a bound, for sockets too, and the client is told; the ports are those that were asked for."""
        self.make(first_port=5000)
        answers = [self.call(handshake=replace(HANDSHAKE, client=bytes([number] * 16))) for number in range(4)]
        self.assertEqual([read_answer(each).port for each in answers[:3]], [5000, 5001, 5002])
        self.assertEqual(answers[3], FULL)
        self.control.hears(HOME, KEY.seal(CLOSE))
        self.make()
        self.patch(FakeDoor, "refuse", True)
        self.assertEqual(self.call(), "")
        self.assertEqual((self.server.counters()["legacy_full"], self.server.counters()["legacy_sessions"]), (1, 0))

    def test_strangers(self) -> None:
        """They get silence, are counted, and no more than a thousand a second are looked at."""
        for datagram in (b"", b"x", bytes(2000), KEY.seal("nonsense"), KEY.seal(CLOSE)):
            self.control.hears(AWAY, datagram or b"\0")
        self.control.hears(AWAY, *[b"x"] * PACKETS)
        counted = self.server.counters()
        self.assertEqual((self.control.said(), counted["legacy_limited"]), ([], 5))
        self.assertEqual(counted["legacy_strangers"], PACKETS - 2)  # two of them were words

    def test_strangers_at_session(self) -> None:
        """The port of a session looks at no more from elsewhere; its client is not limited."""
        self.call()
        outer, inner = FakeDoor.every[1:]
        outer.hears(AWAY, *[b"x"] * (PACKETS + 7))
        self.assertEqual(self.server.counters()["legacy_limited"], 7)
        sent = self.client().send(b"y" * (PACKETS + 7), 1, now=0.0, millis=0)
        outer.hears(HOME, *sent)
        self.assertEqual(len(inner.said()), PACKETS + 7)

    def test_close(self) -> None:
        """Whoever closes is gone; whoever is not there closes nothing."""
        self.call()
        outer, inner = FakeDoor.every[1:]
        self.control.hears(AWAY, KEY.seal(CLOSE))
        self.assertTrue(outer.is_open)
        self.control.hears(HOME, KEY.seal(CLOSE))
        self.assertEqual((outer.is_open, inner.is_open, self.server.counters()["legacy_sessions"]), (False, False, 0))
        self.assertEqual(self.call() != "", True)

    def test_time(self) -> None:
        """An idle client hears something, a silent one is told that it is over."""
        self.call()
        outer = FakeDoor.every[1]
        self.now = SIGN_OF_LIFE
        self.server.sweep()
        ((_, datagram),) = outer.said()
        self.assertEqual(self.client().receive(HOME, [datagram], now=0.0), [KEEPALIVE])
        self.server.sweep()
        self.assertEqual(outer.said(), [])
        self.now = 1201.0
        self.server.sweep()
        self.assertEqual([KEY.open(each) for _, each in self.control.said()], [INACTIVITY])
        self.assertFalse(outer.is_open)

    def test_idle(self) -> None:
        """
        An idle client of the original never begins anew: it looks every 90 s whether it heard anything in the last 30;
        its own heartbeats are 120 s apart, and the server looks every SWEEP_EVERY.
        """
        self.call()
        outer, inner = FakeDoor.every[1:]
        client, heard = self.client(), 0.0
        for second in range(2 * 3600):
            self.now = float(second)
            if second % 120 == 119:
                outer.hears(HOME, client.heartbeat(now=self.now, millis=0))
            if second % int(SWEEP_EVERY) == 3:
                self.server.sweep()
            heard = self.now if outer.said() else heard
            if second % 90 == 89:
                self.assertLessEqual(self.now - heard, 30.0, second)
        self.assertEqual((self.server.counters()["legacy_sessions"], inner.said()), (1, []))

    @given(st.lists(st.tuples(st.sampled_from([HOME, AWAY, INNER]), st.integers(0, 8), DATAGRAMS), max_size=25))
    def test_anything(self, coming: list[tuple[Endpoint, int, tuple[bytes, bool]]]) -> None:
        """
        Whatever comes to whichever socket from whomever raises nothing; sessions and their sockets are bounded and
        belong together; and the control port answers nobody who showed neither the key nor a session's id.
        """
        self.make()
        called = set[Endpoint]()
        for number, (source, place, (datagram, known)) in enumerate(coming):
            self.now += number % 7
            there = [door for door in FakeDoor.every if door.is_open]
            door = there[place % len(there)]
            called |= {source} if known else set()
            door.hears(source, datagram or b"x")
            if number % 3 == 0:
                self.server.sweep()
            sessions = self.server.counters()["legacy_sessions"]
            self.assertLessEqual(sessions, self.server.config.max_sessions)
            self.assertEqual(sum(each.is_open for each in FakeDoor.every), 1 + 2 * sessions)
            self.assertLessEqual({to for to, _ in self.control.said()}, called)
        self.server.close()
        self.assertFalse(any(each.is_open for each in FakeDoor.every))

    def test_stop(self) -> None:
        """All are told; what they counted stays in the sums."""
        self.call()
        FakeDoor.every[1].hears(HOME, b"x")
        self.server.close()
        self.assertEqual([KEY.open(each) for _, each in self.control.said()], [INACTIVITY])
        self.assertFalse(any(door.is_open for door in FakeDoor.every))
        self.assertEqual(self.server.counters(), {"legacy_malformed": 1, "legacy_sessions": 0})
