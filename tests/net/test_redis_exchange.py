"""Connections to Redis, with a Redis in memory at the other end."""

from __future__ import annotations

import random
from typing import Any, cast

import txredisapi
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.redis_url import redis_url_of
from morphnet.errors import Away
from morphnet.net.redis_exchange import ANSWER_WITHIN, BACKLOG, MOST_BACKLOG, WAITS, RedisExchange, RedisLink
from morphnet.rendezvous.relay.registry import Registry, Terms
from morphnet.rendezvous.relay.remote import LAPSE
from morphnet.rendezvous.relay.shared_cluster import BEAT, SharedCluster
from morphnet.wire.messages import cluster as wire

PASSWORD = "s3cret"


class FakeRedis:
    """Answers what it is asked; knows one password."""

    def __init__(self) -> None:
        self.keys: dict[bytes, bytes] = {}
        self.ends: list[RedisTransport] = []
        self.mute = False

    def answer(self, end: RedisTransport, words: list[bytes]) -> bytes:
        """To one command."""
        match words:
            case [b"AUTH", password]:
                return b"+OK\r\n" if password == PASSWORD.encode() else b"-WRONGPASS invalid password\r\n"
            case [b"SET", key, value, *_] if key not in self.keys:
                self.keys[key] = value
                return b"+OK\r\n"
            case [b"SET", *_]:
                return b"$-1\r\n"
            case [b"GET", key]:
                return _bulk(self.keys[key])
            case [b"SUBSCRIBE", *channels]:
                end.channels |= set(channels)
                return b"".join(b"*3\r\n" + _bulk(b"subscribe") + _bulk(each) + b":1\r\n" for each in channels)
            case [b"PUBLISH", channel, message]:
                for ear in [each for each in self.ends if channel in each.channels]:
                    ear.due += b"*3\r\n" + _bulk(b"message") + _bulk(channel) + _bulk(message)
        return b":1\r\n"


class RedisTransport(StringTransportWithDisconnection):
    """The wire between one of our connections and the fake."""

    def __init__(self, redis: FakeRedis) -> None:
        super().__init__()
        self.redis, self.channels, self.due = redis, set[bytes](), b""
        self.commands: list[list[bytes]] = []
        self.ending = False

    def loseConnection(self) -> None:
        """Not at once, like a real one."""
        self.ending = True

    def abortConnection(self) -> None:
        if self.connected:
            super().loseConnection()

    def serve(self) -> None:
        """Read what was sent, and hand over what is due."""
        rest = self.value()
        self.clear()
        while rest and not self.redis.mute:
            words, rest = _read(rest)
            self.commands.append(words)
            self.due += self.redis.answer(self, words)
        due, self.due = self.due, b""
        if due and self.connected:
            self.protocol.dataReceived(due)
        if self.ending:
            self.abortConnection()


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _read(data: bytes) -> tuple[list[bytes], bytes]:
    count, _, data = data.partition(b"\r\n")
    words = []
    for _ in range(int(count[1:])):
        size, _, data = data.partition(b"\r\n")
        words.append(data[: int(size[1:])])
        data = data[int(size[1:]) + 2 :]
    return words, data


class RedisTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.patch(txredisapi.LineReceiver, "callLater", self.reactor.callLater)  # the one clock that it knows
        self.redis, self.said = FakeRedis(), list[str]()
        self.start()

    def start(self, password: str = PASSWORD) -> None:
        """A relay's link, called for the first time."""
        chance = random.Random(1)
        self.cluster = SharedCluster(self.reactor, chance.randbytes, ["home"], tell=self.said.append)
        self.registry = Registry(self.reactor, chance.randbytes, Terms(), self.cluster)
        self.link = RedisLink(self.reactor, redis_url_of(f"redis://:{password}@127.0.0.1"), self.cluster)
        self.link.start()

    def connect(self) -> list[RedisTransport]:
        """Let Redis be there until both connections are: the two."""
        for _ in range(2):
            _, _, factory, _, _ = self.reactor.tcpClients.pop()
            protocol: Any = factory.buildProtocol(None)
            end = RedisTransport(self.redis)
            end.protocol = protocol
            self.redis.ends.append(end)
            protocol.makeConnection(end)
            self.settle()
            if not self.reactor.tcpClients:
                break
        return self.redis.ends[-2:]

    def settle(self) -> None:
        """All that was said is heard."""
        for _ in range(60):
            for end in self.redis.ends:
                end.serve()
            self.reactor.advance(0.0)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 2)):
            self.reactor.advance(0.5)
            self.settle()

    def exchange(self) -> RedisExchange:
        """The one in use."""
        assert self.link._exchange is not None
        return self.link._exchange


class JoiningTests(RedisTestCase):
    def test_joined(self) -> None:
        """Both connections log in, a block is claimed, channels are heard, and all goes on while Redis does."""
        mouth, ear = self.connect()
        block = wire.block_of(self.cluster.number(0))
        self.assertEqual([mouth.commands[0], ear.commands[0]], [[b"AUTH", PASSWORD.encode()]] * 2)
        self.assertEqual(mouth.commands[1][:2], [b"SET", f"morphnet:block:{block}".encode()])
        self.assertEqual(mouth.commands[1][3:], [b"NX", b"EX", b"10"])
        self.assertEqual(
            ear.channels, {b"morphnet:relays", f"morphnet:relay:{block}".encode(), b"morphnet:network:home"}
        )
        self.assertEqual((self.cluster.state, self.said), ("", ["the other relays can be reached"]))
        mouth.commands.clear()
        self.wait(2 * LAPSE)
        self.assertEqual((self.cluster.state, len(self.said)), ("", 1))
        renewed = [each for each in mouth.commands if each[0] == b"EXPIRE"]
        self.assertEqual(len(renewed), round(2 * LAPSE / BEAT))

    def test_any_bytes(self) -> None:
        """What is said is heard as it was, whatever bytes it has."""
        self.connect()
        heard: list[bytes] = []
        self.cluster.heard = heard.append  # type: ignore[assignment]
        messages = [bytes(range(256)) * 300, b"\r\n", b"12", b"", b"\xff$3\r\n", b"1.5"]
        for message in messages:
            self.assertTrue(self.exchange().hand(wire.EVERY_RELAY, message))
            self.settle()
        self.assertEqual(heard, messages)

    def test_wrong_password(self) -> None:
        """A password that Redis does not take is no news to anybody; it is tried again."""
        self.reactor.tcpClients.clear()
        self.start("wr0ng")
        self.connect()
        self.assertEqual(self.cluster.state, "alone")
        (sentence,) = self.said
        self.assertIn("could not auth", sentence)
        self.assertNotIn("wr0ng", sentence)
        self.wait(1.0)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.flushLoggedErrors()

    def test_refused(self) -> None:
        """Nobody there: said once, tried again at longer and longer intervals."""
        for wait in (*WAITS, WAITS[-1]):
            _, _, factory, _, _ = self.reactor.tcpClients.pop()
            factory.clientConnectionFailed(cast(Any, None), Failure(ConnectionRefusedError()))
            self.reactor.advance(0.3)  # after which HostnameEndpoint would call another address
            self.reactor.advance(wait - 0.01)
            self.assertEqual(self.reactor.tcpClients, [])
            self.reactor.advance(0.02)
        self.assertEqual(len(self.said), 1)

    def test_mute(self) -> None:
        """A Redis that takes the connection and says nothing is left."""
        self.redis.mute = True
        self.connect()
        self.reactor.advance(ANSWER_WITHIN)
        self.assertFalse(self.redis.ends[0].connected)
        self.reactor.advance(WAITS[0])
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_hangs(self) -> None:
        """So is one that stops to answer."""
        mouth, ear = self.connect()
        self.redis.mute = True
        self.wait(LAPSE + 2 * BEAT)
        self.assertEqual((mouth.connected, ear.connected, self.cluster.state), (False, False, "alone"))


class AskingTests(RedisTestCase):
    def test_asked(self) -> None:
        """A command has its answer; one that Redis refuses, or never answers, is Away, and so is one without Redis."""
        mouth, _ = self.connect()
        self.redis.keys[b"x"] = b"y"
        asked = self.exchange().ask("GET", "x")
        self.settle()
        self.assertEqual(self.successResultOf(asked), b"y")
        refused = self.exchange().ask("AUTH", "wr0ng")
        self.settle()
        self.failureResultOf(refused, Away)
        exchange, self.redis.mute = self.exchange(), True
        unanswered = exchange.ask("GET", "x")
        self.reactor.advance(ANSWER_WITHIN)
        self.failureResultOf(unanswered, Away)
        self.assertFalse(mouth.connected)
        self.failureResultOf(exchange.ask("GET", "x"), Away)


class BoundTests(RedisTestCase):
    def test_questions(self) -> None:
        """Nor do questions wait without bound: one more is refused at once."""
        mouth, _ = self.connect()
        assert mouth.producer is not None
        mouth.producer.pauseProducing()
        asked = [self.exchange().ask("GET", bytes(1 << 20)) for _ in range((MOST_BACKLOG >> 20) - 1)]
        self.failureResultOf(self.exchange().ask("GET", bytes(1 << 20)), Away)
        self.assertNoResult(asked[0])
        self.link.stop()
        for each in asked:
            each.addErrback(lambda failure: None)

    def test_envelopes(self) -> None:
        """Of what Redis does not read only so much waits; the rest is dropped."""
        mouth, _ = self.connect()
        assert mouth.producer is not None
        mouth.producer.pauseProducing()
        taken = [self.exchange().hand("x", bytes(1 << 16)) for _ in range(40)]
        self.assertEqual(sum(taken), BACKLOG >> 16)
        mouth.producer.resumeProducing()
        self.assertTrue(self.exchange().hand("x", b"sealed"))

    def test_news(self) -> None:
        """News are never dropped alone: when too much waits, both connections go, and there are new ones."""
        ends = self.connect()
        assert ends[0].producer is not None
        ends[0].producer.pauseProducing()
        for _ in range(MOST_BACKLOG // (1 << 20) + 1):
            if self.link._exchange is not None:
                self.exchange().publish("x", bytes(1 << 20))
        self.assertEqual([end.connected for end in ends], [False, False])
        self.assertEqual(self.said[-1], "the other relays cannot be reached: it reads too slowly")
        self.reactor.advance(WAITS[0])
        self.connect()
        self.assertEqual(self.cluster.state, "")

    def test_stopped(self) -> None:
        """At the end a goodbye is said, and nothing goes on."""
        mouth, _ = self.connect()
        self.cluster.stop()
        self.link.stop()
        mouth.serve()
        self.assertIn(b'"bye"', mouth.commands[-1][2])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
